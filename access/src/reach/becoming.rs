//! Principals that are one call away from reading a secret: they can change a policy, or run code as a role that reads
//! it.
//!
//! Evaluates that call, then the read it would enable. If a Deny, a permissions boundary or a control policy blocks
//! either, it is not reported.

use std::collections::HashMap;
use std::sync::LazyLock;

use serde_json::json;

use super::requests::Lock;
use super::{Account, DECRYPT, Prepared, READ, allows, could_on};
use crate::condition::Context;
use crate::document::{Document, Effect};
use crate::evaluate::{CallerKind, Named, Outcome, Policies, Request, evaluate};
use crate::exposure::trust::listed;
use crate::service::{self, GIVES_KEY};
use crate::snapshot::{Principal, Secret};

/// A call that turns a principal into a reader.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Step {
    pub(crate) kind: StepKind,
    pub(crate) action: &'static str,
    /// The resource that the call changes, or the role that it passes.
    pub(crate) resource: String,
}

/// The effect of such a call.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum StepKind {
    /// Changes permissions.
    Rights,
    /// Replaces the code of something that already runs as a reader. Whoever deploys it is expected to have this
    /// permission.
    Code,
    /// Starts something as a reader, by [`PASS`]. Whoever deploys it is expected to have this permission too.
    Start,
}

/// The permission needed to run something as a role.
pub(crate) const PASS: &str = "iam:PassRole";

/// Services that accept a passed role, with the call that makes each run code of the caller's choice and the resource
/// of that call.
const PASSED: [(&str, &str, &str); 5] = [
    ("lambda.amazonaws.com", "lambda:CreateFunction", "function:zq7xkj"),
    ("ec2.amazonaws.com", "ec2:RunInstances", "instance/*"),
    ("ecs-tasks.amazonaws.com", "ecs:RegisterTaskDefinition", "task-definition/zq7xkj:1"),
    ("glue.amazonaws.com", "glue:CreateJob", "job/zq7xkj"),
    ("codebuild.amazonaws.com", "codebuild:CreateProject", "project/zq7xkj"),
];

static EVERYTHING: LazyLock<Document> = LazyLock::new(|| all_of("*"));
static SECRETS: LazyLock<Document> = LazyLock::new(|| all_of("secretsmanager:*"));

/// AWS managed policies that allow reading secrets, most permissive first, each with an equivalent document.
static ATTACHED: [(&str, &LazyLock<Document>); 3] = [
    ("AdministratorAccess", &EVERYTHING),
    ("PowerUserAccess", &EVERYTHING),
    ("SecretsManagerReadWrite", &SECRETS),
];

fn all_of(actions: &str) -> Document {
    document(&json!({"Effect": "Allow", "Action": actions, "Resource": "*"})).expect("a policy")
}

fn document(statement: &serde_json::Value) -> Option<Document> {
    Document::from_json(json!({"Version": "2012-10-17", "Statement": [statement]})).ok()
}

/// The policies that a call has changed.
#[derive(Clone, Copy)]
struct Changed<'d> {
    identity: Option<&'d Document>,
    resource: Option<&'d Document>,
    key: Option<&'d Document>,
    grants: Option<&'d Document>,
}

const NOTHING: Changed<'static> = Changed { identity: None, resource: None, key: None, grants: None };

