//! Creates the secrets of a seed with the operations that a client would use, so that the same mistakes are refused.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rand::SeedableRng;
use rand::rngs::StdRng;
use serde::Serialize;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::document::Document;
use super::{Seed, SeedReplica, SeedSecret, SeedVersion};
use crate::arn::Scope;
use crate::labels::{self, CURRENT};
use crate::operations::{Call, Functions, execute};
use crate::replication;
use crate::rotation::Rotation;
use crate::secret::{Secret, Version};
use crate::store::{Change, Store};
use crate::time::Timestamp;
use crate::value::{Encoded, SecretBlob, SecretText, SecretValue};

/// Returns the changes that create the secrets of a seed.
pub(super) fn changes<J: Document>(
    seed: Seed<J>,
    defaults: &Scope,
    functions: &Functions,
    now: Timestamp,
) -> Result<Vec<Change>, String> {
    let mut seen = BTreeSet::new();
    let mut changes = Vec::new();
    for secret in seed.secrets {
        let name = secret.name.clone();
        let failed = |reason: String| format!("the secret {name:?}: {reason}");
        let (scope, secret) = Trial::new(&secret, defaults, functions, now)
            .and_then(|trial| trial.made(secret))
            .map_err(failed)?;
        let replicas = secret.replicas.iter().map(|replica| replica.scope(&scope));
        for place in [scope.clone()].into_iter().chain(replicas) {
            let region = place.region.clone();
            if !seen.insert((place, name.clone())) {
                return Err(failed(format!("it is listed twice in {region}")));
            }
        }
        changes.push(Change::Put(scope, Arc::new(secret)));
    }
    replication::follow(&Store::default(), &mut changes);
    Ok(changes)
}

/// A temporary store in which one secret is created.
struct Trial<'a> {
    store: Store,
    functions: &'a Functions,
    random: StdRng,
    scope: Scope,
    now: Timestamp,
}

impl<'a> Trial<'a> {
    fn new<J>(
        seed: &SeedSecret<J>,
        defaults: &Scope,
        functions: &'a Functions,
        now: Timestamp,
    ) -> Result<Self, String> {
        let of = |own: &Option<String>, default: &String| own.as_ref().unwrap_or(default).clone();
        let scope = Scope::new(of(&seed.account, &defaults.account), of(&seed.region, &defaults.region));
        scope.check()?;
        Ok(Self { store: Store::default(), functions, random: StdRng::seed_from_u64(0), scope, now })
    }

    /// Executes an operation for a member of the seed, and returns its changes without applying them.
    fn ask(
        &mut self,
        member: &str,
        operation: &str,
        request: &impl Serialize,
    ) -> Result<Vec<Change>, String> {
        let failed = |reason: &str| format!("{member}: {reason}");
        let body =
            serde_json::to_vec(request).map(Zeroizing::new).map_err(|error| failed(&error.to_string()))?;
        let (now, scope) = (self.now, self.scope.clone());
        // Whether a function can be invoked is checked separately, to report how to make it possible.
        let mut call = Call { now, scope, random: &mut self.random, functions: Functions::Any };
        let outcome = execute(&self.store, &mut call, operation, &body);
        Ok(outcome.map_err(|error| failed(error.message()))?.changes)
    }

    fn run(&mut self, member: &str, operation: &str, request: &impl Serialize) -> Result<(), String> {
        for change in self.ask(member, operation, request)? {
            self.store.apply(change, self.now);
        }
        Ok(())
    }

