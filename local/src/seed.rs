//! Seeds: files with the secrets to start with, in TOML if the name ends in `.toml`, otherwise in JSON.
//!
//! Loading a seed creates the same secrets every time, including ARNs and version ids, so that tests can refer to them.

mod document;
mod made;
mod text;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use zeroize::Zeroizing;

use crate::arn::Scope;
use crate::operations::Functions;
use crate::secret::{Secret, Version};
use crate::store::{Change, Store};
use crate::time::Timestamp;
use crate::value::{Encoded, SecretBlob, SecretText};

/// A seed file. `J` is the format's type for a document, such as a value given as a table.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields, expecting = "an object with the list secrets")]
struct Seed<J> {
    secrets: Vec<SeedSecret<J>>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
#[serde(bound(deserialize = "J: Deserialize<'de>", serialize = "J: Serialize"))]
struct SeedSecret<J> {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    region: Option<String>,
    /// The six characters at the end of the ARN.
    #[serde(skip_serializing_if = "Option::is_none")]
    arn_suffix: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kms_key_id: Option<String>,
    /// The type of a managed external secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    r#type: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "unique")]
    tags: BTreeMap<String, String>,
    /// The resource policy, as a document or its text.
    #[serde(skip_serializing_if = "Option::is_none")]
    policy: Option<J>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rotation: Option<SeedRotation>,
    #[serde(default, skip_serializing, deserialize_with = "present")]
    string: Option<SecretText>,
    #[serde(default, skip_serializing, deserialize_with = "present")]
    binary: Option<SecretBlob>,
    /// A table that is stored as JSON text.
    #[serde(default, skip_serializing, deserialize_with = "present")]
    json: Option<J>,
    #[serde(skip_serializing_if = "Option::is_none")]
    versions: Option<Vec<SeedVersion<J>>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    replicas: Vec<SeedReplica>,
    /// When a secret that is marked for deletion is permanently deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    deletion_date: Option<Timestamp>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields, expecting = "an object with a region")]
struct SeedReplica {
    region: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    kms_key_id: Option<String>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
#[serde(bound(deserialize = "J: Deserialize<'de>", serialize = "J: Serialize"))]
struct SeedVersion<J> {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    #[serde(default)]
    stages: BTreeSet<String>,
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        serialize_with = "text",
        deserialize_with = "present"
    )]
    string: Option<SecretText>,
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        serialize_with = "binary",
        deserialize_with = "present"
    )]
    binary: Option<SecretBlob>,
    #[serde(default, skip_serializing, deserialize_with = "present")]
    json: Option<J>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields, expecting = "an object with a function")]
struct SeedRotation {
    function: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    automatically_after_days: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    schedule: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    duration: Option<String>,
    /// Whether rotation was cancelled (CancelRotateSecret).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    cancelled: bool,
}

/// Reads the secrets in a seed file, as changes to a store.
///
/// # Errors
/// A message that says what is wrong, with which secret and where. It never contains a value.
pub(crate) fn load(
    path: &Path,
    defaults: &Scope,
    functions: &Functions,
    now: Timestamp,
) -> Result<Vec<Change>, String> {
    let bytes = Zeroizing::new(std::fs::read(path).map_err(|error| error.to_string())?);
    let text = text::of(&bytes)?;
    match path.extension().is_some_and(|extension| extension == "toml") {
        true => made::changes(text::toml(text)?, defaults, functions, now),
        false => made::changes(text::json(text)?, defaults, functions, now),
    }
}

/// Exports a store as a seed in JSON, which contains the values in plain text.
pub(crate) fn export(store: &Store, now: Timestamp) -> Vec<u8> {
    let secrets = store.all().filter(|(_, secret)| !secret.is_gone(now) && secret.primary.is_none());
    let seed = Seed { secrets: secrets.map(|(scope, secret)| SeedSecret::of(scope, secret)).collect() };
    serde_json::to_vec_pretty(&seed).unwrap_or_default()
}

