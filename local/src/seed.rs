//! Secrets to start with, from a file that people write: JSON, or TOML if its name ends so.
//!
//! Loading makes the same secrets every time, ARNs and version ids included, so that a test may name them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::arn::{Scope, is_name};
use crate::labels::CURRENT;
use crate::policy;
use crate::replication::{self, Replica};
use crate::rotation::{Rotation, RotationRules};
use crate::secret::{Secret, Version};
use crate::store::{Change, Store};
use crate::tag::Tag;
use crate::time::Timestamp;
use crate::value::{Encoded, SecretBlob, SecretText, SecretValue};

/// A seed file.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Seed {
    #[serde(default)]
    secrets: Vec<SeedSecret>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct SeedSecret {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    region: Option<String>,
    /// The six characters that end the ARN.
    #[serde(skip_serializing_if = "Option::is_none")]
    arn_suffix: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kms_key_id: Option<String>,
    /// Of a managed external secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    r#type: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    tags: BTreeMap<String, String>,
    /// A document, or the text of one.
    #[serde(skip_serializing_if = "Option::is_none")]
    policy: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rotation: Option<SeedRotation>,
    #[serde(flatten)]
    value: SeedValue,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    versions: Vec<SeedVersion>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    replicas: Vec<SeedReplica>,
    /// When a secret that is marked for deletion goes for good.
    #[serde(skip_serializing_if = "Option::is_none")]
    deletion_date: Option<Timestamp>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct SeedReplica {
    region: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    kms_key_id: Option<String>,
}

/// A value: at most one of its members.
#[derive(Default, Deserialize, Serialize)]
struct SeedValue {
    #[serde(default, skip_serializing_if = "Option::is_none", serialize_with = "text")]
    string: Option<SecretText>,
    #[serde(default, skip_serializing_if = "Option::is_none", serialize_with = "binary")]
    binary: Option<SecretBlob>,
    /// A table, stored as JSON text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    json: Option<Value>,
}

#[derive(Deserialize, Serialize)]
struct SeedVersion {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    #[serde(default)]
    stages: BTreeSet<String>,
    #[serde(flatten)]
    value: SeedValue,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct SeedRotation {
    function: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    automatically_after_days: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    schedule: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    duration: Option<String>,
}

/// Reads the secrets in a seed file, as changes to a store.
///
/// # Errors
/// What is wrong, and with which secret; never a value.
pub(crate) fn load(path: &Path, defaults: &Scope, now: Timestamp) -> Result<Vec<Change>, String> {
    let text = zeroize::Zeroizing::new(std::fs::read_to_string(path).map_err(|error| error.to_string())?);
    let is_toml = path.extension().is_some_and(|extension| extension == "toml");
    let seed = if is_toml { of_toml(&text) } else { of_json(&text) }?;
    let mut seen = BTreeSet::new();
    let mut changes = Vec::new();
    for secret in seed.secrets {
        let name = secret.name.clone();
        let change =
            change(secret, defaults, now).map_err(|reason| format!("the secret {name:?}: {reason}"))?;
        if let Change::Put(scope, _) = &change
            && !seen.insert((scope.clone(), name.clone()))
        {
            return Err(format!("the secret {name:?} is there twice"));
        }
        changes.push(change);
    }
    replication::follow(&Store::default(), &mut changes);
    Ok(changes)
}

fn of_json(text: &str) -> Result<Seed, String> {
    // serde would also read a structure from a list of its members.
    if !text.trim_start().starts_with('{') {
        return Err(NO_SEED.to_owned());
    }
    serde_path_to_error::deserialize(&mut serde_json::Deserializer::from_str(text)).map_err(|error| {
        let (path, error) = (error.path().to_string(), error.into_inner());
        format!("line {}: {}", error.line(), without_values(&path, &error.to_string()))
    })
}

fn of_toml(text: &str) -> Result<Seed, String> {
    let line_at = |begin: usize| text[..begin.min(text.len())].matches('\n').count() + 1;
    let reader = toml::Deserializer::parse(text).map_err(|error| {
        let line = error.span().map_or(1, |span| line_at(span.start));
        format!("line {line}: {NO_SEED}")
    })?;
    serde_path_to_error::deserialize(reader).map_err(|error| {
        let (path, error) = (error.path().to_string(), error.into_inner());
        let line = error.span().map(|span| format!("line {}: ", line_at(span.start))).unwrap_or_default();
        line + &without_values(&path, error.message())
    })
}

/// What is wrong where. A parser's own message may quote a value, unless it names a member.
fn without_values(path: &str, message: &str) -> String {
    let names =
        ["unknown field", "missing field", "duplicate field"].iter().any(|kind| message.starts_with(kind));
    match path {
        _ if names => message.to_owned(),
        "." | "?" => NO_SEED.to_owned(),
        path => format!("{path} has a member of the wrong type"),
    }
}

const NO_SEED: &str = "this is not a seed of secrets";

/// A seed that makes what a store holds, as JSON. It holds the values in the clear.
pub(crate) fn export(store: &Store, now: Timestamp) -> Vec<u8> {
    let secrets = store.all().filter(|(_, secret)| !secret.is_gone(now) && secret.primary.is_none());
    let seed = Seed { secrets: secrets.map(|(scope, secret)| exported(scope, secret)).collect() };
    serde_json::to_vec_pretty(&seed).unwrap_or_default()
}

fn change(seed: SeedSecret, defaults: &Scope, now: Timestamp) -> Result<Change, String> {
    if !is_name(&seed.name) || seed.name.len() > 512 {
        return Err("its name must be 1 to 512 of the characters A-Z a-z 0-9 /_+=.@!-".to_owned());
    }
    let scope = Scope {
        account: seed.account.unwrap_or_else(|| defaults.account.clone()),
        region: seed.region.unwrap_or_else(|| defaults.region.clone()),
    };
    let suffix = seed.arn_suffix.unwrap_or_else(|| suffix_for(&seed.name));
    if suffix.len() != 6 || !suffix.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return Err("arn_suffix must be six letters or digits".to_owned());
    }
    let mut versions = Vec::new();
    if let Some(value) = seed.value.read()? {
        versions.push(version(None, BTreeSet::from([CURRENT.to_owned()]), value, 1, now)?);
    }
    if !versions.is_empty() && !seed.versions.is_empty() {
        return Err("it has a value of its own and versions: give one of them".to_owned());
    }
    for (i, SeedVersion { id, stages, value }) in seed.versions.into_iter().enumerate() {
        let value = value.read()?.ok_or("a version has no value")?;
        versions.push(version(id, stages, value, i + 1, now)?);
    }
    for label in versions.iter().flat_map(|version| &version.labels) {
        if versions.iter().filter(|version| version.labels.contains(label)).count() > 1 {
            return Err(format!("{label} is on two versions"));
        }
    }
    if !versions.is_empty() && !versions.iter().any(|version| version.labels.contains(CURRENT)) {
        return Err(format!("no version is {CURRENT}"));
    }
    let policy = seed.policy.map(|policy| match policy {
        Value::String(text) => text,
        document => document.to_string(),
    });
    if let Some(fault) = policy.as_deref().and_then(policy::fault) {
        return Err(fault);
    }
    let rotation = seed.rotation.map(|rotation| rotation.read(now)).transpose()?;
    let replica = |SeedReplica { region, kms_key_id }| match region == scope.region {
        true => Err(format!("a replica cannot be in {region}, where the secret is")),
        false => Ok(Replica { region, kms_key_id, failure: None }),
    };
    let replicas = seed.replicas.into_iter().map(replica).collect::<Result<Vec<_>, _>>()?;
    let tags: Vec<_> = seed.tags.into_iter().map(|(key, value)| Tag { key, value }).collect();
    let secret = Secret {
        arn: format!("{scope}{}-{suffix}", seed.name),
        name: seed.name,
        description: seed.description,
        kms_key_id: seed.kms_key_id,
        kind: seed.r#type,
        tags: (!tags.is_empty()).then_some(tags),
        policy,
        created: now,
        changed: now,
        accessed: None,
        deletion: seed.deletion_date,
        rotation,
        versions,
        replicas,
        cross_account: None,
        primary: None,
    };
    Ok(Change::Put(scope, Arc::new(secret)))
}

fn version(
    id: Option<String>,
    labels: BTreeSet<String>,
    value: SecretValue,
    number: usize,
    now: Timestamp,
) -> Result<Version, String> {
    let id = id.unwrap_or_else(|| format!("00000000-0000-4000-8000-{number:012}"));
    if !(32..=64).contains(&id.len()) {
        return Err("the id of a version must be 32 to 64 characters long".to_owned());
    }
    // A millisecond apart, so that listings keep their order.
    Ok(Version {
        id,
        value: Some(value),
        labels,
        created: now.plus_millis(number as i64),
        accessed: None,
        former_key: None,
    })
}

impl SeedValue {
    fn read(self) -> Result<Option<SecretValue>, String> {
        let text = self.string.map(|SecretText(value)| value);
        let binary = self.binary.map(|SecretBlob(value)| value);
        let json = self.json.map(|json| SecretValue::text(json.to_string()));
        let mut given = [text, binary, json].into_iter().flatten();
        let value = given.next();
        if given.next().is_some() {
            return Err("give one of string, binary and json".to_owned());
        }
        match &value {
            Some(value) if value.size() > crate::validate::MOST_BYTES => {
                Err("a value must be at most 65536 bytes".to_owned())
            }
            _ => Ok(value),
        }
    }

    fn of(value: &SecretValue) -> Self {
        let text = value.as_text().is_some().then(|| SecretText(value.clone()));
        let binary = value.as_binary().is_some().then(|| SecretBlob(value.clone()));
        Self { string: text, binary, json: None }
    }
}

impl SeedRotation {
    fn read(self, now: Timestamp) -> Result<Rotation, String> {
        let rules = RotationRules {
            automatically_after_days: self.automatically_after_days,
            duration: self.duration,
            schedule_expression: self.schedule,
        };
        rules.check().map_err(|error| error.message().to_owned())?;
        let mut rotation = Rotation {
            enabled: true,
            function: Some(self.function),
            rules: Some(rules),
            ..Rotation::default()
        };
        rotation.reschedule(now);
        Ok(rotation)
    }
}

fn exported(scope: &Scope, secret: &Secret) -> SeedSecret {
    let rotation = secret.rotation.as_ref().filter(|rotation| rotation.enabled);
    let rotation = rotation.and_then(|rotation| {
        let rules = rotation.rules.clone().unwrap_or_default();
        let days = rules.automatically_after_days.filter(|_| rules.schedule_expression.is_none());
        Some(SeedRotation {
            function: rotation.function.clone()?,
            automatically_after_days: days,
            schedule: rules.schedule_expression,
            duration: rules.duration,
        })
    });
    let versions = secret.versions.iter().filter_map(|version| {
        let value = SeedValue::of(version.value.as_ref()?);
        Some(SeedVersion { id: Some(version.id.clone()), stages: version.labels.clone(), value })
    });
    let replicas = secret.replicas.iter().filter(|replica| replica.failure.is_none()).map(|replica| {
        SeedReplica { region: replica.region.clone(), kms_key_id: replica.kms_key_id.clone() }
    });
    SeedSecret {
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
        value: SeedValue::default(),
        versions: versions.collect(),
        replicas: replicas.collect(),
        deletion_date: secret.deletion,
    }
}

/// Six characters that are always the same for a name (FNV-1a).
fn suffix_for(name: &str) -> String {
    let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    (0..6).map(|i| char::from(LETTERS[(hash >> (i * 8)) as usize % LETTERS.len()])).collect()
}

fn text<S: serde::Serializer>(value: &Option<SecretText>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(value.as_ref().and_then(|text| text.0.as_text()).unwrap_or_default())
}

fn binary<S: serde::Serializer>(value: &Option<SecretBlob>, serializer: S) -> Result<S::Ok, S::Error> {
    Encoded(value.as_ref().and_then(|blob| blob.0.as_binary()).unwrap_or_default()).serialize(serializer)
}

const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

#[cfg(test)]
mod tests {
    use super::*;

    fn loaded(name: &str, text: &str) -> Result<Vec<Change>, String> {
        let path = std::env::temp_dir().join(format!("secretcache-seed-{}-{name}", std::process::id()));
        std::fs::write(&path, text).unwrap();
        let loaded =
            load(&path, &Scope::new("123456789012", "us-east-1"), Timestamp::from_secs(1_700_000_000));
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
            name = "key"
            region = "eu-west-1"
            arn_suffix = "AbCdEf"
            policy = { Statement = { Effect = "Deny", Principal = "*", Action = "*", Resource = "*" } }
            replicas = [{ region = "us-east-1", kms_key_id = "alias/there" }]
            deletion_date = 1700600000
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
    fn mistakes_name_the_secret_and_never_a_value() {
        for (json, reason) in [
            (r#"{"secrets":[{"name":"a b","string":"canary"}]}"#, "name must be"),
            (r#"{"secrets":[{"name":"a","string":"canary","binary":"AA=="}]}"#, "one of"),
            (r#"{"secrets":[{"name":"a","versions":[{"string":"canary","stages":["x"]}]}]}"#, "AWSCURRENT"),
            (r#"{"secrets":[{"name":"a"},{"name":"a"}]}"#, "twice"),
            (r#"{"secrets":[{"name":"a","strin":"canary"}]}"#, "line 1"),
            (r#"{"secrets":[{"name":"a","rotation":{"function":"f","schedule":"rate(1 hour)"}}]}"#, "hours"),
            (r#"{"secrets":[{"name":"a","string":"canary","arn_suffix":"x"}]}"#, "six"),
        ] {
            let error = loaded("bad.json", json).unwrap_err();
            assert!(error.contains(reason) && !error.contains("canary"), "{json}: {error}");
        }
        let error = loaded("bad.toml", "[[secrets]]\nname = \"a\"\nstring = canary").unwrap_err();
        assert!(error.contains("line") && !error.contains("canary"), "{error}");
    }
}
