//! Least-privilege policies for given secrets and principals, generated from the table in
//! [`permissions`](crate::permissions).
//!
//! ```
//! use secretcache_access::policy::{Kind, Scope};
//!
//! let scope = Scope {
//!     secrets: vec!["prod/checkout/*".into()],
//!     account: "111122223333".into(),
//!     region: "eu-central-1".into(),
//!     ..Scope::default()
//! };
//! let document = scope.policy(Kind::App, &["read", "refresh"])?;
//! let statement = &document["Statement"][0];
//! assert_eq!(statement["Action"], "secretsmanager:GetSecretValue");
//! assert_eq!(statement["Resource"], "arn:aws:secretsmanager:eu-central-1:111122223333:secret:prod/checkout/*");
//! # Ok::<(), secretcache_access::policy::ScopeError>(())
//! ```

mod applicability;
mod compare;
mod location;
mod render;
mod requests;
mod resources;
mod syntax;
mod validate;

use std::fmt;
use std::str::FromStr;

use serde_json::{Map, Value, json};

use crate::permissions::{FEATURES, Grant, On, feature};
use crate::service;

pub use compare::{Difference, compare, compare_shared};
pub use render::{Format, render};

/// The kind of a policy: who or what it is attached to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Kind {
    /// The role of an application that reads secrets.
    App,
    /// The execution role of a rotation function.
    Rotation,
    /// The role of a job in CI, cron or Kubernetes that runs `secretcache rotate --due`.
    Ci,
    /// A person who operates rotations.
    Operator,
    /// The policy of the KMS key that encrypts the secrets.
    Kms,
    /// The resource policy of a secret.
    Resource,
    /// The policy of a VPC endpoint for Secrets Manager.
    Endpoint,
}

impl Kind {
    /// All kinds, in the order of the command's help.
    pub const ALL: [Self; 7] =
        [Self::App, Self::Rotation, Self::Ci, Self::Operator, Self::Kms, Self::Resource, Self::Endpoint];

    /// Returns its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::App => "app",
            Self::Rotation => "rotation",
            Self::Ci => "ci",
            Self::Operator => "operator",
            Self::Kms => "kms",
            Self::Resource => "resource",
            Self::Endpoint => "endpoint",
        }
    }

    /// Returns the features that the policy covers if none are named.
    pub fn default_features(self) -> &'static [&'static str] {
        match self {
            Self::App | Self::Endpoint | Self::Resource | Self::Kms => &["read", "refresh"],
            Self::Rotation => &["rotate-single-user", "function"],
            Self::Ci => &["rotate-single-user", "status"],
            Self::Operator => &["rotate-single-user", "status", "recover", "schedule", "by-prefix", "audit"],
        }
    }
}

impl FromStr for Kind {
    type Err = ScopeError;

    fn from_str(text: &str) -> Result<Self, ScopeError> {
        let names = Self::ALL.map(Self::name).join(", ");
        Self::ALL
            .into_iter()
            .find(|kind| kind.name() == text)
            .ok_or_else(|| ScopeError(format!("unknown kind of policy {text:?}; use one of {names}")))
    }
}

/// The input of a policy: secrets, principals and the place they are in.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    /// Names or ARNs of the secrets, or paths such as `prod/checkout/*`.
    pub secrets: Vec<String>,
    /// Names, ARNs or paths of the administrator's secrets.
    pub master_secrets: Vec<String>,
    /// ARNs of the customer-managed keys of the secrets. Empty for the default key, which needs no statement.
    pub keys: Vec<String>,
    /// ARNs of the keys of the administrator's secrets.
    pub master_keys: Vec<String>,
    /// ARNs of the principals that read the secrets: for key, resource and endpoint policies.
    pub readers: Vec<String>,
    /// ARNs of the principals that rotate the secrets: for key, resource and endpoint policies.
    pub rotators: Vec<String>,
    /// ARNs of the principals that administer the key.
    pub administrators: Vec<String>,
    /// Names or ARNs of the IAM users whose access keys are rotated.
    pub users: Vec<String>,
    /// Names or ARNs of the roles that an application assumes to read secrets.
    pub roles: Vec<String>,
    /// Names or ARNs of the rotation functions.
    pub functions: Vec<String>,
    /// Ids of the VPC endpoints that requests must come through: `vpce-…`.
    pub endpoints: Vec<String>,
    /// The account of everything given by name instead of ARN: 12 digits.
    pub account: String,
    /// The Region of everything given by name instead of ARN.
    pub region: String,
    /// The partition: `aws`, `aws-cn` or `aws-us-gov`; empty means `aws`.
    pub partition: String,
}

