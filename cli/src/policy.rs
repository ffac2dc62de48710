//! `secretcache policy`: prints the least-privilege policy for given secrets and principals.

use std::path::PathBuf;

use clap::Args;
use secretcache_access::collect::Selection;
use secretcache_access::evaluate::Caller;
use secretcache_access::permissions::FEATURES;
use secretcache_access::policy::{Difference, Format, Kind, Scope, compare, compare_shared, render};
use secretcache_access::reach::Account;
use secretcache_access::snapshot::Key;
use secretcache_access::{Document, Snapshot};

use crate::access::obtain::{Extras, Files};
use crate::exit::{Exit, Failure};
use crate::service::Service;
use crate::terminal::{on_one_line, print};
use crate::words::{any, offering};

/// Print the least-privilege policy for an application, a rotation, a key, a secret or an endpoint
///
/// Kinds: app (an application's role), rotation (a rotation function's role), ci (a job that runs `secretcache rotate
/// --due`), operator (a person), kms (a key policy), resource (a secret's resource policy), endpoint (a VPC endpoint's
/// policy). No statement has the resource `*` where a narrower one exists. Does not call AWS, except to compare with an
/// account (--check).
///
/// --check reports every permission on secrets and keys beyond what the command would print, even if it is needed for a
/// secret that was not given. For other services, it reports missing permissions, and actions such as iam:PassRole if
/// they apply to any role, user, policy or function.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Policy {
    /// app, rotation, ci, operator, kms, resource or endpoint
    #[arg(value_name = "KIND", hide_possible_values = true, value_parser = offering(kinds, str::parse::<Kind>))]
    kind: Kind,

    /// Secrets: names, ARNs, or paths such as prod/checkout/*
    #[arg(long = "secret", short, value_name = "ID", required = true)]
    secrets: Vec<String>,

    /// What the policy must allow, such as read, prefetch or rotate-alternating-users (app, rotation, ci, operator); see
    /// docs/permissions.md [default: by kind]
    #[arg(long = "feature", value_name = "FEATURE", hide_possible_values = true, value_parser = offering(features, any))]
    features: Vec<String>,

    /// The administrator's secret, for rotations that need one (app, rotation, ci, operator, endpoint)
    #[arg(long = "master-secret", value_name = "ID")]
    master_secrets: Vec<String>,

    /// ARN of the customer-managed key that encrypts the secrets (app, rotation, ci, operator)
    #[arg(long = "key", value_name = "ARN")]
    keys: Vec<String>,

    /// ARN of the key that encrypts the administrator's secret (app, rotation, ci, operator)
    #[arg(long = "master-key", value_name = "ARN")]
    master_keys: Vec<String>,

    /// ARN of a role or user that reads the secrets (kms, resource, endpoint)
    #[arg(long = "reader", value_name = "ARN")]
    readers: Vec<String>,

    /// ARN of a role or user that rotates the secrets (kms, resource, endpoint)
    #[arg(long = "rotator", value_name = "ARN")]
    rotators: Vec<String>,

    /// ARN of a role or user that administers the key (kms) [default: the account]
    #[arg(long = "administrator", value_name = "ARN")]
    administrators: Vec<String>,

    /// IAM user whose access keys rotate (with --feature rotate-iam-key)
    #[arg(long = "user", value_name = "NAME")]
    users: Vec<String>,

    /// Role that an application assumes to read secrets (with --feature assume): name or ARN
    #[arg(long = "role", value_name = "NAME")]
    roles: Vec<String>,

    /// Rotation function (with --feature function or schedule, which rotation and operator have): name or ARN
    #[arg(long = "function", value_name = "NAME")]
    functions: Vec<String>,

    /// VPC endpoint that reads of the secret must go through (resource)
    #[arg(long = "endpoint", value_name = "VPCE-ID")]
    endpoints: Vec<String>,

    /// Account id (12 digits) for resources given by name
    #[arg(long, value_name = "ID", default_value = "", hide_default_value = true)]
    account: String,

    /// aws, aws-cn or aws-us-gov
    #[arg(long, value_name = "PARTITION", default_value = "aws", hide_possible_values = true, value_parser = offering(partitions, any))]
    partition: String,

    /// json, terraform or cloudformation
    #[arg(long, value_name = "FORMAT", default_value = "json", hide_possible_values = true, value_parser = offering(formats, str::parse::<Format>))]
    format: Format,

    /// Name of the resource in Terraform and CloudFormation
    #[arg(long, value_name = "NAME", default_value = "secretcache", value_parser = resource_name)]
    name: String,

    /// Compare with the policies attached to this role, user, key, secret or VPC endpoint (its ARN or id), and print the
    /// differences; exit status 4 if there are any
    #[arg(long, value_name = "ARN", conflicts_with_all = ["format", "name"])]
    check: Option<String>,

    /// Compare with a snapshot that `secretcache audit --save FILE` wrote; do not call AWS
    #[arg(long, value_name = "FILE", requires = "check", conflicts_with_all = ["profile", "endpoint_url"])]
    offline: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) service: Service,
}

