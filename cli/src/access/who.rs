//! `secretcache access`: who can read a secret, by which statement, and what keeps the others out.

use std::path::{Path, PathBuf};

use clap::Args;
use secretcache_access::collect::Selection;
use secretcache_access::evaluate::{Decision, Named, Outcome};
use secretcache_access::reach::Account;
use secretcache_access::snapshot::{Principal, Secret};
use secretcache_access::{Document, Snapshot};
use serde::Serialize;

use super::obtain::{Extras, Files};
use super::render;
use crate::exit::{EXIT_STATUSES, Exit, Failure};
use crate::service::Service;
use crate::terminal::on_one_line;

/// Show who can read a secret and by which statement; for a principal that cannot, which policy it lacks
///
/// Evaluates identity, resource, key and endpoint policies, permissions boundaries, the given session policies, and, if they can
/// be read, service and resource control policies. What depends on the request, such as its source address, is shown as a condition.
#[derive(Args)]
#[command(after_help = format!("{EXAMPLES}\n\n{EXIT_STATUSES}"))]
pub(crate) struct Access {
    /// The secret's name or ARN
    #[arg(value_name = "ID")]
    secret_id: String,

    /// Check only this role or user (ARN or name); exit with status 4 if it cannot read the secret
    #[arg(long, value_name = "ARN")]
    principal: Option<String>,

    /// Session policy, as for `aws sts assume-role`: a JSON file; repeat for several
    #[arg(long = "session-policy", value_name = "FILE", requires = "principal")]
    session_policies: Vec<PathBuf>,

    /// Print the result as JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    files: Files,

    #[command(flatten)]
    service: Service,
}

/// How a principal stands to the secret.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    principal: String,
    /// `Allowed`, `Denied` or `Conditional`.
    outcome: String,
    secret: Side,
    /// Of a secret under the default key, or one whose key policy cannot be read, nothing is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<Side>,
    #[serde(skip_serializing_if = "Option::is_none")]
    through_endpoint: Option<String>,
}

impl Answer {
    /// Whether policies leave the way open.
    fn is_let_in(&self) -> bool {
        self.secret.outcome != "Denied" && self.key.as_ref().is_none_or(|key| key.outcome != "Denied")
    }
}

/// What one service decides.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Side {
    outcome: String,
    because: Vec<String>,
    missing: Vec<String>,
    conditions: Vec<String>,
    /// Policies whose documents the snapshot does not have.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unknown: Vec<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Result_ {
    name: String,
    #[serde(rename = "ARN")]
    arn: String,
    principals: Vec<Answer>,
    /// Why nobody can read it now, whatever the policies say.
    #[serde(skip_serializing_if = "Option::is_none")]
    obstacle: Option<String>,
    /// Principals of other accounts that the resource policy lets in.
    other_accounts: Vec<String>,
    not_collected: Vec<String>,
}

impl Access {
    pub(crate) async fn run(&self) -> Result<Exit, Failure> {
        let selection = Selection::Ids(vec![self.secret_id.clone()]);
        let obtained = self.files.obtain(selection, Extras::default(), &self.service).await?;
        let snapshot = &obtained.snapshot;
        self.files.keep(snapshot)?;
        let [secret] = snapshot.secrets.as_slice() else {
            return Err(Failure::usage(format!("{} names more than one secret", self.secret_id)));
        };
        let session =
            self.session_policies.iter().map(|file| document(file)).collect::<Result<Vec<_>, _>>()?;
        let named = session.iter().map(|(name, document)| Named { name, document }).collect();
        let account = Account::new(snapshot).with_session_policies(named);
        let (principals, exit) = match &self.principal {
            Some(wanted) => {
                let answer = answer(&account, secret, find(snapshot, wanted)?);
                let exit = if answer.outcome == "Denied" { Exit::Attention } else { Exit::Done };
                (vec![answer], exit)
            }
            None => {
                let all = snapshot.principals.iter().map(|principal| answer(&account, secret, principal));
                // Whom the key alone keeps out is worth knowing: that is mostly a mistake.
                let is_open = |answer: &Answer| answer.secret.outcome != "Denied";
                (all.filter(is_open).collect(), Exit::Done)
            }
        };
        let result = Result_ {
            name: secret.name.clone(),
            arn: secret.arn.clone(),
            principals,
            obstacle: account.obstacle(secret),
            other_accounts: account
                .outsiders(secret)
                .into_iter()
                .map(|outsider| outsider.principal)
                .collect(),
            not_collected: missing(snapshot),
        };
        let text = if self.json {
            serde_json::to_string_pretty(&result).map_err(std::io::Error::from)? + "\n"
        } else {
            lines(&result, self.principal.is_some())
        };
        render::print(&text)?;
        Ok(exit)
    }
}

