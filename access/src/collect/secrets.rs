//! Collects secrets and their keys.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::client::{Client, Fault};
use super::{CollectError, Collector, Selection, text, texts, time, truth};
use crate::document::Document;
use crate::snapshot::{Key, Replica, RotationRules, Secret, Version};

/// How many secrets are read concurrently.
const LANES: usize = 8;

const NOT_THERE: &str = "ResourceNotFoundException";
/// KMS's error code for a key or an alias that does not exist.
const NO_KEY: &str = "NotFoundException";

/// The responses for one secret.
struct Details {
    index: usize,
    description: Result<Value, Fault>,
    policy: Result<Value, Fault>,
    versions: Result<Value, Fault>,
}

impl Collector<'_> {
    pub(super) async fn secrets(&mut self, selection: &Selection) -> Result<(), CollectError> {
        self.snapshot.is_partial = !matches!(selection, Selection::All);
        let listed = match selection {
            Selection::Ids(_) => Vec::new(),
            Selection::All => self.list_secrets(None).await?,
            Selection::Prefix(prefix) => self.list_secrets(Some(prefix)).await?,
        };
        let ids = match selection {
            Selection::Ids(ids) => ids.clone(),
            _ => listed.iter().map(|secret| text(&secret["ARN"])).collect(),
        };
        let count = ids.len();
        let mut found: Vec<Option<Secret>> = vec![None; count];
        let mut tasks = JoinSet::new();
        let mut waiting = ids.iter().cloned().enumerate();
        let mut done = 0;
        loop {
            while tasks.len() < LANES {
                let Some((index, id)) = waiting.next() else { break };
                tasks.spawn(details(Arc::clone(&self.client), index, id));
            }
            let Some(Ok(details)) = tasks.join_next().await else { break };
            done += 1;
            (self.progress)("secrets", done, count);
            let is_asked_for = matches!(selection, Selection::Ids(_));
            let index = details.index;
            let answer = match &details.description {
                // A secret requested by ID that does not exist is a mistake. One deleted since it was listed is not.
                Err(fault) if is_asked_for => {
                    self.missing.push(format!("{}: {fault}", ids[index]));
                    continue;
                }
                Err(fault) if fault.code == NOT_THERE => continue,
                Err(fault) => {
                    self.note("secretsmanager:DescribeSecret", Some(&ids[index]), fault.to_string());
                    as_described(&listed[index])
                }
                Ok(answer) => answer.clone(),
            };
            found[index] = Some(self.secret(&ids[index], &answer, details));
        }
        // The same secret can be named twice.
        let mut seen = BTreeSet::new();
        self.snapshot.secrets =
            found.into_iter().flatten().filter(|secret| seen.insert(secret.arn.clone())).collect();
        // Responses arrive in any order.
        self.missing.sort();
        match self.missing.first() {
            Some(first) if self.missing.len() == count => Err(CollectError::new(first)),
            _ => Ok(()),
        }
    }

    async fn list_secrets(&mut self, prefix: Option<&str>) -> Result<Vec<Value>, CollectError> {
        let mut body = json!({"MaxResults": 100, "IncludePlannedDeletion": true});
        if let Some(prefix) = prefix {
            body["Filters"] = json!([{"Key": "name", "Values": [prefix]}]);
        }
        let before = self.snapshot.not_collected.len();
        let all =
            self.pages("secretsmanager", "ListSecrets", body, "SecretList", ["NextToken", "NextToken"]).await;
        if let Some(failure) = self.snapshot.not_collected.get(before) {
            return Err(CollectError::new(format!(
                "{}: {}; name the secrets instead",
                failure.permission, failure.error
            )));
        }
        // The service's filter ignores case and splits words.
        let is_meant =
            |secret: &&Value| prefix.is_none_or(|prefix| text(&secret["Name"]).starts_with(prefix));
        Ok(all.into_iter().filter(|secret| is_meant(&secret)).collect())
    }

    fn secret(&mut self, id: &str, answer: &Value, details: Details) -> Secret {
        let arn = match text(&answer["ARN"]) {
            arn if arn.is_empty() => id.to_owned(),
            arn => arn,
        };
        let policy = self.noted("secretsmanager:GetResourcePolicy", Some(&arn), details.policy);
        let policy = policy.as_ref().and_then(|answer| answer["ResourcePolicy"].as_str());
        let resource_policy =
            policy.and_then(|text| self.policy("secretsmanager:GetResourcePolicy", &arn, text));
        let versions = self.noted("secretsmanager:ListSecretVersionIds", Some(&arn), details.versions);
        let rules = &answer["RotationRules"];
        let optional = |name: &str| answer[name].as_str().map(str::to_owned);
        let replicas = answer["ReplicationStatus"].as_array().into_iter().flatten();
        Secret {
            name: optional("Name").unwrap_or_else(|| arn.clone()),
            kms_key_id: optional("KmsKeyId"),
            tags: tags(&answer["Tags"]),
            rotation_enabled: answer["RotationEnabled"].as_bool().unwrap_or_default(),
            rotation_lambda_arn: optional("RotationLambdaARN"),
            rotation_rules: RotationRules {
                automatically_after_days: rules["AutomaticallyAfterDays"]
                    .as_u64()
                    .and_then(|days| days.try_into().ok()),
                schedule_expression: rules["ScheduleExpression"].as_str().map(str::to_owned),
                duration: rules["Duration"].as_str().map(str::to_owned),
            },
            created_date: time(&answer["CreatedDate"]),
            last_changed_date: time(&answer["LastChangedDate"]),
            last_accessed_date: time(&answer["LastAccessedDate"]),
            last_rotated_date: time(&answer["LastRotatedDate"]),
            next_rotation_date: time(&answer["NextRotationDate"]),
            deleted_date: time(&answer["DeletedDate"]),
            owning_service: optional("OwningService"),
            primary_region: optional("PrimaryRegion").filter(|region| *region != self.snapshot.region),
            replication_status: replicas
                .map(|replica| Replica {
                    region: text(&replica["Region"]),
                    kms_key_id: replica["KmsKeyId"].as_str().map(str::to_owned),
                    status: text(&replica["Status"]),
                    resource_policy: None,
                })
                .collect(),
            versions: versions_of(&answer["VersionIdsToStages"], versions.as_ref()),
            resource_policy,
            content: None,
            arn,
        }
    }

    pub(super) async fn keys(&mut self) {
        let mut names: Vec<_> =
            self.snapshot.secrets.iter().filter_map(|secret| secret.kms_key_id.clone()).collect();
        names.sort();
        names.dedup();
        names.retain(|name| !name.ends_with("alias/aws/secretsmanager"));
        let mut keys: BTreeMap<String, Key> = BTreeMap::new();
        for name in names {
            let answer = self.client.json("kms", "DescribeKey", &json!({"KeyId": name})).await;
            if answer.as_ref().is_err_and(|fault| fault.code == NO_KEY) {
                keys.insert(name.clone(), missing(name));
                continue;
            }
            let Some(answer) = self.noted("kms:DescribeKey", Some(&name), answer) else {
                // Its ARN is not known, so the other calls cannot be made.
                for permission in ["kms:GetKeyPolicy", "kms:GetKeyRotationStatus", "kms:ListGrants"] {
                    self.note(permission, Some(&name), "not asked without kms:DescribeKey".to_owned());
                }
                continue;
            };
            let answer = &answer["KeyMetadata"];
            let arn = text(&answer["Arn"]);
            if let Some(known) = keys.get_mut(&arn) {
                known.known_as.push(name);
                continue;
            }
            let mut key = Key {
                arn: arn.clone(),
                key_manager: text(&answer["KeyManager"]),
                key_state: text(&answer["KeyState"]),
                key_spec: text(&answer["KeySpec"]),
                origin: text(&answer["Origin"]),
                deletion_date: time(&answer["DeletionDate"]),
                ..Key::default()
            };
            let body = json!({"KeyId": arn, "PolicyName": "default"});
            let policy = self.client.json("kms", "GetKeyPolicy", &body).await;
            let policy = self.noted("kms:GetKeyPolicy", Some(&name), policy);
            key.policy =
                policy.and_then(|answer| self.policy("kms:GetKeyPolicy", &name, &text(&answer["Policy"])));
            // A key pending deletion has no such status.
            if key.key_manager == "CUSTOMER" && key.key_state == "Enabled" {
                let status = self.client.json("kms", "GetKeyRotationStatus", &json!({"KeyId": arn})).await;
                let status = self.noted("kms:GetKeyRotationStatus", Some(&name), status);
                key.rotation_enabled = status.and_then(|answer| truth(&answer["KeyRotationEnabled"]));
            }
            if key.key_manager == "CUSTOMER" {
                key.grants = self.grants(&name, &arn).await;
            }
            key.known_as.push(name);
            keys.insert(arn, key);
        }
        self.snapshot.keys = keys.into_values().collect();
    }

    /// Reads the grants on a key; `None` if they cannot all be read.
    async fn grants(&mut self, name: &str, arn: &str) -> Option<Document> {
        let mut statements = Vec::new();
        let mut body = json!({"KeyId": arn, "Limit": 100});
        loop {
            let answer = self.client.json("kms", "ListGrants", &body).await;
            let answer = self.noted("kms:ListGrants", Some(name), answer)?;
            statements.extend(answer["Grants"].as_array().into_iter().flatten().map(as_statement));
            match answer["NextMarker"].as_str().filter(|next| !next.is_empty()) {
                Some(next) => body["Marker"] = json!(next),
                None => break,
            }
        }
        let document = json!({"Version": "2012-10-17", "Statement": statements});
        self.policy("kms:ListGrants", name, &document.to_string())
    }
}