const EXAMPLES: &str = "\
Examples:
  secretcache policy app --secret 'prod/checkout/*' \\
    --account 111122223333 --region eu-central-1
  secretcache policy rotation --secret prod/checkout/db \\
    --feature rotate-alternating-users --master-secret prod/admin \\
    --feature function --function rotate-checkout \\
    --account 111122223333 --region eu-central-1 --format terraform
  secretcache policy kms --secret 'prod/checkout/*' \\
    --reader arn:aws:iam::111122223333:role/checkout \\
    --account 111122223333 --region eu-central-1
  secretcache policy app --secret 'prod/checkout/*' \\
    --account 111122223333 --region eu-central-1 \\
    --check arn:aws:iam::111122223333:role/checkout
  secretcache policy resource --secret prod/checkout/db \\
    --reader arn:aws:iam::111122223333:role/checkout \\
    --account 111122223333 --region eu-central-1 \\
    --check prod/checkout/db --offline account.json

Exit status: 0 printed, 1 failed (the reason is on standard error), 2 wrong usage.
With --check: 0 nothing differs, 3 not yet (AWS cannot be reached: run it again), 4 something differs.";

fn kinds() -> Vec<&'static str> {
    Kind::ALL.map(Kind::name).to_vec()
}

fn features() -> Vec<&'static str> {
    FEATURES.iter().map(|feature| feature.id).collect()
}

fn partitions() -> Vec<&'static str> {
    vec!["aws", "aws-cn", "aws-us-gov"]
}

fn formats() -> Vec<&'static str> {
    vec!["json", "terraform", "cloudformation"]
}

/// Checks a resource name. Terraform and CloudFormation both accept these characters.
fn resource_name(text: &str) -> Result<String, String> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if text.starts_with(|c: char| c.is_ascii_alphabetic()) && text.chars().all(is_plain) {
        Ok(text.to_owned())
    } else {
        Err("must start with a letter, followed by letters, digits, - and _".to_owned())
    }
}

impl Policy {
    /// Prints the policy, or compares it with the policies that are attached.
    pub(crate) async fn run(&self) -> Result<Exit, Failure> {
        let (scope, document) = self.wanted().await?;
        let Some(attached_to) = self.check.clone() else {
            let text = render(&document, self.kind, self.format, &self.name);
            print(&text)?;
            return Ok(Exit::Done);
        };
        let selection = match self.kind {
            Kind::Resource => Selection::Ids(vec![attached_to.clone()]),
            // Keys are found through the secrets that they encrypt.
            _ if scope.secrets.iter().any(|secret| secret.contains('*')) => Selection::All,
            _ => Selection::Ids(scope.secrets.clone()),
        };
        // A snapshot in a file is always read in full.
        let selection = if self.offline.is_some() { Selection::All } else { selection };
        let files = Files::offline(self.offline.clone());
        let snapshot = files.obtain(selection, Extras::default(), &self.service).await?.snapshot;
        let wanted = Document::from_json(document).map_err(|error| Failure::usage(error.to_string()))?;
        let differences = differences(self.kind, &scope, &wanted, &snapshot, &attached_to)?;
        if differences.is_empty() {
            print(&format!("{}: the attached policies match what is needed\n", on_one_line(&attached_to)))?;
            return Ok(Exit::Done);
        }
        let lines = differences.iter().map(|difference| on_one_line(&difference.to_string()) + "\n");
        print(&lines.collect::<String>())?;
        Ok(Exit::Attention)
    }