    fn made<J: Document>(mut self, seed: SeedSecret<J>) -> Result<(Scope, Secret), String> {
        let id = seed.name.as_str();
        self.run("name", "CreateSecret", &json!({ "Name": id, "ClientRequestToken": TOKEN }))?;
        let update =
            |member: &str, value: &str| json!({ "SecretId": id, "ClientRequestToken": TOKEN, member: value });
        for (member, parameter, value) in [
            ("description", "Description", &seed.description),
            ("kms_key_id", "KmsKeyId", &seed.kms_key_id),
            ("type", "Type", &seed.r#type),
        ] {
            if let Some(value) = value {
                self.run(member, "UpdateSecret", &update(parameter, value))?;
            }
        }
        let versions = self.versions(&seed)?;
        if !seed.tags.is_empty() {
            let tags: Vec<_> =
                seed.tags.iter().map(|(key, value)| json!({ "Key": key, "Value": value })).collect();
            self.run("tags", "TagResource", &json!({ "SecretId": id, "Tags": tags }))?;
        }
        if let Some(policy) = &seed.policy {
            let policy = policy.text().map_err(|reason| format!("policy: {reason}"))?;
            let policy = serde_json::from_str::<String>(&policy).unwrap_or(policy);
            self.run("policy", "PutResourcePolicy", &json!({ "SecretId": id, "ResourcePolicy": policy }))?;
        }
        if let Some(rotation) = &seed.rotation {
            let rules = BTreeMap::from_iter(
                [
                    ("AutomaticallyAfterDays", rotation.automatically_after_days.map(Value::from)),
                    ("ScheduleExpression", rotation.schedule.clone().map(Value::from)),
                    ("Duration", rotation.duration.clone().map(Value::from)),
                ]
                .into_iter()
                .filter_map(|(name, value)| Some((name, value?))),
            );
            let mut request = update("RotationLambdaARN", &rotation.function);
            if !rules.is_empty() {
                request["RotationRules"] = json!(rules);
            }
            self.run("rotation", "RotateSecret", &request)?;
            if !self.functions.can_invoke(&rotation.function) {
                return Err(format!(
                    "rotation: nothing here can invoke the function {:?}; start with --function or --lambda-endpoint",
                    rotation.function
                ));
            }
            if rotation.cancelled {
                self.run("rotation", "CancelRotateSecret", &json!({ "SecretId": id }))?;
            }
        }
        if !seed.replicas.is_empty() {
            let replica =
                |replica: &SeedReplica| json!({ "Region": replica.region, "KmsKeyId": replica.kms_key_id });
            let regions: Vec<_> = seed.replicas.iter().map(replica).collect();
            let request = json!({ "SecretId": id, "AddReplicaRegions": regions });
            self.run("replicas", "ReplicateSecretToRegions", &request)?;
        }
        if seed.deletion_date.is_some() {
            self.ask("deletion_date", "DeleteSecret", &json!({ "SecretId": id }))?;
        }
        let suffix = seed.arn_suffix.unwrap_or_else(|| suffix_for(&seed.name));
        if suffix.len() != 6 || !suffix.bytes().all(|b| b.is_ascii_alphanumeric()) {
            return Err("arn_suffix: it must be six letters or digits".to_owned());
        }
        let found = self.store.find(&self.scope, &seed.name, self.now);
        let (scope, secret) = found.map_err(|error| error.message().to_owned())?;
        let rotation = secret.rotation.clone();
        let secret = Secret {
            arn: format!("{scope}{}-{suffix}", seed.name),
            // The rotation is configured but has not run yet.
            rotation: rotation.map(|rotation| Rotation { underway: None, last_token: None, ..rotation }),
            deletion: seed.deletion_date,
            versions,
            ..secret.as_ref().clone()
        };
        Ok((scope, secret))
    }

    fn versions<J: Document>(&mut self, seed: &SeedSecret<J>) -> Result<Vec<Version>, String> {
        let own = given(&seed.string, &seed.binary, &seed.json)?;
        let mut versions = Vec::new();
        match (own, &seed.versions) {
            (Some(_), Some(_)) => return Err("give one of string, binary, json and versions".to_owned()),
            (Some((member, value)), None) => {
                let version = version(None, BTreeSet::from([CURRENT.to_owned()]), value, 1, self.now);
                versions.push(self.checked(member, &seed.name, version)?);
            }
            (None, Some(all)) if all.is_empty() => {
                return Err("versions: the list is empty; leave the member out".to_owned());
            }
            (None, all) => {
                for (i, SeedVersion { id, stages, string, binary, json }) in all.iter().flatten().enumerate()
                {
                    let member = format!("versions[{i}]");
                    let value =
                        given(string, binary, json).map_err(|reason| format!("{member}: {reason}"))?;
                    let (_, value) = value.ok_or_else(|| format!("{member}: it has no value"))?;
                    let version = version(id.as_ref(), stages.clone(), value, i + 1, self.now);
                    versions.push(self.checked(&member, &seed.name, version)?);
                }
            }
        }
        if let Some(id) = twice(versions.iter().map(|version| &version.id)) {
            return Err(format!("versions: the id {id} appears twice"));
        }
        if let Some(label) = twice(versions.iter().flat_map(|version| &version.labels)) {
            return Err(format!("versions: {label} is on two versions"));
        }
        if !versions.is_empty() && !versions.iter().any(|version| version.labels.contains(CURRENT)) {
            return Err(format!("versions: no version is labelled {CURRENT}"));
        }
        labels::check_quota(&versions).map_err(|error| format!("versions: {}", error.message()))?;
        Ok(versions)
    }

    fn checked(&mut self, member: &str, name: &str, version: Version) -> Result<Version, String> {
        #[derive(Serialize)]
        #[serde(rename_all = "PascalCase")]
        struct PutSecretValue<'a> {
            secret_id: &'a str,
            client_request_token: &'a str,
            secret_string: Option<&'a str>,
            secret_binary: Option<Encoded<'a>>,
            version_stages: Option<&'a BTreeSet<String>>,
        }
        let value = version.value.as_ref();
        let request = PutSecretValue {
            secret_id: name,
            client_request_token: &version.id,
            secret_string: value.and_then(SecretValue::as_text),
            secret_binary: value.and_then(SecretValue::as_binary).map(Encoded),
            version_stages: Some(&version.labels).filter(|labels| !labels.is_empty()),
        };
        // Only checked, not applied: the labels are those in the seed, and storing one version after the other would
        // move them.
        self.ask(member, "PutSecretValue", &request)?;
        Ok(version)
    }
}