impl<'a> Account<'a> {
    /// Returns the calls that make a principal a reader, each with a secret that it cannot read now. `readers` holds
    /// all readers by ARN, each with the secrets it reads.
    pub(crate) fn ways(
        &self,
        principal: &'a Principal,
        readers: &HashMap<&'a str, (&'a Principal, Vec<&'a Secret>)>,
    ) -> Vec<(Step, &'a Secret)> {
        let own =
            readers.get(principal.arn.as_str()).map(|(_, secrets)| secrets.as_slice()).unwrap_or_default();
        let is_new = |secret: &&'a Secret| !own.iter().any(|it| std::ptr::eq(*it, *secret));
        let closed = || self.snapshot.secrets.iter().filter(|it| it.deleted_date.is_none()).filter(is_new);
        let mut found = Vec::new();
        let mut add = |kind, action, resource: &str, secret: Option<&'a Secret>| {
            let step = |secret| (Step { kind, action, resource: resource.to_owned() }, secret);
            found.extend(secret.map(step));
        };
        for (action, resource, given) in self.own_changes(principal) {
            let changed = Changed { identity: Some(given), ..NOTHING };
            let mut opened = closed().filter(|secret| self.reads_with(secret, principal, changed));
            add(StepKind::Rights, action, &resource, opened.next());
        }
        let Some(itself) = document(
            &json!({"Effect": "Allow", "Principal": {"AWS": principal.arn}, "Action": "*", "Resource": "*"}),
        ) else {
            return Vec::new();
        };
        const PUT: &str = "secretsmanager:PutResourcePolicy";
        let elsewhere = self.prepared(principal).elsewhere();
        let puts: Vec<_> = elsewhere.statements().filter(|it| allows(it, PUT)).collect();
        let opened = closed().find(|secret| {
            could_on(secret, PUT, &puts)
                && self.may_through(secret, &elsewhere, PUT, &[]).outcome() != Outcome::Denied
                && self.reads_with(secret, principal, Changed { resource: Some(&itself), ..NOTHING })
        });
        add(StepKind::Rights, PUT, opened.map_or("", |secret| &secret.arn), opened);
        for action in GIVES_KEY {
            let changed = if action == "kms:CreateGrant" {
                Changed { grants: Some(&itself), ..NOTHING }
            } else {
                Changed { key: Some(&itself), ..NOTHING }
            };
            let opened = closed().find(|secret| {
                self.could_read(secret, principal)
                    && self.reads_with(secret, principal, changed)
                    && self.may_give_key(secret, principal, action)
            });
            let key = opened.and_then(|secret| self.key_of(secret));
            add(StepKind::Rights, action, key.map_or("", |key| &key.arn), opened);
        }
        let mut all: Vec<_> = readers.values().filter(|(reader, _)| reader.arn != principal.arn).collect();
        all.sort_by(|one, other| one.0.arn.cmp(&other.0.arn));
        for (reader, secrets) in all {
            let Some(secret) = secrets.iter().copied().find(is_new) else { continue };
            for (kind, action, resource) in self.takeovers(principal, reader, &itself) {
                add(kind, action, resource, Some(secret));
            }
        }
        found
    }

    /// Checks whether a principal can grant itself the use of a secret's key, by a call to KMS.
    pub(crate) fn may_give_key(&self, secret: &Secret, principal: &Principal, action: &str) -> bool {
        let Some(lock) = self.lock_of(secret).filter(|lock| lock.policy.is_some()) else { return false };
        let prepared = self.prepared(principal).elsewhere();
        let (policies, mut context) = self.on_key(&prepared, &lock);
        context.set("kms:CallerAccount", &prepared.caller.account);
        service::give_key(&mut context, &prepared.caller.arn);
        is_open(&prepared, action, lock.arn, lock.account, &context, &policies)
    }

    /// Returns the calls that give a principal every permission its boundary leaves, each with the resource it changes
    /// and the permissions it gives.
    fn own_changes(&self, principal: &Principal) -> Vec<(&'static str, String, &'static Document)> {
        let [put, attach] = if is_user(principal) {
            ["iam:PutUserPolicy", "iam:AttachUserPolicy"]
        } else {
            ["iam:PutRolePolicy", "iam:AttachRolePolicy"]
        };
        let arn = principal.arn.as_str();
        let mut found = Vec::new();
        if self.may_call(principal, put, arn, Some(principal), &[]) {
            found.push((put, arn.to_owned(), &*EVERYTHING));
        }
        // A principal that can choose attaches the most permissive policy.
        let attached = ATTACHED.iter().find(|(name, _)| {
            let policy = format!("arn:{}:iam::aws:policy/{name}", self.snapshot.partition());
            self.may_call(principal, attach, arn, Some(principal), &[("iam:PolicyARN", &policy)])
        });
        found.extend(attached.map(|(_, given)| (attach, arn.to_owned(), &***given)));
        const VERSION: &str = "iam:CreatePolicyVersion";
        let managed = principal.attached_policies.iter().filter(|arn| !arn.contains(":iam::aws:"));
        let changed = managed.filter(|arn| self.may_call(principal, VERSION, arn, None, &[]));
        found.extend(changed.map(|arn| (VERSION, arn.clone(), &*EVERYTHING)));
        found
    }

    /// Returns the calls that give a principal the permissions of a reader.
    fn takeovers<'r>(
        &'r self,
        principal: &Principal,
        reader: &'r Principal,
        itself: &Document,
    ) -> Vec<(StepKind, &'static str, &'r str)> {
        let may = |call: &str, arn: &str| self.may_call(principal, call, arn, Some(reader), &[]);
        let mut found = Vec::new();
        if is_user(reader) {
            let calls = ["iam:CreateAccessKey", "iam:CreateLoginProfile", "iam:UpdateLoginProfile"];
            let open = calls.into_iter().filter(|call| may(call, &reader.arn));
            found.extend(open.map(|call| (StepKind::Rights, call, reader.arn.as_str())));
            return found;
        }
        const TRUST: &str = "iam:UpdateAssumeRolePolicy";
        if may(TRUST, &reader.arn) && self.assumes_with(principal, reader, itself) {
            found.push((StepKind::Rights, TRUST, &reader.arn));
        }
        for function in self.functions_of(&reader.arn) {
            const CODE: &str = "lambda:UpdateFunctionCode";
            let arn = &function.function_arn;
            if self.may_call(principal, CODE, arn, None, &[]) {
                found.push((StepKind::Code, CODE, arn));
            }
        }
        let trusts = |service: &str| {
            let statements = reader.trust_policy.iter().flat_map(|trust| &trust.statements);
            let mut open = statements.filter(|it| it.effect == Effect::Allow);
            open.any(|it| listed(it, "Service").any(|id| id == service))
        };
        let passes = |service: &str| {
            let keys = [("iam:PassedToService", service)];
            trusts(service) && self.may_call(principal, PASS, &reader.arn, Some(reader), &keys)
        };
        let starts = PASSED.into_iter().find(|(service, call, resource)| {
            let here = format!(
                "arn:{}:{}:{}:{}:{resource}",
                self.snapshot.partition(),
                call.split(':').next().unwrap_or_default(),
                self.snapshot.region,
                self.snapshot.account
            );
            passes(service) && self.may_call(principal, call, &here, None, &[])
        });
        let starts = starts.map(|(_, call, _)| call).or_else(|| self.restarts(principal, passes));
        found.extend(starts.map(|call| (StepKind::Start, call, reader.arn.as_str())));
        found
    }

    /// Returns the call that lets a principal run something that already exists under a role that it passes, with its
    /// own command or layer.
    fn restarts(&self, principal: &Principal, passes: impl Fn(&str) -> bool) -> Option<&'static str> {
        let tasks = self.snapshot.task_definitions.iter().map(|it| it.task_definition_arn.as_str()).collect();
        let functions = self.snapshot.functions.iter().map(|it| it.function_arn.as_str()).collect();
        let all: [(_, _, Vec<&str>); 2] = [
            ("ecs-tasks.amazonaws.com", "ecs:RunTask", tasks),
            ("lambda.amazonaws.com", "lambda:UpdateFunctionConfiguration", functions),
        ];
        let mut open = all.into_iter().filter(|(service, call, there)| {
            passes(service) && there.iter().any(|arn| self.may_call(principal, call, arn, None, &[]))
        });
        open.next().map(|(_, call, _)| call)
    }

    /// Checks whether a principal could assume a role once its trust policy named that principal.
    fn assumes_with(&self, principal: &Principal, role: &Principal, itself: &Document) -> bool {
        let prepared = self.prepared(principal).elsewhere();
        let own = self.policies(&prepared);
        let policies = Policies { resource: Some(Named { name: "", document: itself }), ..own };
        let mut context = prepared.context.clone();
        context.forget("aws:RequestedRegion");
        is_open(&prepared, "sts:AssumeRole", &role.arn, &self.snapshot.account, &context, &policies)
    }

    /// Checks whether a principal can make a call that does not involve secrets. `target` is the role or user that the
    /// call changes.
    fn may_call(
        &self,
        principal: &Principal,
        action: &str,
        resource: &str,
        target: Option<&Principal>,
        keys: &[(&str, &str)],
    ) -> bool {
        // Most principals have no statement that could allow it.
        if !self.prepared(principal).statements().any(|it| allows(it, action)) {
            return false;
        }
        let prepared = self.prepared(principal).elsewhere();
        let mut context = prepared.context.clone();
        context.close("aws:RequestTag/");
        context.close("aws:TagKeys");
        if action.starts_with("iam:") {
            context.forget("aws:RequestedRegion");
        }
        if let Some(target) = target {
            for (name, value) in &target.tags {
                context.set(&format!("aws:ResourceTag/{name}"), value);
                context.set(&format!("iam:ResourceTag/{name}"), value);
            }
            if let Some(boundary) = &target.permissions_boundary {
                context.set("iam:PermissionsBoundary", boundary);
            }
            let known = ["aws:ResourceTag/", "iam:ResourceTag/", "iam:PermissionsBoundary"];
            known.iter().for_each(|prefix| context.close(prefix));
        }
        keys.iter().for_each(|(key, value)| context.set(key, *value));
        let policies = self.policies(&prepared);
        is_open(&prepared, action, resource, &self.snapshot.account, &context, &policies)
    }

    /// Checks whether a principal can read a secret after a change.
    fn reads_with(&self, secret: &Secret, principal: &Principal, changed: Changed<'_>) -> bool {
        let mut prepared = self.prepared(principal).elsewhere();
        prepared.identity.extend(changed.identity.map(|document| Named { name: "", document }));
        let account = &self.snapshot.account;
        let mut policies: Policies<'_> = self.policies(&prepared);
        let document = changed.resource.or(secret.resource_policy.as_ref());
        policies.resource = document.map(|document| Named { name: "of the secret", document });
        let mut context = prepared.context.clone();
        self.add_secret(&mut context, secret);
        if !is_open(&prepared, READ, &secret.arn, account, &context, &policies) {
            return false;
        }
        let Some(lock) = self.lock_of(secret) else { return true };
        let lock =
            Lock { policy: changed.key.or(lock.policy), grants: changed.grants.or(lock.grants), ..lock };
        let (policies, mut context) = self.on_key(&prepared, &lock);
        service::use_key(&mut context, &prepared.caller, &self.snapshot.region, Some(&secret.arn));
        is_open(&prepared, DECRYPT, lock.arn, lock.account, &context, &policies)
    }

    fn prepared(&self, principal: &Principal) -> &Prepared<'a> {
        &self.principals[principal.arn.as_str()]
    }
}

fn is_user(principal: &Principal) -> bool {
    principal.arn.contains(":user/")
}

fn is_open(
    prepared: &Prepared<'_>,
    action: &str,
    resource: &str,
    resource_account: &str,
    context: &Context,
    policies: &Policies<'_>,
) -> bool {
    debug_assert!(prepared.caller.kind != CallerKind::Service);
    let request = Request { caller: &prepared.caller, action, resource, resource_account, context };
    evaluate(&request, policies).outcome != Outcome::Denied
}
