//! The input of the checks: a snapshot with the readers of each secret, and the statements that let them read.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use jiff::Timestamp;

use crate::document::{Effect, Scope, Statement};
use crate::evaluate::{Named, Outcome, concerns_action};
use crate::pattern::matches;
use crate::reach::{Account, DECRYPT, GENERATE, READ};
use crate::snapshot::{Key, Principal, Secret, Snapshot};

/// A principal that can read a secret, or could if it had access to the key.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a> {
    pub(crate) principal: &'a Principal,
    pub(crate) outcome: Outcome,
    /// Whether the principal has access to the secret but not to its key.
    pub(crate) lacks_key: bool,
}

/// A statement of an identity policy that allows reading secrets, with the principals that have it and the secrets it
/// opens.
#[derive(Debug)]
pub(crate) struct Grant<'a> {
    pub(crate) policy: Named<'a>,
    pub(crate) index: usize,
    pub(crate) principals: Vec<&'a Principal>,
    pub(crate) secrets: Vec<&'a Secret>,
}

/// The principals that can write secrets they read.
#[derive(Debug, Default)]
pub(crate) struct Writers {
    /// Writers by the ARN of the secret.
    pub(crate) of_secret: HashMap<String, Vec<Writer>>,
    /// The ARNs of the secrets that each writer can write, by the writer's ARN.
    pub(crate) secrets: HashMap<String, BTreeSet<String>>,
}

/// A principal that reads a secret and may also change it.
#[derive(Debug)]
pub(crate) struct Writer {
    /// Its ARN.
    pub(crate) principal: String,
    /// The calls that it can make.
    pub(crate) calls: Vec<&'static str>,
    /// The ARN of a principal that can tag this one as an operator but should not.
    pub(crate) tagger: Option<String>,
}

/// The input of the checks.
#[derive(Debug)]
pub(crate) struct Audit<'a> {
    pub(crate) account: Account<'a>,
    pub(crate) snapshot: &'a Snapshot,
    pub(crate) now: Timestamp,
    /// The readers of each secret, in the order of the snapshot.
    readers: Vec<Vec<Reader<'a>>>,
    pub(crate) grants: Vec<Grant<'a>>,
    /// The roles of rotation functions.
    rotators: HashSet<&'a str>,
    /// The principal that rotates a secret without a function, by the secret's ARN.
    jobs: HashMap<&'a str, &'a Principal>,
    /// The ARNs of the principals in `jobs`.
    job_roles: HashSet<&'a str>,
    pub(crate) denied: HashSet<(&'a str, &'a str)>,
    /// The principals that can write secrets they read, computed when a check first needs them.
    pub(crate) writers: OnceCell<Writers>,
}

/// Permissions that only narrow a check: without them it sees fewer of the places that read secrets. Its findings are
/// still valid.
pub(crate) const NARROWING: [&str; 5] = [
    "ecs:ListClusters",
    "ecs:ListServices",
    "ecs:DescribeServices",
    "ecs:DescribeTaskDefinition",
    "ec2:DescribeInstances",
];

impl<'a> Audit<'a> {
    pub(crate) fn new(snapshot: &'a Snapshot) -> Self {
        let account = Account::new(snapshot);
        let mut denied: HashSet<_> = snapshot
            .not_collected
            .iter()
            .map(|it| (it.permission.as_str(), it.resource.as_deref().unwrap_or_default()))
            .collect();
        // Every account has roles, so an empty list means they were not collected.
        if snapshot.principals.is_empty() {
            denied.insert(("iam:GetAccountAuthorizationDetails", ""));
        }
        denied.extend(snapshot.secrets.iter().flat_map(|secret| unknown_of_key(&account, secret)));
        let mut audit = Self {
            now: account.now(),
            account,
            snapshot,
            readers: Vec::new(),
            grants: Vec::new(),
            rotators: HashSet::new(),
            jobs: HashMap::new(),
            job_roles: HashSet::new(),
            denied,
            writers: OnceCell::new(),
        };
        let functions = snapshot.secrets.iter().filter_map(|secret| audit.account.rotation_function(secret));
        audit.rotators = functions.map(|function| function.role.as_str()).collect();
        audit.find_jobs();
        audit.find_readers();
        audit
    }

