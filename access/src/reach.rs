//! Who can read a secret: runs the evaluator on everything in a snapshot.

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;

use crate::condition::Context;
use crate::document::{Effect, Scope, Statement};
use crate::evaluate::{Caller, Decision, Link, Named, Outcome, Policies, Request, concerns_action, evaluate};
pub use crate::exposure::Outsider;
use crate::pattern::matches;
use crate::service;
use crate::snapshot::{Function, Key, Principal, Secret, Snapshot, VpcEndpoint};

/// The action that reads a secret value.
pub const READ: &str = "secretsmanager:GetSecretValue";
/// The action on the KMS key that a read needs.
pub const DECRYPT: &str = "kms:Decrypt";
/// The action on the KMS key that a write needs in addition to [`DECRYPT`].
pub const GENERATE: &str = "kms:GenerateDataKey";

mod becoming;
mod grants;
mod outside;
mod requests;
mod trust;

pub(crate) use becoming::{PASS, Step, StepKind};
pub use trust::{Assumer, Opening};

const STAGE: &str = "secretsmanager:VersionStage";

/// A snapshot, indexed for many queries.
///
/// ```
/// use secretcache_access::Snapshot;
/// use secretcache_access::evaluate::Outcome;
/// use secretcache_access::reach::Account;
///
/// let snapshot = Snapshot::parse(
///     r#"{
///     "Account": "111122223333", "Region": "eu-central-1",
///     "Secrets": [{"Name": "prod/db", "ARN": "arn:aws:secretsmanager:eu-central-1:111122223333:secret:prod/db-AbCdEf"}],
///     "Principals": [{"Arn": "arn:aws:iam::111122223333:role/app", "InlinePolicies": [{"Name": "read", "Document":
///         {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "secretsmanager:GetSecretValue",
///          "Resource": "arn:aws:secretsmanager:eu-central-1:111122223333:secret:prod/*"}]}}]}]
///     }"#,
/// )?;
/// let account = Account::new(&snapshot);
/// let access = account.read(&snapshot.secrets[0], &snapshot.principals[0]);
/// assert_eq!(access.outcome(), Outcome::Allowed);
/// # Ok::<(), secretcache_access::snapshot::SnapshotError>(())
/// ```
#[derive(Debug)]
pub struct Account<'a> {
    /// The snapshot it was built from.
    pub snapshot: &'a Snapshot,
    keys: HashMap<&'a str, &'a Key>,
    principals: HashMap<&'a str, Prepared<'a>>,
    service_control: Vec<Vec<Named<'a>>>,
    resource_control: Vec<Vec<Named<'a>>>,
    functions: HashMap<&'a str, Vec<&'a Function>>,
    /// The networks of everything that runs as a role, by the role's ARN: the VPC (`None` outside any VPC), and whether
    /// it calls FIPS endpoints.
    networks: HashMap<&'a str, Vec<(Option<&'a str>, bool)>>,
    functions_by_arn: HashMap<&'a str, &'a Function>,
    session: Vec<Named<'a>>,
    /// Missing permissions, each with the resource it was missing for; an empty resource means all of them. A set,
    /// because there can be one per secret.
    refused: HashSet<(&'a str, &'a str)>,
    /// Control policies of the organization whose documents are unknown.
    unknown: Vec<(Link, &'a str)>,
}

#[derive(Clone, Debug)]
struct Prepared<'a> {
    caller: Caller,
    identity: Vec<Named<'a>>,
    boundary: Option<Named<'a>>,
    /// The principal's own policies whose documents are unknown.
    unknown: Vec<(Link, &'a str)>,
    context: Context,
    endpoint: Option<&'a VpcEndpoint>,
    /// The principal's own statements that allow reading some secret.
    reads: Vec<&'a Statement>,
}

