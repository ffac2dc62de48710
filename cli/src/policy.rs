//! `secretcache policy`: the least-privilege policy for given secrets and principals.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::Args;
use secretcache_access::evaluate::{Caller, Named};
use secretcache_access::policy::{Format, Kind, Scope, compare, render};
use secretcache_access::{Document, Snapshot};

use crate::exit::{Exit, Failure};

/// Print the least-privilege policy for an application, a rotation, a key, a secret or an endpoint
///
/// Kinds: app (the role of an application), rotation (the role of a rotation function), ci (a job that runs `secretcache rotate
/// --due`), operator (a person), kms (a key policy), resource (a secret's resource policy), endpoint (a VPC endpoint's policy).
/// No statement names `*` where a narrower resource exists. Nothing is sent to AWS.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Policy {
    /// app, rotation, ci, operator, kms, resource or endpoint
    #[arg(value_name = "KIND")]
    kind: Kind,

    /// Secrets: names, ARNs, or paths such as prod/checkout/*
    #[arg(long = "secret", short, value_name = "ID", required = true)]
    secrets: Vec<String>,

    /// What the policy is for, such as read, prefetch or rotate-alternating-users; see docs/permissions.md [default: by kind]
    #[arg(long = "feature", value_name = "FEATURE")]
    features: Vec<String>,

    /// The administrator's secret, for rotations that need one
    #[arg(long = "master-secret", value_name = "ID")]
    master_secrets: Vec<String>,

    /// ARN of the customer-managed key that encrypts the secrets
    #[arg(long = "key", value_name = "ARN")]
    keys: Vec<String>,

    /// ARN of the key that encrypts the administrator's secret
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

    /// IAM user whose access keys rotate
    #[arg(long = "user", value_name = "NAME")]
    users: Vec<String>,

    /// Rotation function: name or ARN
    #[arg(long = "function", value_name = "NAME")]
    functions: Vec<String>,

    /// VPC endpoint through which the secret must be read (resource)
    #[arg(long = "endpoint", value_name = "VPCE-ID")]
    endpoints: Vec<String>,

    /// Account of secrets that are not given as ARNs
    #[arg(long, value_name = "ID", default_value = "")]
    account: String,

    /// Region of secrets that are not given as ARNs
    #[arg(long, value_name = "REGION", default_value = "")]
    region: String,

    /// aws, aws-cn or aws-us-gov
    #[arg(long, value_name = "PARTITION", default_value = "aws")]
    partition: String,

    /// json, terraform or cloudformation
    #[arg(long, value_name = "FORMAT", default_value = "json")]
    format: Format,

    /// Name of the resource in Terraform and CloudFormation
    #[arg(long, value_name = "NAME", default_value = "secretcache")]
    name: String,

    /// Compare with what is attached to this role or user in the snapshot, and print the differences; exit status 4 if any
    #[arg(long, value_name = "ARN", requires = "offline")]
    check: Option<String>,

    /// Snapshot to compare with, written by `secretcache audit --save FILE`
    #[arg(long, value_name = "FILE")]
    offline: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  secretcache policy app --secret 'prod/checkout/*' --account 111122223333 --region eu-central-1 --key arn:aws:kms:…
  secretcache policy rotation --secret prod/checkout/db --function rotate-checkout --feature rotate-alternating-users \\
      --master-secret prod/admin --account 111122223333 --region eu-central-1 --format terraform
  secretcache policy kms --secret 'prod/checkout/*' --reader arn:aws:iam::111122223333:role/checkout --account …
  secretcache policy app --secret 'prod/checkout/*' --account … --offline account.json \\
      --check arn:aws:iam::111122223333:role/checkout";

impl Policy {
    pub(crate) fn run(self) -> Result<Exit, Failure> {
        let scope = Scope {
            secrets: self.secrets,
            master_secrets: self.master_secrets,
            keys: self.keys,
            master_keys: self.master_keys,
            readers: self.readers,
            rotators: self.rotators,
            administrators: self.administrators,
            users: self.users,
            functions: self.functions,
            endpoints: self.endpoints,
            account: self.account,
            region: self.region,
            partition: self.partition,
        };
        let features: Vec<&str> = if self.features.is_empty() {
            self.kind.default_features().to_vec()
        } else {
            self.features.iter().map(String::as_str).collect()
        };
        let document =
            scope.policy(self.kind, &features).map_err(|error| Failure::usage(error.to_string()))?;
        let mut out = io::stdout().lock();
        let (Some(arn), Some(file)) = (self.check, self.offline) else {
            out.write_all(render(&document, self.kind, self.format, &self.name).as_bytes())?;
            return Ok(Exit::Done);
        };
        let text = std::fs::read_to_string(&file)
            .map_err(|error| Failure::usage(format!("{}: {error}", file.display())))?;
        let snapshot =
            Snapshot::parse(&text).map_err(|error| Failure::usage(format!("{}: {error}", file.display())))?;
        let attached = attached(&snapshot, &arn)?;
        let wanted = Document::from_json(document).map_err(|error| Failure::usage(error.to_string()))?;
        let differences = compare(&wanted, &attached, &Caller::from_arn(&arn));
        for difference in &differences {
            writeln!(out, "{difference}")?;
        }
        if differences.is_empty() {
            writeln!(out, "{arn}: what is attached is what is needed")?;
            return Ok(Exit::Done);
        }
        Ok(Exit::Attention)
    }
}

/// The policies of a role or user, by name.
fn attached<'a>(snapshot: &'a Snapshot, arn: &str) -> Result<Vec<Named<'a>>, Failure> {
    let Some(principal) = snapshot.principals.iter().find(|principal| principal.arn == arn) else {
        return Err(Failure::usage(format!(
            "{arn} is not in the snapshot; collect it again, or check the ARN"
        )));
    };
    let inline = principal
        .inline_policies
        .iter()
        .filter_map(|policy| Some(Named { name: &policy.name, document: policy.document.as_ref()? }));
    let managed = principal
        .attached_policies
        .iter()
        .filter_map(|arn| Some(Named { name: arn, document: snapshot.managed_policies.get(arn)? }));
    Ok(inline.chain(managed).collect())
}
