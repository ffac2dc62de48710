//! `secretcache access`: who can read a secret, through which statement, and what stops the others.

use std::path::{Path, PathBuf};

use clap::Args;
use secretcache_access::collect::Selection;
use secretcache_access::document::Effect;
use secretcache_access::evaluate::{Decision, Named, Outcome};
use secretcache_access::reach::{Account, Outsider};
use secretcache_access::snapshot::{Principal, Secret};
use secretcache_access::{Document, Snapshot};
use serde::Serialize;

use super::obtain::{Extras, Files};
use super::render;
use crate::exit::{EXIT_STATUSES, Exit, Failure};
use crate::rotation::note;
use crate::service::Service;
use crate::terminal::{on_one_line, print, print_json};

/// Show who can read a secret and which statement allows it; for a principal that cannot, show which policy is missing
///
/// Evaluates identity, resource, key and endpoint policies, permissions boundaries, the given session policies, and, if they can
/// be read, service and resource control policies and grants on the key. What depends on the request, such as its source address,
/// is shown as a condition. For each role that can read the secret, shows who can assume it.
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
    pub(crate) service: Service,
}

/// Whether a principal can read the secret, and why.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    principal: String,
    /// `Allowed`, `Denied` or `Conditional`.
    outcome: String,
    secret: ServiceDecision,
    /// `None` for the default key, which lets in every principal that the secret does.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<ServiceDecision>,
    #[serde(skip_serializing_if = "Option::is_none")]
    through_endpoint: Option<String>,
    /// For a role, who can assume it. `None` if its trust policy is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    assumed_by: Option<Vec<String>>,
    /// The openings through which strangers can assume it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    open_to: Vec<String>,
}

impl Answer {
    /// Makes a refusal conditional: an unknown resource policy may allow what no other policy does.
    fn leave_open(&mut self) {
        let helps = |missing: &String| {
            ["identity policy", "resource policy", "permissions boundary", "session policy"]
                .contains(&missing.as_str())
        };
        let is_refused = self.secret.outcome == "Denied"
            && self.secret.because.is_empty()
            && self.secret.missing.iter().all(helps);
        if is_refused && self.key.as_ref().is_none_or(|key| key.outcome != "Denied") {
            self.outcome = "Conditional".to_owned();
            self.secret.outcome = "Conditional".to_owned();
            self.secret.unknown.push("resource policy of the secret".to_owned());
        }
    }

    /// Whether no policy refuses access.
    fn is_let_in(&self) -> bool {
        self.secret.outcome != "Denied" && self.key.as_ref().is_none_or(|key| key.outcome != "Denied")
    }
}

/// The decision of one service.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct ServiceDecision {
    outcome: String,
    because: Vec<String>,
    missing: Vec<String>,
    conditions: Vec<String>,
    /// The statements of those conditions.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    depends_on: Vec<Depends>,
    /// Policies whose documents the snapshot does not have.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unknown: Vec<String>,
}

/// A statement that is not known to apply.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Depends {
    /// For a `Deny`, access is refused if the condition holds.
    effect: &'static str,
    statement: String,
    condition: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Result_ {
    name: String,
    #[serde(rename = "ARN")]
    arn: String,
    principals: Vec<Answer>,
    /// Whether roles and users are known at all.
    principals_are_known: bool,
    /// Why nobody can read it now, regardless of policies.
    #[serde(skip_serializing_if = "Option::is_none")]
    obstacle: Option<String>,
    /// Principals of other accounts that the resource policy lets in.
    other_accounts: Vec<String>,
    /// AWS services that the resource policy lets in.
    services: Vec<String>,
    /// Federated sessions (`sts:GetFederationToken`) of the account's users that the resource policy lets in.
    federated_users: Vec<String>,
    /// Grants on its key that allow decryption, regardless of policies.
    key_grants: Vec<KeyGrant>,
    /// Whether the grants are known.
    key_grants_are_known: bool,
    not_collected: Vec<String>,
}