/// The reason why no policy can be generated.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ScopeError(String);

impl fmt::Display for ScopeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ScopeError {}

fn wrong<T>(text: impl Into<String>) -> Result<T, ScopeError> {
    Err(ScopeError(text.into()))
}

impl Scope {
    /// Generates a policy document.
    ///
    /// # Errors
    ///
    /// Fails if a feature is unknown, if something that the policy needs is missing, or if something is given that a
    /// policy of this kind cannot use; the error names it.
    pub fn policy(&self, kind: Kind, features: &[&str]) -> Result<Value, ScopeError> {
        self.check()?;
        self.check_applicability(kind, features)?;
        let statements = match kind {
            Kind::App | Kind::Rotation | Kind::Ci | Kind::Operator => self.identity(features)?,
            Kind::Kms => self.key_policy()?,
            Kind::Resource => self.resource_policy()?,
            Kind::Endpoint => self.endpoint_policy()?,
        };
        Ok(json!({ "Version": "2012-10-17", "Statement": statements }))
    }

    /// Returns the grants of the features without duplicates, in the order of the table.
    fn grants(features: &[&str]) -> Result<Vec<Grant>, ScopeError> {
        let mut grants: Vec<Grant> = Vec::new();
        for id in features {
            let Some(found) = feature(id) else {
                let known: Vec<_> = FEATURES.iter().map(|feature| feature.id).collect();
                return wrong(format!("unknown feature {id:?}; use {}", known.join(", ")));
            };
            for grant in found.grants {
                if !grants.contains(grant) {
                    grants.push(*grant);
                }
            }
        }
        Ok(grants)
    }

    fn identity(&self, features: &[&str]) -> Result<Vec<Value>, ScopeError> {
        let mut statements = Vec::new();
        // A recovery needs the administrator's secret only if the strategy has an administrator.
        let has_master = !self.master_secrets.is_empty() || features.contains(&"rotate-alternating-users");
        for grant in Self::grants(features)? {
            if matches!(grant.on, On::MasterSecrets | On::MasterKeys) && !has_master {
                continue;
            }
            let resources = self.resources(grant.on)?;
            if resources.is_empty() {
                continue;
            }
            let mut statement = Map::new();
            statement.insert("Sid".into(), grant.sid.into());
            statement.insert("Effect".into(), "Allow".into());
            statement.insert("Action".into(), one_or_many(grant.actions.iter().map(|it| (*it).into())));
            statement.insert("Resource".into(), one_or_many(resources));
            let of_secrets = match grant.on {
                On::Keys => Some(self.secret_arns()?),
                On::MasterKeys => Some(self.master_arns()?),
                _ => None,
            };
            if let Some(secrets) = of_secrets {
                statement.insert("Condition".into(), self.through_secrets_manager(secrets)?);
            }
            statements.push(Value::Object(statement));
        }
        Ok(statements)
    }