    /// Returns the policy, and the scope that it was made for.
    pub(crate) async fn wanted(&self) -> Result<(Scope, serde_json::Value), Failure> {
        let by_arn = self.secrets.iter().all(|secret| secret.starts_with("arn:"));
        let region = match self.secrets.first().and_then(|secret| secret.split(':').nth(3)) {
            // Use the ARN's Region, unless --region is given: the environment's Region was not meant for it.
            Some(own) if by_arn && !self.service.has_region() => own.to_owned(),
            _ => self.service.region().await.unwrap_or_default(),
        };
        let scope = Scope {
            secrets: self.secrets.clone(),
            master_secrets: self.master_secrets.clone(),
            keys: self.keys.clone(),
            master_keys: self.master_keys.clone(),
            readers: self.readers.clone(),
            rotators: self.rotators.clone(),
            administrators: self.administrators.clone(),
            users: self.users.clone(),
            roles: self.roles.clone(),
            functions: self.functions.clone(),
            endpoints: self.endpoints.clone(),
            account: self.account.clone(),
            region,
            partition: self.partition.clone(),
        };
        let features: Vec<&str> = if self.features.is_empty() {
            self.kind.default_features().to_vec()
        } else {
            self.features.iter().map(String::as_str).collect()
        };
        let document =
            scope.policy(self.kind, &features).map_err(|error| Failure::usage(error.to_string()))?;
        Ok((scope, document))
    }
}

fn differences(
    kind: Kind,
    scope: &Scope,
    wanted: &Document,
    snapshot: &Snapshot,
    id: &str,
) -> Result<Vec<Difference>, Failure> {
    let unknown = |permission: &str| {
        let missing = snapshot.not_collected.iter().find(|it| it.permission == permission);
        Failure::usage(match missing {
            Some(missing) => format!("{id} cannot be compared: {permission} was refused ({})", missing.error),
            None => format!("{id} not found; check the ARN or the id"),
        })
    };
    match kind {
        Kind::Kms => {
            let is_it = |key: &&Key| {
                key.arn == id
                    || key.arn.ends_with(&format!("/{id}"))
                    || key.known_as.iter().any(|name| name == id)
            };
            let key = snapshot.keys.iter().find(is_it);
            if key.is_none() && id.contains("alias/") {
                return Err(Failure::usage(format!(
                    "{id} is an alias; give the key's ARN: \
                     aws kms describe-key --key-id {id} --query KeyMetadata.Arn"
                )));
            }
            let key = key.filter(|key| key.policy.is_some()).ok_or_else(|| unknown("kms:GetKeyPolicy"))?;
            Ok(compare_shared(kind, wanted, key.policy.as_ref(), scope, &key.arn))
        }
        Kind::Resource => {
            let secret = snapshot.secrets.iter().find(|secret| secret.arn == id || secret.name == id);
            let secret = secret.ok_or_else(|| unknown("secretsmanager:DescribeSecret"))?;
            Ok(compare_shared(kind, wanted, secret.resource_policy.as_ref(), scope, &secret.arn))
        }
        Kind::Endpoint => {
            let mut endpoints = snapshot.vpc_endpoints.iter().filter(|endpoint| !endpoint.is_gone());
            let endpoint = endpoints.find(|endpoint| endpoint.vpc_endpoint_id == id);
            let endpoint = endpoint.ok_or_else(|| unknown("ec2:DescribeVpcEndpoints"))?;
            Ok(compare_shared(kind, wanted, endpoint.policy.as_ref(), scope, id))
        }
        _ => {
            let principal = snapshot.principals.iter().find(|principal| principal.arn == id);
            let principal = principal.ok_or_else(|| unknown("iam:GetAccountAuthorizationDetails"))?;
            let account = Account::new(snapshot);
            if let Some((link, name)) = account.unknown_policies(principal).first() {
                return Err(Failure::usage(format!(
                    "{id} cannot be compared: the document of the {link} {name} was not read"
                )));
            }
            let (own, boundary) = (account.identity_policies(principal), account.boundary(principal));
            Ok(compare(wanted, own, boundary, &Caller::from_arn(id)))
        }
    }
}