/// A grant on the secret's key.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct KeyGrant {
    grant_id: String,
    grantee_principal: String,
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
                let mut answer = answer(&account, secret, find(snapshot, wanted)?);
                if account.is_policy_unknown(secret) {
                    answer.leave_open();
                }
                let exit = if answer.outcome == "Denied" { Exit::Attention } else { Exit::Done };
                (vec![answer], exit)
            }
            None => {
                let all = snapshot.principals.iter().map(|principal| answer(&account, secret, principal));
                // Principals that only the key keeps out are shown: that is usually a mistake.
                let is_open = |answer: &Answer| answer.secret.outcome != "Denied";
                // Without roles and users, it is not known who can read it.
                let exit = if snapshot.principals.is_empty() { Exit::Failed } else { Exit::Done };
                (all.filter(is_open).collect(), exit)
            }
        };
        let (services, other_accounts): (Vec<_>, Vec<_>) =
            account.outsiders(secret).into_iter().partition(|outsider| outsider.kind == "Service");
        let names = |all: Vec<Outsider>| all.into_iter().map(|outsider| outsider.principal).collect();
        let result = Result_ {
            name: secret.name.clone(),
            arn: secret.arn.clone(),
            principals,
            principals_are_known: !snapshot.principals.is_empty(),
            obstacle: account.obstacle(secret),
            other_accounts: names(other_accounts),
            services: names(services),
            federated_users: names(account.federated_users(secret)),
            key_grants: account
                .grants(secret)
                .unwrap_or_default()
                .into_iter()
                .map(|(id, who)| KeyGrant { grant_id: id.to_owned(), grantee_principal: who.to_owned() })
                .collect(),
            key_grants_are_known: account.grants(secret).is_some(),
            not_collected: missing(snapshot),
        };
        render::seen(if self.json {
            print_json(&result)
        } else {
            print(&lines(&result, self.principal.is_some()))
        })?;
        if exit == Exit::Failed {
            note(&unknown_principals(snapshot));
        }
        Ok(exit)
    }
}

/// Explains why no roles and users are known.
fn unknown_principals(snapshot: &Snapshot) -> String {
    let mut refused = snapshot.not_collected.iter();
    match refused.find(|it| it.permission == "iam:GetAccountAuthorizationDetails") {
        Some(it) => format!("roles and users are not known: {} was refused ({})", it.permission, it.error),
        None => "roles and users are not known: the snapshot has none".to_owned(),
    }
}

/// Reads a policy, named after its file.
fn document(file: &Path) -> Result<(String, Document), Failure> {
    let name = file.display().to_string();
    let text = std::fs::read_to_string(file).map_err(|error| Failure::usage(format!("{name}: {error}")))?;
    let document = Document::parse(&text).map_err(|error| Failure::usage(format!("{name}: {error}")))?;
    document.check_of_identity().map_err(|error| Failure::usage(format!("{name}: {error}")))?;
    Ok((name, document))
}

/// The permissions whose lack can make the answer wrong.
fn missing(snapshot: &Snapshot) -> Vec<String> {
    const NEEDED: [&str; 17] = [
        "iam:GetAccountAuthorizationDetails",
        "lambda:ListFunctions", // this and the next five: which endpoint a role's requests use
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
        "kms:ListGrants",
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
    // A session counts as its role. Its ARN lacks the role's path.
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
            let why = if snapshot.principals.is_empty() {
                unknown_principals(snapshot)
            } else {
                format!("no role or user {wanted} in account {}", snapshot.account)
            };
            Err(Failure::from(Box::<dyn std::error::Error>::from(why)))
        }
    }
}

fn answer<'a>(account: &Account<'a>, secret: &'a Secret, principal: &'a Principal) -> Answer {
    let access = account.read(secret, principal);
    // Evaluate the key even if the secret is closed: both permissions can be missing.
    let key = access
        .key
        .clone()
        .or_else(|| account.key_decision(secret, principal, secretcache_access::reach::DECRYPT));
    let outcome = if account.obstacle(secret).is_some() { Outcome::Denied } else { access.outcome() };
    let of_secret = service_decision(&access.secret);
    let mut conditions = of_secret.conditions.clone();
    conditions.extend(access.avoids.map(|endpoint| {
        let id = &endpoint.vpc_endpoint_id;
        format!(
            "the network path: requests through the endpoint {id}, which its known functions and services use, are \
             refused; other tasks, functions and sessions with the role may use another path"
        )
    }));
    Answer {
        principal: principal.arn.clone(),
        outcome: format!("{outcome:?}"),
        through_endpoint: access.endpoint.map(|endpoint| endpoint.vpc_endpoint_id.clone()),
        secret: ServiceDecision { conditions, ..of_secret },
        key: key.as_ref().map(service_decision),
        assumed_by: account.assumers(principal).map(|all| each_once(all.iter())),
        open_to: each_once(account.openings(principal).iter().map(|(_, opening)| opening)),
    }
}

/// Removes duplicates: levels of an organization often have the same policies.
fn each_once(all: impl Iterator<Item = impl ToString>) -> Vec<String> {
    let mut seen: Vec<String> = Vec::new();
    for one in all.map(|one| one.to_string()) {
        if !seen.contains(&one) {
            seen.push(one);
        }
    }
    seen
}

fn service_decision(decision: &Decision<'_>) -> ServiceDecision {
    let conditions = decision.depends_on.iter().map(|cited| match cited.statement.effect {
        Effect::Allow => format!("{cited} if {}", cited.depends_on()),
        Effect::Deny => format!("unless {}, which {cited} denies", cited.depends_on()),
    });
    let depends_on = decision.depends_on.iter().map(|cited| Depends {
        effect: if cited.statement.effect == Effect::Deny { "Deny" } else { "Allow" },
        statement: cited.to_string(),
        condition: cited.depends_on(),
    });
    ServiceDecision {
        outcome: format!("{:?}", decision.outcome),
        because: each_once(decision.because.iter()),
        missing: each_once(decision.missing.iter()),
        conditions: conditions.collect(),
        depends_on: depends_on.collect(),
        unknown: decision.unknown.iter().map(|(link, name)| format!("{link} {name}")).collect(),
    }
}