impl SeedSecret<Value> {
    fn of(scope: &Scope, secret: &Secret) -> Self {
        let rotation = secret.rotation.as_ref().and_then(|rotation| {
            let rules = rotation.rules.clone().unwrap_or_default();
            let days = rules.automatically_after_days.filter(|_| rules.schedule_expression.is_none());
            Some(SeedRotation {
                function: rotation.function.clone()?,
                automatically_after_days: days,
                schedule: rules.schedule_expression,
                duration: rules.duration,
                cancelled: !rotation.enabled,
            })
        });
        let versions: Vec<_> = secret.versions.iter().filter_map(SeedVersion::of).collect();
        let replicas = secret.replicas.iter().filter(|replica| replica.failure.is_none()).map(|replica| {
            SeedReplica { region: replica.region.clone(), kms_key_id: replica.kms_key_id.clone() }
        });
        Self {
            name: secret.name.clone(),
            account: Some(scope.account.clone()),
            region: Some(scope.region.clone()),
            arn_suffix: secret.arn.rsplit('-').next().map(str::to_owned),
            description: secret.description.clone(),
            kms_key_id: secret.kms_key_id.clone(),
            r#type: secret.kind.clone(),
            tags: secret.tags.iter().flatten().map(|tag| (tag.key.clone(), tag.value.clone())).collect(),
            policy: secret
                .policy
                .as_ref()
                .map(|policy| serde_json::from_str(policy).unwrap_or_else(|_| Value::String(policy.clone()))),
            rotation,
            string: None,
            binary: None,
            json: None,
            versions: (!versions.is_empty()).then_some(versions),
            replicas: replicas.collect(),
            deletion_date: secret.deletion,
        }
    }
}

impl SeedVersion<Value> {
    /// Converts a version; returns `None` if it has no value yet.
    fn of(version: &Version) -> Option<Self> {
        let value = version.value.as_ref()?;
        Some(Self {
            id: Some(version.id.clone()),
            stages: version.labels.clone(),
            string: value.as_text().is_some().then(|| SecretText(value.clone())),
            binary: value.as_binary().is_some().then(|| SecretBlob(value.clone())),
            json: None,
        })
    }
}

/// Deserializes a member that is present, so that null is an error rather than `None`.
fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// Deserializes a table and rejects duplicate keys, which JSON allows.
fn unique<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, String>, D::Error> {
    struct Unique;

    impl<'de> Visitor<'de> for Unique {
        type Value = BTreeMap<String, String>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("a table of strings")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut found = BTreeMap::new();
            while let Some((key, value)) = map.next_entry::<String, String>()? {
                if found.contains_key(&key) {
                    return Err(A::Error::custom(format!("duplicate field `{key}`")));
                }
                found.insert(key, value);
            }
            Ok(found)
        }
    }

    deserializer.deserialize_map(Unique)
}

fn text<S: Serializer>(value: &Option<SecretText>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(value.as_ref().and_then(|text| text.0.as_text()).unwrap_or_default())
}

