//! What the checks work on: a snapshot with its readers, and the statements by which they read.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use jiff::Timestamp;

use crate::document::{Effect, Scope, Statement};
use crate::evaluate::{Named, Outcome, concerns_action};
use crate::pattern::matches;
use crate::reach::{Account, DECRYPT, GENERATE, READ};
use crate::snapshot::{Key, Principal, Secret, Snapshot};

/// A principal that can, or could but for the key, read a secret.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a> {
    pub(crate) principal: &'a Principal,
    pub(crate) outcome: Outcome,
    /// The secret is open to it, and the key is not.
    pub(crate) lacks_key: bool,
}

/// A statement of an identity policy by which secrets can be read, and which ones.
#[derive(Debug)]
pub(crate) struct Grant<'a> {
    pub(crate) policy: Named<'a>,
    pub(crate) index: usize,
    pub(crate) principals: Vec<&'a Principal>,
    pub(crate) secrets: Vec<&'a Secret>,
}

/// Who may write the secrets that it reads.
#[derive(Debug, Default)]
pub(crate) struct Writers {
    /// By the secret's ARN.
    pub(crate) of_secret: HashMap<String, Vec<Writer>>,
    /// The ARNs of what each of them, by its ARN, may write.
    pub(crate) secrets: HashMap<String, BTreeSet<String>>,
}

/// A principal that reads a secret and may also change it.
#[derive(Debug)]
pub(crate) struct Writer {
    /// Its ARN.
    pub(crate) principal: String,
    /// By which calls.
    pub(crate) calls: Vec<&'static str>,
    /// Who may set the tag that calls it an operator, and should not.
    pub(crate) tagger: Option<String>,
}

/// What the checks work on.
#[derive(Debug)]
pub(crate) struct Audit<'a> {
    pub(crate) account: Account<'a>,
    pub(crate) snapshot: &'a Snapshot,
    pub(crate) now: Timestamp,
    /// One list per secret.
    readers: Vec<Vec<Reader<'a>>>,
    pub(crate) grants: Vec<Grant<'a>>,
    /// Roles of rotation functions.
    rotators: HashSet<&'a str>,
    /// Who rotates a secret without a function, by the secret's ARN.
    jobs: HashMap<&'a str, &'a Principal>,
    /// All of those.
    job_roles: HashSet<&'a str>,
    pub(crate) denied: HashSet<(&'a str, &'a str)>,
    /// Who may write the secrets that it reads, for one check; found when that is made.
    pub(crate) writers: OnceCell<Writers>,
}

/// Permissions without which a check sees a part of what there is: fewer places from which secrets are read. What it
/// does see still counts.
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
        // Every account has roles: where there are none, nobody looked.
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

    /// Takes those whom the operator named (`--rotated-by`) for a secret's rotation where no service rotates it and they may
    /// do what that takes. Nothing in the account can say so: whoever may write a tag could end a finding by it.
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
            // A managed policy is one fault, whoever has it.
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

    /// Those whom the policies of a secret let read it.
    pub(crate) fn readers(&self, secret: &Secret) -> &[Reader<'a>] {
        let index = self.snapshot.secrets.iter().position(|it| std::ptr::eq(it, secret));
        index.map(|index| self.readers[index].as_slice()).unwrap_or_default()
    }

    /// Whether a principal is the role of a rotation function, or rotates some secret without one.
    pub(crate) fn is_rotator(&self, principal: &Principal) -> bool {
        self.runs_rotations(principal) || self.job_roles.contains(principal.arn.as_str())
    }

    /// Whether a principal is the role of a rotation function.
    pub(crate) fn runs_rotations(&self, principal: &Principal) -> bool {
        self.rotators.contains(principal.arn.as_str())
    }

    /// Who rotates a secret without a function: a job in CI, cron or Kubernetes.
    pub(crate) fn job(&self, secret: &str) -> Option<&'a Principal> {
        self.jobs.get(secret).copied()
    }

    /// Whether a secret's value changes by itself.
    pub(crate) fn rotates(&self, secret: &Secret) -> bool {
        secret.rotation_enabled || self.job(&secret.arn).is_some()
    }

    /// Whether a program runs as a principal: a function, a service, a task, an instance, or whatever else a service or a
    /// provider of web identities may start. People come from an account or by SAML.
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

    /// Whether everything that [`runs_something`](Self::runs_something) looks at was collected.
    pub(crate) fn knows_who_runs(&self) -> bool {
        let needed =
            ["iam:GetAccountAuthorizationDetails", "lambda:ListFunctions", "ecs:ListTaskDefinitions"];
        !needed.iter().chain(&NARROWING).any(|permission| self.denied.contains(&(*permission, "")))
    }

    /// Whether a policy of a principal allows everything.
    pub(crate) fn is_administrator(&self, principal: &Principal) -> bool {
        let policies = self.account.identity_policies(principal).iter();
        policies.flat_map(|policy| &policy.document.statements).any(allows_everything)
    }

    /// Whole days from a time until now.
    pub(crate) fn days_since(&self, time: Timestamp) -> i64 {
        (self.now.as_second() - time.as_second()).div_euclid(86400)
    }
}

/// What nobody could read, or looked for, of a secret's key.
fn unknown_of_key<'a>(account: &Account<'a>, secret: &'a Secret) -> Vec<(&'a str, &'a str)> {
    const ALL: [&str; 4] =
        ["kms:DescribeKey", "kms:GetKeyPolicy", "kms:GetKeyRotationStatus", "kms:ListGrants"];
    let Some(id) = secret.kms_key_id.as_deref().filter(|_| !secret.has_default_key()) else {
        return Vec::new();
    };
    let permissions = match account.key_of(secret) {
        None => &ALL[..],
        // What does not exist has no policy to read.
        Some(key) if key.key_state == Key::MISSING => &[],
        Some(key) if key.policy.is_none() && key.key_manager != "AWS" => &ALL[1..2],
        Some(_) => &[],
    };
    permissions.iter().map(|permission| (*permission, id)).collect()
}

/// Whether a statement allows every action on every resource.
pub(crate) fn allows_everything(statement: &Statement) -> bool {
    let has_all =
        |scope: &Scope<Vec<String>>| matches!(scope, Scope::Only(all) if all.iter().any(|one| one == "*"));
    statement.effect == Effect::Allow
        && has_all(&statement.action)
        && statement.resource.as_ref().is_some_and(has_all)
}