/// A policy, called as its file is.
fn document(file: &Path) -> Result<(String, Document), Failure> {
    let name = file.display().to_string();
    let text = std::fs::read_to_string(file).map_err(|error| Failure::usage(format!("{name}: {error}")))?;
    let document = Document::parse(&text).map_err(|error| Failure::usage(format!("{name}: {error}")))?;
    Ok((name, document))
}

/// What the answer may be wrong for want of.
fn missing(snapshot: &Snapshot) -> Vec<String> {
    const NEEDED: [&str; 16] = [
        "iam:GetAccountAuthorizationDetails",
        "lambda:ListFunctions", // this and the next five: which endpoint a role's requests take
        "ecs:ListClusters",
        "ecs:ListServices",
        "ecs:DescribeServices",
        "ec2:DescribeInstances",
        "ec2:DescribeVpcEndpoints",
        "secretsmanager:DescribeSecret",
        "ecs:DescribeTaskDefinition",
        "secretsmanager:GetResourcePolicy",
        "kms:DescribeKey",
        "kms:GetKeyPolicy",
        "organizations:DescribeOrganization",
        "organizations:ListParents",
        "organizations:ListPoliciesForTarget",
        "organizations:DescribePolicy",
    ];
    let mut all: Vec<_> = snapshot.not_collected.iter().map(|it| it.permission.clone()).collect();
    all.retain(|permission| NEEDED.contains(&permission.as_str()));
    all.sort();
    all.dedup();
    all
}

fn find<'a>(snapshot: &'a Snapshot, wanted: &str) -> Result<&'a Principal, Failure> {
    // A session is its role, whose path its ARN does not tell.
    let session = wanted.split_once(":assumed-role/").and_then(|(start, rest)| {
        Some((start.split(':').nth(4)?.to_owned(), rest.split('/').next()?.to_owned()))
    });
    let is_role_of = |principal: &Principal| {
        session.as_ref().is_some_and(|(account, name)| {
            principal.arn.contains(&format!("::{account}:role/"))
                && principal.arn.rsplit('/').next() == Some(name.as_str())
        })
    };
    let is = |principal: &&Principal| {
        is_role_of(principal)
            || principal.arn == wanted
            || principal.arn.rsplit_once('/').is_some_and(|(_, name)| name == wanted)
    };
    let mut found = snapshot.principals.iter().filter(is);
    match (found.next(), found.next()) {
        (Some(only), None) => Ok(only),
        (Some(_), Some(_)) => Err(Failure::usage(format!("{wanted} is a role and a user; give the ARN"))),
        (None, _) => {
            let mut refused = snapshot.not_collected.iter();
            let why = match refused.find(|it| it.permission == "iam:GetAccountAuthorizationDetails") {
                Some(it) => {
                    format!("roles and users are not known: {} was refused ({})", it.permission, it.error)
                }
                None => format!("no role or user {wanted} in account {}", snapshot.account),
            };
            Err(Failure::from(Box::<dyn std::error::Error>::from(why)))
        }
    }
}