    fn resources(&self, on: On) -> Result<Vec<String>, ScopeError> {
        let arns = |given: &[String], service: &str, prefix: &str, what: &str| {
            if given.is_empty() {
                return wrong(format!("name {what}"));
            }
            given.iter().map(|it| self.arn(it, service, prefix)).collect()
        };
        match on {
            On::Secrets => self.secret_arns(),
            On::MasterSecrets => self.master_arns(),
            On::Keys => Ok(self.keys.clone()),
            On::MasterKeys => Ok(self.master_keys.clone()),
            On::Users => arns(&self.users, "iam", "user/", "the IAM users whose keys rotate (--user)"),
            On::Roles => arns(&self.roles, "iam", "role/", "the roles to assume (--role)"),
            On::Functions => arns(
                &self.functions,
                "lambda",
                "function:",
                "the rotation function (--function): RotateSecret checks the permission to invoke it",
            ),
            On::Logs => {
                let functions = arns(
                    &self.functions,
                    "lambda",
                    "function:",
                    "the rotation function (--function), for its log group",
                )?;
                let group = |function: &String| {
                    // An ARN can end with a version or an alias.
                    let name = function.split(':').nth(6).unwrap_or(function);
                    self.arn(&format!("/aws/lambda/{name}:*"), "logs", "log-group:")
                };
                functions.iter().map(group).collect()
            }
            On::InAccount(service, resource) => Ok(vec![self.arn(resource, service, "")?]),
            On::Organization => {
                let arn = |kind: &str| format!("arn:{}:organizations::*:{kind}/*", self.partition());
                Ok(["account", "ou", "policy", "root"].map(arn).to_vec())
            }
            On::Trails => Ok(vec![format!("arn:{}:cloudtrail:*:*:trail/*", self.partition())]),
            On::Everything => Ok(vec!["*".into()]),
        }
    }

    fn secret_arns(&self) -> Result<Vec<String>, ScopeError> {
        if self.secrets.is_empty() {
            return wrong("name the secrets: names, ARNs, or paths such as prod/checkout/*");
        }
        self.secrets_of(&self.secrets)
    }