    /// Finds the principals that rotate secrets as jobs: those that the operator named (`--rotated-by`), for secrets
    /// that no service rotates, if they have the permissions. Nothing in the account can mark them, because anyone who
    /// can write a tag could then suppress a finding.
    fn find_jobs(&mut self) {
        const WORK: [(&str, &[&str]); 4] = [
            ("secretsmanager:DescribeSecret", &[]),
            (READ, &[DECRYPT]),
            ("secretsmanager:PutSecretValue", &[DECRYPT, GENERATE]),
            ("secretsmanager:UpdateSecretVersionStage", &[]),
        ];
        let account = &self.account;
        let named: Vec<&'a Principal> =
            self.snapshot.principals.iter().filter(|it| self.snapshot.rotated_by.contains(&it.arn)).collect();
        let is_left_alone = |it: &&Secret| !it.rotation_enabled && !it.is_rotated_elsewhere();
        for secret in self.snapshot.secrets.iter().filter(is_left_alone) {
            let job = named.iter().find(|principal| {
                WORK.iter().all(|(action, on_key)| {
                    account.may(secret, principal, action, on_key).outcome() != Outcome::Denied
                })
            });
            self.jobs.extend(job.map(|principal| (secret.arn.as_str(), *principal)));
        }
        self.job_roles = self.jobs.values().map(|job| job.arn.as_str()).collect();
    }

    fn find_readers(&mut self) {
        let account = &self.account;
        let mut readers: Vec<Vec<Reader<'a>>> = Vec::new();
        for secret in &self.snapshot.secrets {
            let near =
                self.snapshot.principals.iter().filter(|principal| account.could_read(secret, principal));
            let access = near.map(|principal| (principal, account.read(secret, principal)));
            let open = access.filter(|(_, access)| access.secret.outcome != Outcome::Denied);
            readers.push(
                open.map(|(principal, access)| Reader {
                    principal,
                    outcome: access.outcome(),
                    lacks_key: access.lacks_key(),
                })
                .collect(),
            );
        }
        let mut grants: BTreeMap<_, Grant<'a>> = BTreeMap::new();
        for (secret, readers) in self.snapshot.secrets.iter().zip(&readers) {
            for reader in readers.iter().filter(|reader| reader.outcome != Outcome::Denied) {
                for policy in account.identity_policies(reader.principal) {
                    self.add_grants(&mut grants, *policy, reader.principal, secret);
                }
            }
        }
        self.readers = readers;
        self.grants = grants.into_values().collect();
    }

    fn add_grants(
        &self,
        grants: &mut BTreeMap<(&'a str, String, usize), Grant<'a>>,
        policy: Named<'a>,
        principal: &'a Principal,
        secret: &'a Secret,
    ) {
        for (index, statement) in policy.document.statements.iter().enumerate() {
            let Some(resource) = &statement.resource else { continue };
            let is_listed = resource
                .listed()
                .iter()
                .any(|pattern| pattern.contains("${") || matches(pattern, &secret.arn));
            let is_meant = matches!(resource, Scope::Only(_)) == is_listed;
            if statement.effect == Effect::Deny || !is_meant || !concerns_action(statement, READ) {
                continue;
            }
            // A managed policy counts once, regardless of how many principals have it.
            let owner = if policy.name.starts_with("arn:") { "" } else { principal.arn.as_str() };
            let grant = grants.entry((owner, policy.name.to_owned(), index)).or_insert_with(|| Grant {
                policy,
                index,
                principals: Vec::new(),
                secrets: Vec::new(),
            });
            if grant.principals.last().is_none_or(|last| last.arn != principal.arn)
                && !grant.principals.iter().any(|it| it.arn == principal.arn)
            {
                grant.principals.push(principal);
            }
            if grant.secrets.last().is_none_or(|last| last.arn != secret.arn) {
                grant.secrets.push(secret);
            }
        }
    }

    /// Returns the principals that a secret's policies let read it.
    pub(crate) fn readers(&self, secret: &Secret) -> &[Reader<'a>] {
        let index = self.snapshot.secrets.iter().position(|it| std::ptr::eq(it, secret));
        index.map(|index| self.readers[index].as_slice()).unwrap_or_default()
    }

    /// Checks whether a principal is the role of a rotation function, or rotates some secret without a function.
    pub(crate) fn is_rotator(&self, principal: &Principal) -> bool {
        self.runs_rotations(principal) || self.job_roles.contains(principal.arn.as_str())
    }

    /// Checks whether a principal is the role of a rotation function.
    pub(crate) fn runs_rotations(&self, principal: &Principal) -> bool {
        self.rotators.contains(principal.arn.as_str())
    }

    /// Returns the ARNs of all roles that rotate secrets, in order.
    pub(crate) fn rotation_roles(&self) -> BTreeSet<&'a str> {
        self.rotators.union(&self.job_roles).copied().filter(|arn| arn.contains(":role/")).collect()
    }