/// A principal's access to a secret.
#[derive(Clone, Debug)]
pub struct Access<'a> {
    /// The decision of Secrets Manager.
    pub secret: Decision<'a>,
    /// The decision of KMS. `None` for the default key, which is open to everyone who can read the secret.
    pub key: Option<Decision<'a>>,
    /// The VPC endpoint that the principal's requests take, as far as the workloads that run as it show.
    pub endpoint: Option<&'a VpcEndpoint>,
    /// Set if the principal's workloads use this endpoint, but only requests that bypass it are allowed. Such requests
    /// exist: tasks can run outside services, functions in other Regions, and sessions wherever their credentials are.
    pub avoids: Option<&'a VpcEndpoint>,
}

impl Access<'_> {
    /// Returns the stricter of the two outcomes.
    pub fn outcome(&self) -> Outcome {
        self.key.as_ref().map_or(self.secret.outcome, |key| key.outcome.min(self.secret.outcome))
    }

    /// Checks whether the secret is open to the principal but its key is not: "Access to KMS is not allowed".
    pub fn lacks_key(&self) -> bool {
        self.secret.outcome != Outcome::Denied
            && self.key.as_ref().is_some_and(|key| key.outcome == Outcome::Denied)
    }
}

impl<'a> Account<'a> {
    /// Indexes a snapshot.
    pub fn new(snapshot: &'a Snapshot) -> Self {
        let mut keys = HashMap::new();
        for key in &snapshot.keys {
            keys.insert(key.arn.as_str(), key);
            keys.extend(key.known_as.iter().map(|name| (name.as_str(), key)));
        }
        let mut functions: HashMap<_, Vec<_>> = HashMap::new();
        for function in &snapshot.functions {
            functions.entry(function.role.as_str()).or_default().push(function);
        }
        let mut networks: HashMap<_, Vec<_>> = HashMap::new();
        for place in snapshot.places() {
            for role in place.roles {
                networks.entry(role.as_str()).or_default().push((place.vpc_id, place.uses_fips_endpoint));
            }
        }
        let levels = |levels: &'a [crate::snapshot::PolicyLevel]| {
            let level =
                |level: &'a crate::snapshot::PolicyLevel| level.policies.iter().filter_map(named).collect();
            // A kind of control policy without any policy is turned off; AWS attaches FullAWSAccess everywhere else.
            levels.iter().map(level).filter(|level: &Vec<_>| !level.is_empty()).collect()
        };
        let is_exempt = snapshot.is_management_account;
        let mut unknown = Vec::new();
        for (link, levels) in [
            (Link::ServiceControl, &snapshot.service_control_policies),
            (Link::ResourceControl, &snapshot.resource_control_policies),
        ] {
            let policies = levels.iter().filter(|_| !is_exempt).flat_map(|level| &level.policies);
            unknown.extend(policies.filter(|it| it.document.is_none()).map(|it| (link, it.name.as_str())));
        }
        let mut account = Self {
            snapshot,
            keys,
            principals: HashMap::new(),
            service_control: if is_exempt { Vec::new() } else { levels(&snapshot.service_control_policies) },
            resource_control: if is_exempt {
                Vec::new()
            } else {
                levels(&snapshot.resource_control_policies)
            },
            functions,
            networks,
            unknown,
            functions_by_arn: snapshot
                .functions
                .iter()
                .map(|it| (unqualified(&it.function_arn), it))
                .collect(),
            session: Vec::new(),
            refused: snapshot
                .not_collected
                .iter()
                .map(|it| (it.permission.as_str(), it.resource.as_deref().unwrap_or_default()))
                .collect(),
        };
        account.principals =
            snapshot.principals.iter().map(|it| (it.arn.as_str(), account.prepare(it))).collect();
        account
    }

    /// Restricts every principal by these session policies, as if its session were created with them by
    /// `sts:AssumeRole`.
    #[must_use]
    pub fn with_session_policies(mut self, policies: Vec<Named<'a>>) -> Self {
        self.session = policies;
        self
    }

    fn prepare(&self, principal: &'a Principal) -> Prepared<'a> {
        let managed = |arn: &'a String| {
            let document = self.snapshot.managed_policies.get(arn)?;
            Some(Named { name: arn, document })
        };
        let inline = principal.inline_policies.iter().filter_map(named);
        let nameless = principal.inline_policies.iter().filter(|it| it.document.is_none());
        let absent = |arn: &&'a String| !self.snapshot.managed_policies.contains_key(*arn);
        let unknown = nameless
            .map(|it| (Link::Identity, it.name.as_str()))
            .chain(
                principal.attached_policies.iter().filter(absent).map(|arn| (Link::Identity, arn.as_str())),
            )
            .chain(
                principal
                    .permissions_boundary
                    .iter()
                    .filter(absent)
                    .map(|arn| (Link::Boundary, arn.as_str())),
            )
            .collect();
        let caller = Caller::from_arn(&principal.arn).with_id(&principal.id);
        let endpoint = self.endpoint_of(&principal.arn);
        let identity: Vec<_> = inline.chain(principal.attached_policies.iter().filter_map(managed)).collect();
        let statements = identity.iter().flat_map(|policy| &policy.document.statements);
        Prepared {
            reads: statements.filter(|it| allows(it, READ)).collect(),
            identity,
            boundary: principal.permissions_boundary.as_ref().and_then(managed),
            unknown,
            context: self.context_of(principal, &caller, endpoint),
            caller,
            endpoint,
        }
    }

    /// Checks whether something was not collected because this permission was missing, on any resource.
    pub fn is_missing(&self, permission: &str) -> bool {
        self.snapshot.not_collected.iter().any(|it| it.permission == permission)
    }

    /// Returns the endpoint that a role's requests take. It is known only if everything that runs as the role is in one
    /// VPC.
    fn endpoint_of(&self, role: &str) -> Option<&'a VpcEndpoint> {
        let networks = self.networks.get(role)?;
        let (vpc, is_fips) = *networks.first()?;
        if !networks.iter().all(|network| *network == (vpc, is_fips)) {
            return None;
        }
        self.snapshot.endpoint_of_name(vpc?, is_fips)
    }

    /// Returns the functions that run as a role.
    pub fn functions_of(&self, role: &str) -> &[&'a Function] {
        self.functions.get(role).map(Vec::as_slice).unwrap_or_default()
    }

    /// Returns the rotation function of a secret, if it is in this account.
    pub fn rotation_function(&self, secret: &Secret) -> Option<&'a Function> {
        self.functions_by_arn.get(unqualified(secret.rotation_lambda_arn.as_deref()?)).copied()
    }

    /// Returns the secret's key; `None` for `aws/secretsmanager` and for a key that was not collected.
    pub fn key_of(&self, secret: &Secret) -> Option<&'a Key> {
        self.keys.get(secret.kms_key_id.as_deref()?).copied()
    }

    /// Checks whether any statement could let a principal read a secret, ignoring conditions and denials. A fast filter
    /// that rules out most pairs of principal and secret.
    pub(crate) fn could_read(&self, secret: &Secret, principal: &Principal) -> bool {
        could_on(secret, READ, &self.principals[principal.arn.as_str()].reads)
    }

    /// Decides whether a principal can read a secret's current version.
    pub fn read(&self, secret: &'a Secret, principal: &Principal) -> Access<'a> {
        self.may(secret, principal, READ, &[DECRYPT])
    }

    /// Decides whether a principal can call `action` on a secret, if the call also needs the actions `on_key` on its
    /// key.
    ///
    /// # Panics
    ///
    /// Panics if the principal is not in this snapshot.
    pub fn may(
        &self,
        secret: &'a Secret,
        principal: &Principal,
        action: &str,
        on_key: &[&str],
    ) -> Access<'a> {
        let prepared = &self.principals[principal.arn.as_str()];
        let access = self.may_through(secret, prepared, action, on_key);
        if access.outcome() != Outcome::Denied || prepared.endpoint.is_none() {
            return access;
        }
        let mut other = self.may_through(secret, &prepared.elsewhere(), action, on_key);
        if other.outcome() == Outcome::Denied {
            return access;
        }
        other.secret.outcome = Outcome::Conditional;
        Access { avoids: prepared.endpoint, ..other }
    }

    fn may_through(
        &self,
        secret: &'a Secret,
        prepared: &Prepared<'a>,
        action: &str,
        on_key: &[&str],
    ) -> Access<'a> {
        let mut context = prepared.context.clone();
        self.add_secret(&mut context, secret);
        let mut policies = self.policies(prepared);
        policies.resource =
            secret.resource_policy.as_ref().map(|document| Named { name: "of the secret", document });
        policies.endpoint = prepared.endpoint_policy();
        if self.is_policy_unknown(secret) {
            policies.unknown.push((Link::Resource, "of the secret"));
        }
        let account = &self.snapshot.account;
        let request = Request {
            caller: &prepared.caller,
            action,
            resource: &secret.arn,
            resource_account: account,
            context: &context,
        };
        let mut decision = evaluate(&request, &policies);
        // The caller chooses the staging label: a version other than the current one may be readable.
        if decision.outcome == Outcome::Denied && action == READ && policies.have_condition(STAGE) {
            let mut context = context.clone();
            context.forget(STAGE);
            let request = Request { context: &context, ..request };
            decision = Some(evaluate(&request, &policies))
                .filter(|other| other.outcome != Outcome::Denied)
                .unwrap_or(decision);
        }
        let key = if decision.outcome == Outcome::Denied {
            None
        } else {
            on_key
                .iter()
                .filter_map(|action| self.may_use_key(secret, prepared, action))
                .min_by_key(|it| it.outcome)
        };
        Access { secret: decision, key, endpoint: prepared.endpoint, avoids: None }
    }

    /// Decides whether a principal can use a secret's key through Secrets Manager.
    pub fn key_decision(
        &self,
        secret: &'a Secret,
        principal: &Principal,
        action: &str,
    ) -> Option<Decision<'a>> {
        self.may_use_key(secret, &self.principals[principal.arn.as_str()], action)
    }

    fn may_use_key(&self, secret: &'a Secret, prepared: &Prepared<'a>, action: &str) -> Option<Decision<'a>> {
        let lock = self.lock_of(secret)?;
        let (policies, mut context) = self.on_key(prepared, &lock);
        service::use_key(&mut context, &prepared.caller, &self.snapshot.region, Some(&secret.arn));
        let request = Request {
            caller: &prepared.caller,
            action,
            resource: lock.arn,
            resource_account: lock.account,
            context: &context,
        };
        Some(evaluate(&request, &policies))
    }

    fn policies(&self, prepared: &Prepared<'a>) -> Policies<'a> {
        let is_control = |link: &Link| matches!(link, Link::ServiceControl | Link::ResourceControl);
        let mut unknown = prepared.unknown.clone();
        unknown.extend(&self.unknown);
        // "SCPs do not affect any service-linked role", and neither do RCPs.
        let is_service_linked = prepared.caller.arn.contains(":role/aws-service-role/");
        if is_service_linked {
            unknown.retain(|(link, _)| !is_control(link));
        }
        let control =
            |levels: &Vec<Vec<Named<'a>>>| if is_service_linked { Vec::new() } else { levels.clone() };
        Policies {
            unknown,
            session: (!self.session.is_empty()).then(|| self.session.clone()),
            service_control: control(&self.service_control),
            resource_control: control(&self.resource_control),
            identity: prepared.identity.clone(),
            boundary: prepared.boundary,
            ..Policies::default()
        }
    }

    pub(crate) fn add_secret(&self, context: &mut Context, secret: &Secret) {
        context.set(STAGE, "AWSCURRENT");
        let primary = secret.primary_region.as_ref().unwrap_or(&self.snapshot.region);
        context.set("secretsmanager:SecretPrimaryRegion", primary);
        self.add_organization(context, "aws:ResourceOrg"); // the secret belongs to this account
        if let Some(function) = &secret.rotation_lambda_arn {
            context.set("secretsmanager:resource/AllowRotationLambdaArn", function);
        }
        for (name, value) in &secret.tags {
            context.set(&format!("aws:ResourceTag/{name}"), value);
            context.set(&format!("secretsmanager:ResourceTag/{name}"), value);
        }
        if self.is_described(secret) {
            context.close("aws:ResourceTag/");
            context.close("secretsmanager:ResourceTag/");
        }
    }

    /// Checks whether the secret's metadata is known, not just its name and policy: it was described, or listed with
    /// its creation date.
    pub(crate) fn is_described(&self, secret: &Secret) -> bool {
        secret.created_date.is_some() || !self.is_refused("secretsmanager:DescribeSecret", secret)
    }

    /// Checks whether a secret's resource policy could not be read.
    pub fn is_policy_unknown(&self, secret: &Secret) -> bool {
        secret.resource_policy.is_none() && self.is_refused("secretsmanager:GetResourcePolicy", secret)
    }

    fn is_refused(&self, permission: &str, secret: &Secret) -> bool {
        ["", &secret.arn].iter().any(|resource| self.refused.contains(&(permission, *resource)))
    }

    /// Returns the reason why nobody can read a secret now, whatever its policies say: it is scheduled for deletion,
    /// has no value, or its key is unusable.
    pub fn obstacle(&self, secret: &Secret) -> Option<String> {
        if let Some(date) = secret.deleted_date {
            return Some(format!("the secret is scheduled for deletion ({date})"));
        }
        // If the secret was not described, its versions are unknown too.
        let is_listed =
            secret.created_date.is_some() && !self.is_refused("secretsmanager:ListSecretVersionIds", secret);
        if is_listed && secret.versions.is_empty() {
            return Some("the secret has no version yet, so there is no value to read".to_owned());
        }
        let key = self.key_of(secret)?;
        let is_usable = matches!(key.key_state.as_str(), "" | "Enabled" | "Updating");
        (!is_usable).then(|| format!("its key {} is {}", key.arn, key.key_state))
    }

    /// Returns the identity policies of a principal, with their names.
    pub fn identity_policies(&self, principal: &Principal) -> &[Named<'a>] {
        &self.principals[principal.arn.as_str()].identity
    }

    /// Checks whether any of a principal's own policies is unknown.
    pub(crate) fn has_unknown(&self, principal: &Principal) -> bool {
        !self.unknown_policies(principal).is_empty()
    }

    /// Returns the principal's own policies whose documents are unknown.
    pub fn unknown_policies(&self, principal: &Principal) -> &[(Link, &'a str)] {
        &self.principals[principal.arn.as_str()].unknown
    }

    /// Returns the permissions boundary of a principal, if its document is known.
    pub fn boundary(&self, principal: &Principal) -> Option<Named<'a>> {
        self.principals[principal.arn.as_str()].boundary
    }

    /// Returns the time the snapshot was taken, which every query treats as the current time.
    pub fn now(&self) -> Timestamp {
        self.snapshot.taken_at.unwrap_or_default()
    }
}