fn version(
    id: Option<&String>,
    labels: BTreeSet<String>,
    value: SecretValue,
    number: usize,
    now: Timestamp,
) -> Version {
    Version {
        id: id.cloned().unwrap_or_else(|| format!("00000000-0000-4000-8000-{number:012}")),
        value: Some(value),
        labels,
        // Versions are a millisecond apart, so that listings keep their order.
        created: now.plus_millis(number as i64),
        accessed: None,
        former_key: None,
    }
}

/// Returns the value, and the name of the member that contains it.
fn given<J: Document>(
    string: &Option<SecretText>,
    binary: &Option<SecretBlob>,
    json: &Option<J>,
) -> Result<Option<(&'static str, SecretValue)>, String> {
    let json = json.as_ref().map(J::text).transpose().map_err(|reason| format!("json: {reason}"))?;
    if json.as_deref() == Some("null") {
        return Err("json: null is not a value; leave the member out, or give string = \"null\"".to_owned());
    }
    let string = string.as_ref().map(|text| ("string", text.0.clone()));
    let binary = binary.as_ref().map(|blob| ("binary", blob.0.clone()));
    let json = json.map(|json| ("json", SecretValue::text(json)));
    let mut all = [string, binary, json].into_iter().flatten();
    match (all.next(), all.next()) {
        (_, Some(_)) => Err("give one of string, binary and json".to_owned()),
        (one, None) => Ok(one),
    }
}

/// Returns the first item that is a duplicate.
fn twice<'a>(all: impl Iterator<Item = &'a String>) -> Option<&'a String> {
    let mut seen = BTreeSet::new();
    all.into_iter().find(|one| !seen.insert(*one))
}

/// Returns six characters that depend only on the name (FNV-1a).
fn suffix_for(name: &str) -> String {
    let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    (0..6).map(|i| char::from(LETTERS[(hash >> (i * 8)) as usize % LETTERS.len()])).collect()
}

const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The token for operations that require one.
const TOKEN: &str = "00000000-0000-4000-8000-000000000000";