    /// Returns the accounts that own the secrets.
    fn owners(&self) -> Result<Vec<&str>, ScopeError> {
        let owner = |secret: &'_ String| match secret.strip_prefix("arn:") {
            Some(_) => Ok(None),
            None if self.account.is_empty() => {
                wrong(format!("give the account (--account, 12 digits): the ARN of {secret} needs it"))
            }
            None => Ok(Some(self.account.as_str())),
        };
        let mut owners: Vec<&str> = Vec::new();
        for secret in &self.secrets {
            owners.extend(owner(secret)?.or_else(|| secret.split(':').nth(4)));
        }
        Ok(owners)
    }

    /// Returns the ARNs of secrets without duplicates, in the order given.
    fn secrets_of(&self, given: &[String]) -> Result<Vec<String>, ScopeError> {
        let mut arns: Vec<String> = Vec::new();
        for secret in given {
            let arn = self.secret_arn(secret)?;
            if !arns.contains(&arn) {
                arns.push(arn);
            }
        }
        Ok(arns)
    }

    fn master_arns(&self) -> Result<Vec<String>, ScopeError> {
        if self.master_secrets.is_empty() {
            return wrong("name the administrator's secret (--master-secret)");
        }
        self.secrets_of(&self.master_secrets)
    }

    /// Returns the ARN of a secret, or the narrowest pattern for it. It ends in six `?` for the random characters,
    /// because `-*` would also match secrets with longer names. Source: AWS Secrets Manager User Guide, "Permissions
    /// policy examples", wildcards.
    fn secret_arn(&self, secret: &str) -> Result<String, ScopeError> {
        if secret.starts_with("arn:") {
            return Ok(secret.into());
        }
        let suffix = if secret.ends_with('*') { "" } else { "-??????" };
        self.arn(&format!("{secret}{suffix}"), "secretsmanager", "secret:")
    }

    fn arn(&self, name: &str, service: &str, prefix: &str) -> Result<String, ScopeError> {
        if name.starts_with("arn:") {
            return Ok(name.into());
        }
        let what = name.trim_end_matches("-??????");
        let is_account = self.account.len() == 12 && self.account.bytes().all(|it| it.is_ascii_digit());
        if !is_account {
            return wrong(format!("give the account (--account, 12 digits): the ARN of {what} needs it"));
        }
        let region = if service == "iam" { "" } else { self.region.as_str() };
        if region.is_empty() && service != "iam" {
            return wrong(format!("give the Region (--region): the ARN of {what} needs it"));
        }
        let partition = self.partition();
        Ok(format!("arn:{partition}:{service}:{region}:{}:{prefix}{name}", self.account))
    }

    fn partition(&self) -> &str {
        if self.partition.is_empty() { "aws" } else { &self.partition }
    }

    /// Returns the condition that limits a key to use through Secrets Manager in the secrets' Regions, for these
    /// secrets only. Source: AWS Secrets Manager User Guide, "Secret encryption and decryption".
    fn through_secrets_manager(&self, secrets: Vec<String>) -> Result<Value, ScopeError> {
        let mut services: Vec<_> =
            secrets.iter().filter_map(|arn| arn.split(':').nth(3)).map(service::host).collect();
        services.sort();
        services.dedup();
        Ok(json!({
            "StringEquals": { "kms:ViaService": one_or_many(services) },
            "StringLike": { "kms:EncryptionContext:SecretARN": one_or_many(secrets) },
        }))
    }

    fn key_policy(&self) -> Result<Vec<Value>, ScopeError> {
        let condition = self.through_secrets_manager(self.secret_arns()?)?;
        let mut administrators = self.administrators.clone();
        if administrators.is_empty() {
            if self.account.is_empty() {
                return wrong(
                    "name who administers the key: --administrator, or the account (--account, 12 digits)",
                );
            }
            administrators.push(self.arn("root", "iam", "")?);
        }
        let mut statements = vec![json!({
            "Sid": "Administer",
            "Effect": "Allow",
            "Principal": { "AWS": one_or_many(administrators) },
            "Action": [
                "kms:CancelKeyDeletion", "kms:CreateAlias", "kms:DeleteAlias", "kms:DescribeKey", "kms:DisableKey",
                "kms:EnableKey", "kms:EnableKeyRotation", "kms:GetKeyPolicy", "kms:GetKeyRotationStatus",
                "kms:ListResourceTags", "kms:PutKeyPolicy", "kms:ScheduleKeyDeletion", "kms:TagResource",
                "kms:UntagResource", "kms:UpdateAlias", "kms:UpdateKeyDescription",
            ],
            "Resource": "*", // in a key policy: this key
        })];
        for (sid, principals, actions) in [
            ("Read", &self.readers, json!("kms:Decrypt")),
            ("Rotate", &self.rotators, json!(["kms:Decrypt", "kms:GenerateDataKey"])),
        ] {
            if !principals.is_empty() {
                statements.push(json!({
                    "Sid": sid,
                    "Effect": "Allow",
                    "Principal": { "AWS": one_or_many(principals.iter().cloned()) },
                    "Action": actions,
                    "Resource": "*",
                    "Condition": condition,
                }));
            }
        }
        if statements.len() == 1 {
            return wrong("name who uses the key: --reader or --rotator, ARNs of roles or users");
        }
        Ok(statements)
    }

    /// Denies reads to everyone not named, and writes if rotators are named, regardless of identity policies. If
    /// endpoints are named, also denies reads that do not come through one of them.
    fn resource_policy(&self) -> Result<Vec<Value>, ScopeError> {
        let all: Vec<_> = self.readers.iter().chain(&self.rotators).cloned().collect();
        if all.is_empty() {
            return wrong("name who may read the secret: --reader or --rotator, ARNs of roles or users");
        }
        self.check_by_arn()?;
        let nobody_but = |sid: &str, principals: &[String], actions: Value| {
            json!({
                "Sid": sid,
                "Effect": "Deny",
                "Principal": "*",
                "Action": actions,
                "Resource": "*", // in a resource policy: this secret
                "Condition": { "StringNotEquals": { "aws:PrincipalArn": one_or_many(principals.to_vec()) } },
            })
        };
        let mut statements =
            vec![nobody_but("NobodyElseReads", &all, json!("secretsmanager:GetSecretValue"))];
        if !self.rotators.is_empty() {
            // Changing the policy itself is not denied, so nobody can be locked out for good.
            let actions = json!([
                "secretsmanager:DeleteSecret",
                "secretsmanager:PutSecretValue",
                "secretsmanager:UpdateSecret",
                "secretsmanager:UpdateSecretVersionStage",
            ]);
            statements.push(nobody_but("NobodyElseWrites", &self.rotators, actions));
        }
        if !self.endpoints.is_empty() {
            statements.push(json!({
                "Sid": "OnlyThroughTheEndpoint",
                "Effect": "Deny",
                "Principal": "*",
                "Action": "secretsmanager:GetSecretValue",
                "Resource": "*",
                "Condition": {
                    "StringNotEquals": { "aws:SourceVpce": one_or_many(self.endpoints.clone()) },
                    "Bool": { "aws:PrincipalIsAWSService": "false" },
                },
            }));
        }
        // Principals of other accounts need an Allow here as well.
        let owners = self.owners()?;
        let is_foreign =
            |arn: &&String| arn.split(':').nth(4).is_some_and(|account| !owners.contains(&account));
        let foreign: Vec<_> = all.iter().filter(is_foreign).cloned().collect();
        if !foreign.is_empty() {
            statements.push(json!({
                "Sid": "OtherAccounts",
                "Effect": "Allow",
                "Principal": { "AWS": one_or_many(foreign) },
                "Action": ["secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue"],
                "Resource": "*",
            }));
        }
        Ok(statements)
    }

    fn endpoint_policy(&self) -> Result<Vec<Value>, ScopeError> {
        let secrets = self.secret_arns()?;
        if self.readers.is_empty() && self.rotators.is_empty() {
            return wrong("name who uses the endpoint: --reader or --rotator, ARNs of roles or users");
        }
        self.check_by_arn()?;
        let mut statements = Vec::new();
        for (sid, principals, features) in [
            ("Read", &self.readers, &["read", "refresh"][..]),
            ("Rotate", &self.rotators, &["rotate-alternating-users"]),
        ] {
            if principals.is_empty() {
                continue;
            }
            let grants = Self::grants(features)?;
            let actions_on = |on: On| {
                grants.iter().filter(move |grant| grant.on == on).flat_map(|grant| grant.actions).copied()
            };
            let mut add = |sid: String, actions: Vec<&str>, resources: Vec<String>| {
                if !actions.is_empty() {
                    statements.push(json!({
                        "Sid": sid,
                        "Effect": "Allow",
                        "Principal": "*", // endpoint policies name roles by condition
                        "Action": one_or_many(actions.into_iter().map(str::to_owned)),
                        "Resource": one_or_many(resources),
                        "Condition": { "ArnEquals": { "aws:PrincipalArn": one_or_many(principals.iter().cloned()) } },
                    }));
                }
            };
            add(sid.to_owned(), actions_on(On::Secrets).collect(), secrets.clone());
            if !self.master_secrets.is_empty() {
                add("ReadMaster".to_owned(), actions_on(On::MasterSecrets).collect(), self.master_arns()?);
            }
            add(format!("{sid}Passwords"), actions_on(On::Everything).collect(), vec!["*".into()]);
        }
        Ok(statements)
    }
}

fn one_or_many(values: impl IntoIterator<Item = String>) -> Value {
    let mut values: Vec<Value> = values.into_iter().map(Value::from).collect();
    if values.len() == 1 { values.remove(0) } else { Value::Array(values) }
}