/// Checks whether a statement allows an action, at least for some requests.
fn allows(statement: &Statement, action: &str) -> bool {
    statement.effect == Effect::Allow && concerns_action(statement, action)
}

/// Checks whether any statement could let a principal call an action on a secret, ignoring conditions and denials: a
/// statement of the secret's policy, or one of `own`, the principal's statements that allow the action on some
/// resource.
fn could_on(secret: &Secret, action: &str, own: &[&Statement]) -> bool {
    let reaches = |statement: &&Statement| match &statement.resource {
        Some(Scope::Only(patterns)) => {
            patterns.iter().any(|pattern| pattern.contains("${") || matches(pattern, &secret.arn))
        }
        _ => true,
    };
    let mut shared = secret.resource_policy.iter().flat_map(|policy| &policy.statements);
    own.iter().any(reaches) || shared.any(|it| allows(it, action))
}

/// Checks whether two ARNs name the same function, regardless of version or alias.
pub(crate) fn same_function(one: &str, other: &str) -> bool {
    unqualified(one) == unqualified(other)
}

/// Returns a function's ARN without its version or alias.
fn unqualified(arn: &str) -> &str {
    const PARTS: usize = 7;
    arn.match_indices(':').nth(PARTS - 1).map_or(arn, |(end, _)| &arn[..end])
}

fn named(policy: &crate::snapshot::NamedPolicy) -> Option<Named<'_>> {
    Some(Named { name: &policy.name, document: policy.document.as_ref()? })
}