    /// Returns the principal that rotates a secret without a function: a job in CI, cron or Kubernetes.
    pub(crate) fn job(&self, secret: &str) -> Option<&'a Principal> {
        self.jobs.get(secret).copied()
    }

    /// Checks whether a secret's value is rotated automatically.
    pub(crate) fn rotates(&self, secret: &Secret) -> bool {
        secret.rotation_enabled || self.job(&secret.arn).is_some()
    }

    /// Checks whether programs use a principal: a function, service, task or instance runs as it, a service or a web
    /// identity provider can assume it, or it has read a version other than the current one. People come from an account
    /// or through SAML.
    pub(crate) fn runs_something(&self, principal: &Principal) -> bool {
        let is_it = |arn: &String| *arn == principal.arn;
        let is_program = |(kind, ids): (&String, &Vec<String>)| {
            kind == "Service" || kind == "Federated" && ids.iter().any(|id| !id.contains(":saml-provider/"))
        };
        let trust = principal.trust_policy.iter().flat_map(|trust| &trust.statements);
        let mut trusted =
            trust.filter(|it| it.effect == Effect::Allow).filter_map(|it| it.principal.as_ref());
        let tasks = self.snapshot.task_definitions.iter();
        let mut of_tasks = tasks.flat_map(|task| task.task_role_arn.iter().chain(&task.execution_role_arn));
        let mut of_reads = self.snapshot.version_reads.iter().map(|read| &read.principal);
        self.snapshot.places().any(|place| place.roles.iter().any(is_it))
            || trusted.any(|who| who.listed().0.iter().any(is_program))
            || of_tasks.any(is_it)
            || of_reads.any(is_it)
    }

    /// Checks whether everything that [`runs_something`](Self::runs_something) needs was collected.
    pub(crate) fn knows_who_runs(&self) -> bool {
        let needed =
            ["iam:GetAccountAuthorizationDetails", "lambda:ListFunctions", "ecs:ListTaskDefinitions"];
        !needed.iter().chain(&NARROWING).any(|permission| self.denied.contains(&(*permission, "")))
    }

    /// Checks whether one of a principal's policies allows everything.
    pub(crate) fn is_administrator(&self, principal: &Principal) -> bool {
        let policies = self.account.identity_policies(principal).iter();
        policies.flat_map(|policy| &policy.document.statements).any(allows_everything)
    }

    /// Returns the number of whole days from a time until now.
    pub(crate) fn days_since(&self, time: Timestamp) -> i64 {
        (self.now.as_second() - time.as_second()).div_euclid(86400)
    }
}

/// Returns what is unknown about a secret's key: the missing permissions, each with the key.
fn unknown_of_key<'a>(account: &Account<'a>, secret: &'a Secret) -> Vec<(&'a str, &'a str)> {
    const ALL: [&str; 4] =
        ["kms:DescribeKey", "kms:GetKeyPolicy", "kms:GetKeyRotationStatus", "kms:ListGrants"];
    let Some(id) = secret.kms_key_id.as_deref().filter(|_| !secret.has_default_key()) else {
        return Vec::new();
    };
    let permissions = match account.key_of(secret) {
        None => &ALL[..],
        // A key that does not exist has no policy.
        Some(key) if key.key_state == Key::MISSING => &[],
        Some(key) if key.policy.is_none() && key.key_manager != "AWS" => &ALL[1..2],
        Some(_) => &[],
    };
    permissions.iter().map(|permission| (*permission, id)).collect()
}

/// Checks whether a statement allows every action on every resource.
pub(crate) fn allows_everything(statement: &Statement) -> bool {
    let has_all =
        |scope: &Scope<Vec<String>>| matches!(scope, Scope::Only(all) if all.iter().any(|one| one == "*"));
    statement.effect == Effect::Allow
        && has_all(&statement.action)
        && statement.resource.as_ref().is_some_and(has_all)
}