fn lines(result: &Result_, is_about_one: bool) -> String {
    let mut text = String::new();
    if !is_about_one {
        let count = result.principals.iter().filter(|answer| answer.outcome != "Denied").count();
        let principals = if count == 1 { "principal" } else { "principals" };
        let name = on_one_line(&result.name);
        text += &if result.principals_are_known {
            format!("{name}: {count} {principals} in the account can read it\n")
        } else {
            format!("{name}: cannot tell who in the account can read it: its roles and users were not read\n")
        };
    }
    if let Some(obstacle) = &result.obstacle {
        text += &format!("nobody can read it now: {obstacle}\n");
    }
    for answer in &result.principals {
        let is_unknown = [Some(&answer.secret), answer.key.as_ref()]
            .into_iter()
            .flatten()
            .any(|decision| !decision.unknown.is_empty());
        let can = match answer.outcome.as_str() {
            "Allowed" => "can read it",
            "Conditional" if is_unknown => "may be able to read it: not all policies are known",
            _ if result.obstacle.is_some() && answer.is_let_in() => "cannot read it now; policies allow it",
            "Conditional" => "can read it under conditions",
            _ if is_about_one => "cannot read it",
            _ => "is allowed by the secret's policies, but not by its key",
        };
        text += &format!("{} {can}\n", on_one_line(&answer.principal));
        text += &decision_lines("Secrets Manager", &answer.secret);
        if let Some(key) = &answer.key {
            text += &decision_lines("KMS", key);
        }
        if let Some(endpoint) = &answer.through_endpoint {
            text += &format!("  through the endpoint {endpoint}: code with this role runs in that VPC\n");
        }
        text += &becoming(answer);
    }
    for other in &result.other_accounts {
        text += &match other.as_str() {
            "*" => "everyone is allowed by the resource policy, in any account\n".to_owned(),
            other => format!(
                "{} is allowed by the resource policy, if its own account allows it too\n",
                on_one_line(other)
            ),
        };
    }
    for service in &result.services {
        text += &format!("{} is allowed by the resource policy\n", on_one_line(service));
    }
    for user in &result.federated_users {
        let user = on_one_line(user);
        text += &format!(
            "{user} is allowed by the resource policy: a session that a user created with GetFederationToken\n"
        );
    }
    for KeyGrant { grant_id, grantee_principal } in &result.key_grants {
        let grantee = on_one_line(grantee_principal);
        text +=
            &format!("{grantee} can decrypt with the key by grant {grant_id}, whatever the policies say\n");
    }
    if !result.key_grants_are_known {
        text += "the grants on its key are not known (kms:ListGrants): a grantee can decrypt without any policy\n";
    }
    for permission in &result.not_collected {
        text += &format!("{permission} failed, so this answer may be wrong\n");
    }
    text
}

/// Lists who can assume a role that can read.
fn becoming(answer: &Answer) -> String {
    let mut text = match &answer.assumed_by {
        _ if !answer.principal.contains(":role/") => String::new(),
        None => "  can be assumed by: not known; its trust policy was not read\n".to_owned(),
        Some(all) if all.is_empty() => {
            "  can be assumed by: nobody; its trust policy allows no one\n".to_owned()
        }
        Some(all) => format!("  can be assumed by: {}\n", on_one_line(&all.join("; "))),
    };
    for opening in &answer.open_to {
        text += &format!("  too open: {}\n", on_one_line(opening));
    }
    text
}

fn decision_lines(service: &str, decision: &ServiceDecision) -> String {
    let mut text = String::new();
    let verb = if decision.outcome == "Denied" { "denied by" } else { "allowed by" };
    for because in &decision.because {
        text += &format!("  {service}: {verb} {}\n", on_one_line(because));
    }
    for missing in &decision.missing {
        text += &format!("  {service}: no {missing} allows it\n");
    }
    for condition in &decision.conditions {
        let depends = if condition.starts_with("unless ") { "" } else { "depends on " };
        text += &format!("  {service}: {depends}{}\n", on_one_line(condition));
    }
    for unknown in &decision.unknown {
        text += &format!("  {service}: not known: the document of {}\n", on_one_line(unknown));
    }
    text
}

const EXAMPLES: &str = "\
Examples:
  secretcache access prod/checkout/db
  secretcache access prod/checkout/db \\
    --principal arn:aws:iam::111122223333:role/app
  secretcache access prod/checkout/db --principal app \\
    --session-policy session.json
  secretcache access prod/checkout/db --principal app \\
    --offline account.json --json";