/// The entry for a key that does not exist, under the name that secrets have for it. Nobody can use it, so nothing else
/// is collected.
fn missing(name: String) -> Key {
    let no_grants = Document::from_json(json!({"Version": "2012-10-17", "Statement": []}));
    Key {
        arn: name.clone(),
        known_as: vec![name],
        key_state: Key::MISSING.to_owned(),
        grants: no_grants.ok(),
        ..Key::default()
    }
}

/// Converts a grant to the equivalent statement of a key policy.
fn as_statement(grant: &Value) -> Value {
    const CONTEXT: &str = "kms:EncryptionContext:";
    let grantee = text(&grant["GranteePrincipal"]);
    let kind = if grantee.starts_with("arn:") { "AWS" } else { "Service" };
    let actions: Vec<_> = texts(&grant["Operations"]).iter().map(|it| format!("kms:{it}")).collect();
    let mut statement = json!({"Sid": grant["GrantId"], "Effect": "Allow", "Principal": {kind: grantee},
        "Action": actions, "Resource": "*"});
    let constraints = &grant["Constraints"];
    for name in ["EncryptionContextSubset", "EncryptionContextEquals"] {
        for (key, value) in constraints[name].as_object().into_iter().flatten() {
            statement["Condition"]["StringEquals"][format!("{CONTEXT}{key}")] = value.clone();
        }
    }
    if let Some(exactly) = constraints["EncryptionContextEquals"].as_object() {
        let keys: Vec<_> = exactly.keys().collect();
        statement["Condition"]["ForAllValues:StringEquals"]["kms:EncryptionContextKeys"] = json!(keys);
    }
    statement
}