fn answer<'a>(account: &Account<'a>, secret: &'a Secret, principal: &Principal) -> Answer {
    let access = account.read(secret, principal);
    // Also where the secret is closed, the key is part of the answer: both may be missing.
    let key = access
        .key
        .clone()
        .or_else(|| account.key_decision(secret, principal, secretcache_access::reach::DECRYPT));
    let outcome = if account.obstacle(secret).is_some() { Outcome::Denied } else { access.outcome() };
    Answer {
        principal: principal.arn.clone(),
        outcome: format!("{outcome:?}"),
        through_endpoint: access.endpoint.map(|endpoint| endpoint.vpc_endpoint_id.clone()),
        secret: side(&access.secret),
        key: key.as_ref().map(side),
    }
}

fn side(decision: &Decision<'_>) -> Side {
    let conditions = decision.depends_on.iter().map(|cited| {
        let conditions: Vec<_> = cited.statement.conditions.iter().map(ToString::to_string).collect();
        let effect = if decision.outcome == Outcome::Denied { "" } else { " if " };
        format!("{cited}{effect}{}", conditions.join(" and "))
    });
    Side {
        outcome: format!("{:?}", decision.outcome),
        because: decision.because.iter().map(ToString::to_string).collect(),
        missing: decision.missing.iter().map(ToString::to_string).collect(),
        conditions: conditions.collect(),
        unknown: decision.unknown.iter().map(|(link, name)| format!("{link} {name}")).collect(),
    }
}

fn lines(result: &Result_, is_about_one: bool) -> String {
    let mut text = String::new();
    if !is_about_one {
        let count = result.principals.iter().filter(|answer| answer.outcome != "Denied").count();
        let principals = if count == 1 { "principal" } else { "principals" };
        text += &format!("{}: {count} {principals} of the account can read it\n", on_one_line(&result.name));
    }
    if let Some(obstacle) = &result.obstacle {
        text += &format!("nobody can read it now: {obstacle}\n");
    }
    for answer in &result.principals {
        let is_unknown = [Some(&answer.secret), answer.key.as_ref()]
            .into_iter()
            .flatten()
            .any(|side| !side.unknown.is_empty());
        let can = match answer.outcome.as_str() {
            "Allowed" => "can read it",
            "Conditional" if is_unknown => "may be able to read it: not known",
            _ if result.obstacle.is_some() && answer.is_let_in() => "cannot read it now; policies allow it",
            "Conditional" => "can read it on conditions",
            _ if is_about_one => "cannot read it",
            _ => "is let in by the secret and kept out by its key",
        };
        text += &format!("{} {can}\n", on_one_line(&answer.principal));
        text += &side_lines("Secrets Manager", &answer.secret);
        if let Some(key) = &answer.key {
            text += &side_lines("KMS", key);
        }
        if let Some(endpoint) = &answer.through_endpoint {
            text += &format!("  through the endpoint {endpoint}, as what runs as it is in that VPC\n");
        }
    }
    for other in &result.other_accounts {
        let other = on_one_line(other);
        text += &format!("{other} is let in by the resource policy, if its own account allows it\n");
    }
    for permission in &result.not_collected {
        text += &format!("not known: {permission} was refused, so the answer may be wrong\n");
    }
    text
}

fn side_lines(service: &str, side: &Side) -> String {
    let mut text = String::new();
    let verb = if side.outcome == "Denied" { "denied by" } else { "allowed by" };
    for because in &side.because {
        text += &format!("  {service}: {verb} {}\n", on_one_line(because));
    }
    for missing in &side.missing {
        text += &format!("  {service}: no {missing} allows it\n");
    }
    for condition in &side.conditions {
        text += &format!("  {service}: depends on {}\n", on_one_line(condition));
    }
    for unknown in &side.unknown {
        text += &format!("  {service}: not known: the document of {}\n", on_one_line(unknown));
    }
    text
}

const EXAMPLES: &str = "\
Examples:
  secretcache access prod/checkout/db
  secretcache access prod/checkout/db --principal arn:aws:iam::111122223333:role/app
  secretcache access prod/checkout/db --principal app --session-policy session.json
  secretcache access prod/checkout/db --principal app --offline account.json --json";