fn binary<S: Serializer>(value: &Option<SecretBlob>, serializer: S) -> Result<S::Ok, S::Error> {
    Encoded(value.as_ref().and_then(|blob| blob.0.as_binary()).unwrap_or_default()).serialize(serializer)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loaded(name: &str, text: &str) -> Result<Vec<Change>, String> {
        let path = std::env::temp_dir().join(format!("secretcache-seed-{}-{name}", std::process::id()));
        std::fs::write(&path, text).unwrap();
        let (scope, now) = (Scope::new("123456789012", "us-east-1"), Timestamp::from_secs(1_700_000_000));
        let loaded = load(&path, &scope, &Functions::BuiltIn, now);
        std::fs::remove_file(path).unwrap();
        loaded
    }

    #[test]
    fn what_is_exported_is_what_was_loaded() {
        let text = r#"
            [[secrets]]
            name = "prod/db"
            json = { username = "app", password = "canary" }
            tags = { team = "checkout" }
            rotation = { function = "SecretsManagerRDSMySQLRotationSingleUser", schedule = "rate(30 days)" }

            [[secrets]]
            name = "going"
            deletion_date = 1700600000

            [[secrets]]
            name = "cancelled"
            rotation = { function = "SecretsManagerRDSMySQLRotationSingleUser", automatically_after_days = 9, cancelled = true }

            [[secrets]]
            name = "key"
            region = "eu-west-1"
            arn_suffix = "AbCdEf"
            policy = { Statement = { Effect = "Deny", Principal = "*", Action = "*", Resource = "*" } }
            replicas = [{ region = "us-east-1", kms_key_id = "alias/there" }]
            versions = [{ binary = "AAEC", stages = ["AWSPREVIOUS"] }, { string = "two", stages = ["AWSCURRENT"] }]
        "#;
        let mut store = Store::default();
        let now = Timestamp::from_secs(1_700_000_000);
        for change in loaded("a.toml", text).unwrap() {
            store.apply(change, now);
        }
        assert!(
            store
                .all()
                .any(|(scope, secret)| scope.region == "eu-west-1" && secret.arn.ends_with(":key-AbCdEf"))
        );
        let replica =
            |(scope, secret): (&Scope, &Secret)| scope.region == "us-east-1" && secret.primary.is_some();
        assert!(store.all().any(replica));
        let mut again = Store::default();
        let exported = String::from_utf8(export(&store, now)).unwrap();
        for change in loaded("b.json", &exported).unwrap() {
            again.apply(change, now);
        }
        assert!(store.all().eq(again.all()));
    }

    #[test]
    fn mistakes_name_the_secret_and_the_member_and_never_a_value() {
        let value = r#""string":"canary""#;
        for (members, reason) in [
            (r#""binary":"AA==""#, "one of"),
            (r#""json":null"#, "json: "),
            (r#""versions":[{"string":"canary","stages":["AWSCURRENT"]}]"#, "one of"),
            (r#""rotation":{"function":"f","schedule":"rate(1 hour)"}"#, "rotation: RotationRules"),
            (r#""rotation":{"function":"","schedule":"rate(1 day)"}"#, "rotation: "),
            (r#""rotation":{"function":"f","schedule":"rate(1 day)"}"#, "rotation: nothing here can invoke"),
            (r#""arn_suffix":"x""#, "arn_suffix: "),
            (r#""account":"12""#, "twelve digits"),
            (r#""region":"us east 1""#, "is not a Region"),
            (r#""tags":{"aws:x":"1"}"#, "tags: Tag keys can't start with aws:"),
            (r#""tags":{"":"1"}"#, "tags: 1 validation error"),
            (r#""policy":{"Statement":[]}"#, "policy: This resource policy"),
            (r#""replicas":[{"region":"us-east-1"}]"#, "replicas: Invalid replica region."),
            (r#""replicas":[{"region":"x"}]"#, "replicas: 1 validation error"),
            (r#""replicas":[{"region":"mars-1"}]"#, "replicas: Invalid replica region."),
            (r#""replicas":[{"region":"eu-west-1"},{"region":"eu-west-1"}]"#, "replicas: "),
            (r#""replicas":[{"region":"eu-west-1"}],"deletion_date":1700600000"#, "deletion_date: "),
        ] {
            let json = format!(r#"{{"secrets":[{{"name":"a",{value},{members}}}]}}"#);
            let error = loaded("bad.json", &json).unwrap_err();
            assert!(error.contains(r#"the secret "a": "#), "{json}: {error}");
            assert!(error.contains(reason) && !error.contains("canary"), "{json}: {error}");
        }
        let long = "x".repeat(2049);
        for (secret, reason) in [
            (r#"{"name":"a b"}"#.to_owned(), "name: Invalid name."),
            (r#"{"name":"a","string":""}"#.to_owned(), "string: 1 validation error"),
            (format!(r#"{{"name":"a","description":"{long}"}}"#), "description: 1 validation error"),
            (format!(r#"{{"name":"a","kms_key_id":"{long}"}}"#), "kms_key_id: 1 validation error"),
            (format!(r#"{{"name":"a","type":"{long}"}}"#), "type: 1 validation error"),
            (r#"{"name":"a","versions":[]}"#.to_owned(), "versions: "),
            (r#"{"name":"a","versions":[{"stages":["AWSCURRENT"]}]}"#.to_owned(), "versions[0]: "),
            (r#"{"name":"a","versions":[{"string":"canary","stages":["x"]}]}"#.to_owned(), "AWSCURRENT"),
            (
                r#"{"name":"a","versions":[{"string":"canary","stages":["AWSCURRENT"],"id":"short"}]}"#
                    .to_owned(),
                "versions[0]: ClientRequestToken",
            ),
            (
                format!(
                    r#"{{"name":"a","versions":[{0},{0}]}}"#,
                    r#"{"string":"canary","stages":["AWSCURRENT"],"id":"11111111-1111-4111-8111-111111111111"}"#
                ),
                "twice",
            ),
            (r#"{"name":"a"},{"name":"a"}"#.to_owned(), "twice"),
            (
                r#"{"name":"a","replicas":[{"region":"eu-west-1"}]},{"name":"a","region":"eu-west-1"}"#
                    .to_owned(),
                "twice",
            ),
        ] {
            let error = loaded("bad.json", &format!(r#"{{"secrets":[{secret}]}}"#)).unwrap_err();
            assert!(error.contains(r#"the secret "a"#), "{secret}: {error}");
            assert!(error.contains(reason) && !error.contains("canary"), "{secret}: {error}");
        }
    }

    #[test]
    fn an_empty_key_or_description_means_none_as_in_the_api() {
        let json = r#"{"secrets":[{"name":"a","kms_key_id":"","description":"","type":""}]}"#;
        let changes = loaded("empty.json", json).unwrap();
        let [Change::Put(_, secret)] = changes.as_slice() else { panic!("one secret") };
        assert_eq!((&secret.kms_key_id, &secret.description, &secret.kind), (&None, &None, &None));
    }

    #[test]
    fn what_cannot_be_read_names_the_place_and_never_a_value() {
        for (name, text, reason) in [
            ("bad.json", "", "line 1"),
            ("bad.json", "[]", "line 1, column 1: "),
            ("bad.txt", "[[secrets]]\nname = \"a\"", "must end in .toml"),
            ("bad.txt", "# a seed\n[[secrets]]\nname = \"a\"", "must end in .toml"),
            (
                "bad.json",
                "{\n\"secrets\":[{\"name\":\"a\",\"string\":\"canary",
                "line 2, column 39: secrets[0].string: EOF",
            ),
            ("bad.json", r#"{"secrets":[{"name":"a","strin":"canary"}]}"#, "secrets[0]"),
            ("bad.json", r#"{"secrets":[{"name":"a","strin":"canary"}]}"#, "unknown field `strin`"),
            (
                "bad.json",
                r#"{"secrets":[{"name":"a","string":["canary"]}]}"#,
                "secrets[0].string: expected a string",
            ),
            (
                "bad.json",
                r#"{"secrets":[{"name":"a","string":null}]}"#,
                "secrets[0].string: expected a string",
            ),
            (
                "bad.json",
                r#"{"secrets":[{"name":"a","binary":"canary!"}]}"#,
                "secrets[0].binary: not valid base64",
            ),
            (
                "bad.json",
                r#"{"secrets":[{"name":"a","tags":{"t":"1","t":"2"}}]}"#,
                "secrets[0].tags: duplicate field `t`",
            ),
            ("bad.json", r#"{"secrets":[{"name":"a"}]} canary"#, "line 1, column 28: "),
            ("bad.json", r#"{"secret":[]}"#, "unknown field `secret`"),
            ("bad.json", "{}", "missing field `secrets`"),
            ("bad.json", r#"{"secrets":{"name":"canary"}}"#, "secrets: expected a list"),
            ("bad.json", r#"{"secrets":["canary"]}"#, "secrets[0]: expected an object"),
            (
                "bad.json",
                r#"{"secrets":[{"name":"a","deletion_date":"canary"}]}"#,
                "secrets[0].deletion_date: expected a number",
            ),
            ("bad.toml", "[[secrets]]\nname = \"a\"\nstring = canary", "line 3, column 10: "),
            (
                "bad.toml",
                "[[secrets]]\nname = \"a\"\nbinary = \"canary!\"",
                "line 3, column 10: secrets[0].binary: not",
            ),
            ("bad.toml", "[[secrets]]\nname = \"a\"\nname = \"b\"", "line 3"),
        ] {
            let error = loaded(name, text).unwrap_err();
            assert!(error.contains(reason) && !error.contains("canary"), "{text}: {error}");
        }
    }

    /// Returns the value of the only secret in a seed.
    fn value(name: &str, text: &str) -> String {
        let changes = loaded(name, text).unwrap();
        let [Change::Put(_, secret)] = changes.as_slice() else { panic!("one secret") };
        secret.versions[0].value.as_ref().unwrap().as_text().unwrap().to_owned()
    }

    #[test]
    fn a_document_keeps_what_is_written() {
        let json = r#"{"secrets":[{"name":"a","json": {
            "z" : 12345678901234567890123, "a": [ 0.10, 1e2 ], "text": "a \" : b\u0041\\"
        } }]}"#;
        let kept = r#"{"z":12345678901234567890123,"a":[0.10,1e2],"text":"a \" : b\u0041\\"}"#;
        assert_eq!(value("kept.json", json), kept);
        let toml = "[[secrets]]\nname = 'a'\njson = { z = 2030-01-01T00:00:00Z, a = [1, 1.5, true], d = 2030-01-01 }";
        let kept = r#"{"z":"2030-01-01T00:00:00Z","a":[1,1.5,true],"d":"2030-01-01"}"#;
        assert_eq!(value("kept.toml", toml), kept);
    }

    #[test]
    fn what_a_document_cannot_say_names_the_member() {
        for (name, text, reason) in [
            ("bad.toml", "json = { a = { ratio = [inf] } }", "json: a.ratio: inf is not a number in JSON"),
            ("bad.toml", "json = { ratio = nan }", "json: ratio: NaN is not a number in JSON"),
            ("bad.toml", "versions = [{ json = { r = -inf } }]", "versions[0]: json: r: -inf"),
            ("bad.toml", "policy = { r = inf }", "policy: r: inf"),
            ("bad.json", r#""json":{"a":{"b":"canary","b":"canary"}}"#, "json: duplicate field `b`"),
            ("bad.json", r#""policy":{"a":1,"a":2}"#, "policy: duplicate field `a`"),
            ("bad.json", r#""json":{"a":"\ud800"}"#, "json: a \\u escape is half of a surrogate pair"),
        ] {
            let text = match name {
                "bad.toml" => format!("[[secrets]]\nname = \"a\"\n{text}"),
                _ => format!(r#"{{"secrets":[{{"name":"a",{text}}}]}}"#),
            };
            let error = loaded(name, &text).unwrap_err();
            assert!(error.contains(r#"the secret "a": "#), "{text}: {error}");
            assert!(error.contains(reason) && !error.contains("canary"), "{text}: {error}");
        }
    }

    #[test]
    fn a_byte_order_mark_is_passed_over() {
        assert_eq!(loaded("mark.json", "\u{feff}{\"secrets\":[{\"name\":\"a\"}]}").unwrap().len(), 1);
        assert_eq!(loaded("mark.toml", "\u{feff}[[secrets]]\nname = \"a\"").unwrap().len(), 1);
        assert_eq!(loaded("none.json", "{\"secrets\":[]}").unwrap(), []);
    }
}