async fn details(client: Arc<Client>, index: usize, id: String) -> Details {
    let body = json!({"SecretId": id});
    let ask = |action: &'static str| client.json("secretsmanager", action, &body);
    let description = ask("DescribeSecret").await;
    if description.as_ref().is_err_and(|fault| fault.code == NOT_THERE) {
        let none = || Ok(Value::Null);
        return Details { index, description, policy: none(), versions: none() };
    }
    let policy = ask("GetResourcePolicy").await;
    let body = json!({"SecretId": id, "MaxResults": 100});
    let versions = client.json("secretsmanager", "ListSecretVersionIds", &body).await;
    Details { index, description, policy, versions }
}

/// Converts a secret from ListSecrets to what DescribeSecret returns. Its replicas are missing.
fn as_described(listed: &Value) -> Value {
    let mut answer = listed.clone();
    answer["VersionIdsToStages"] = listed["SecretVersionsToStages"].clone();
    answer
}

/// The labeled versions. Those that are not listed have no value yet.
fn versions_of(stages: &Value, listed: Option<&Value>) -> Vec<Version> {
    let listed = listed.map(|answer| answer["Versions"].as_array().cloned().unwrap_or_default());
    let with_stages = stages.as_object().into_iter().flatten();
    with_stages
        .map(|(id, stages)| {
            let all = listed.as_ref();
            let known =
                all.and_then(|all| all.iter().find(|version| version["VersionId"].as_str() == Some(id)));
            Version {
                version_id: id.clone(),
                version_stages: texts(stages),
                created_date: known.and_then(|version| time(&version["CreatedDate"])),
                is_empty: listed.is_some() && known.is_none(),
            }
        })
        .collect()
}

pub(super) fn tags(value: &Value) -> BTreeMap<String, String> {
    let all = value.as_array().into_iter().flatten();
    all.map(|tag| (text(&tag["Key"]), text(&tag["Value"]))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grant_amounts_to_a_statement() {
        let grant = json!({"GrantId": "0abc", "GranteePrincipal": "arn:aws:iam::111122223333:role/app",
            "Operations": ["Decrypt", "GenerateDataKey"],
            "Constraints": {"EncryptionContextSubset": {"SecretARN": "arn:aws:secretsmanager:x"}}});
        let statement = as_statement(&grant);
        assert_eq!(statement["Sid"], "0abc");
        assert_eq!(statement["Action"], json!(["kms:Decrypt", "kms:GenerateDataKey"]));
        assert_eq!(
            statement["Condition"]["StringEquals"]["kms:EncryptionContext:SecretARN"],
            "arn:aws:secretsmanager:x"
        );
        let exactly = as_statement(&json!({"GrantId": "0def", "GranteePrincipal": "rds.amazonaws.com",
            "Operations": ["Decrypt"], "Constraints": {"EncryptionContextEquals": {"a": "b"}}}));
        assert_eq!(exactly["Principal"], json!({"Service": "rds.amazonaws.com"}));
        assert_eq!(
            exactly["Condition"]["ForAllValues:StringEquals"]["kms:EncryptionContextKeys"],
            json!(["a"])
        );
        let all = json!({"Version": "2012-10-17", "Statement": [statement, exactly]});
        assert!(Document::from_json(all).is_ok());
    }
}
