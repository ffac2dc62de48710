//! Whom outside of its account a resource's policy lets in: anybody, an organization, or another account.
//!
//! Each question is put to the policy as requests of principals made for it. A wildcard in a condition is a door: the
//! principal that knocks is made to fit it.

use crate::condition::{Context, Truth};
use crate::document::{Condition, Document, Effect, Scope, Statement};
use crate::evaluate::{Caller, Request, concerns_action, concerns_resource, conditions_hold, means_caller};
use crate::pattern::{is_pattern, matches};
use crate::reach::{Outsider, is_unique_id};

/// An account that no policy names.
const NOBODYS: &str = "000000000000";

/// A policy, and what is asked of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Exposure<'a> {
    pub(crate) policy: &'a Document,
    pub(crate) action: &'a str,
    /// None is any.
    pub(crate) resource: Option<&'a str>,
    /// The owner.
    pub(crate) account: &'a str,
}

impl Exposure<'_> {
    /// Whether one statement lets in principals of accounts that nobody named.
    pub(crate) fn is_public(&self, index: usize) -> bool {
        let (caller, mut context) = self.stranger(index);
        ["aws:PrincipalOrg", "aws:SourceVp", "aws:Vpce", "aws:SourceAccount", "aws:SourceArn"]
            .iter()
            .for_each(|prefix| context.close(prefix));
        self.admits(index, &caller, &context)
    }

    /// Whether it lets in an organization as a whole, or more.
    pub(crate) fn is_for_organization(&self, index: usize) -> bool {
        let (caller, mut context) = self.stranger(index);
        let of_organization = |it: &&Condition| it.key.to_ascii_lowercase().starts_with("aws:principalorg");
        let mut conditions =
            self.policy.statements[index].conditions.iter().filter(of_organization).peekable();
        if conditions.peek().is_none() {
            return false;
        }
        conditions.for_each(|it| {
            context.set(&it.key, it.values.first().map(|value| fill(value, "x")).unwrap_or_default());
        });
        ["aws:SourceVp", "aws:Vpce", "aws:SourceAccount", "aws:SourceArn"]
            .iter()
            .for_each(|prefix| context.close(prefix));
        self.admits(index, &caller, &context)
    }

    /// Everybody outside of the account whom the policy lets in, perhaps on conditions.
    pub(crate) fn outsiders(&self) -> Vec<Outsider> {
        let mut found = Vec::new();
        for (index, statement) in self.policy.statements.iter().enumerate() {
            let is_allowed = statement.effect == Effect::Allow && concerns_action(statement, self.action);
            if !is_allowed || self.on_resource(statement, &Context::open()) == Truth::No {
                continue;
            }
            let mut add = |principal: &str| {
                found.push(Outsider { principal: principal.to_owned(), statement: index });
            };
            if is_for_all(statement) {
                let (caller, context) = self.stranger(index);
                if self.admits(index, &caller, &context) {
                    add("*");
                }
                let named = statement.conditions.iter().flat_map(|it| self.named_by(it));
                named.filter(|id| self.lets_in(index, id)).for_each(|id| add(&id));
            }
            let Some(Scope::Only(listed)) = &statement.principal else { continue };
            for (kind, id) in listed.0.iter().flat_map(|(kind, ids)| ids.iter().map(move |id| (kind, id))) {
                let is_principal = kind == "AWS";
                let is_ours = is_principal && (account_of(id) == self.account || is_unique_id(id));
                if id != "*" && !is_ours && (!is_principal || self.lets_in(index, id)) {
                    add(id);
                }
            }
        }
        found.sort();
        found.dedup();
        found
    }

    /// Whether a principal, or somebody in an account, is let in by any statement.
    pub(crate) fn lets_in_any(&self, id: &str) -> bool {
        (0..self.policy.statements.len()).any(|index| self.lets_in(index, id))
    }

    /// Other accounts and their principals that a condition names.
    fn named_by(&self, condition: &Condition) -> Vec<String> {
        if is_negative(condition) {
            return Vec::new();
        }
        let values = condition.values.iter().filter(|value| is_account(account_of(value)));
        let others = values.filter(|value| account_of(value) != self.account);
        match condition.key.to_ascii_lowercase().as_str() {
            "aws:principalarn" => others
                .map(|arn| if is_pattern(arn) { account_of(arn) } else { arn.as_str() }.to_owned())
                .collect(),
            "aws:principalaccount" | "kms:calleraccount" => others.cloned().collect(),
            _ => Vec::new(),
        }
    }

    /// Whether a principal or an account, or somebody in it, is let in.
    fn lets_in(&self, index: usize, id: &str) -> bool {
        let account = account_of(id);
        let is_single =
            [":role/", ":user/", ":assumed-role/", ":federated-user/"].iter().any(|it| id.contains(it));
        let mut arns = vec![if is_single { id.to_owned() } else { role_of(account) }];
        if !is_single {
            let conditions = self.policy.statements.iter().flat_map(|it| &it.conditions);
            let named = conditions.filter(|it| it.key.eq_ignore_ascii_case("aws:PrincipalArn"));
            let values = named.flat_map(|it| &it.values).filter(|value| account_of(value) == account);
            arns.extend(values.map(|value| fill(value, "x")));
        }
        arns.iter().any(|arn| {
            let caller = Caller::from_arn(arn);
            self.admits(index, &caller, &self.context(account, &principal_arn(&caller)))
        })
    }

    /// Whether one statement allows a caller, and none denies it.
    fn admits(&self, index: usize, caller: &Caller, context: &Context) -> bool {
        let holds = |statement: &Statement| {
            self.on_resource(statement, context).min(conditions_hold(
                statement,
                context,
                self.policy.has_variables,
            ))
        };
        let concerns = |statement: &Statement| {
            concerns_action(statement, self.action) && means_caller(statement, caller)
        };
        let allow = &self.policy.statements[index];
        let mut denies = self.policy.statements.iter().filter(|it| it.effect == Effect::Deny);
        allow.effect == Effect::Allow
            && concerns(allow)
            && holds(allow) != Truth::No
            && !denies.any(|deny| concerns(deny) && holds(deny) == Truth::Yes)
    }

    fn on_resource(&self, statement: &Statement, context: &Context) -> Truth {
        let Some(resource) = self.resource else { return Truth::Yes };
        let caller = Caller::from_arn("");
        let Self { action, account: resource_account, .. } = *self;
        let request = Request { caller: &caller, action, resource, resource_account, context };
        concerns_resource(statement, &request, self.policy.has_variables)
    }

    fn context(&self, account: &str, arn: &str) -> Context {
        let mut context = Context::open();
        context.set("aws:PrincipalArn", arn);
        context.set("aws:PrincipalAccount", account);
        context.set("kms:CallerAccount", account);
        context.set("aws:PrincipalIsAWSService", "false");
        context.set("aws:SecureTransport", "true");
        context.set("aws:ResourceAccount", self.account);
        context
    }

    /// A role of nobody's account that fits the wildcards of a statement's conditions.
    fn stranger(&self, index: usize) -> (Caller, Context) {
        let arn = role_of(NOBODYS);
        let mut context = self.context(NOBODYS, &arn);
        context.set("aws:userId", "AROA000000000000000:stranger");
        for condition in &self.policy.statements[index].conditions {
            let mut doors = condition.values.iter().filter(|value| is_pattern(value));
            let fitting = doors.find_map(|value| fitting(&condition.key.to_ascii_lowercase(), value));
            if let (false, Some(value)) = (is_negative(condition), fitting) {
                context.set(&condition.key, value);
            }
        }
        (Caller::from_arn(&arn), context)
    }
}

/// What a stranger has for a context key so that a pattern matches; none if the pattern names somebody.
fn fitting(key: &str, pattern: &str) -> Option<String> {
    let head = |end: char| pattern.split(end).next().unwrap_or_default();
    match key {
        "aws:principalaccount" | "kms:calleraccount" | "aws:sourceaccount" => Some(digits(pattern)),
        "aws:principalarn" | "aws:sourcearn" => {
            let usual = role_of(NOBODYS);
            if matches(pattern, &usual) {
                return Some(usual);
            }
            let parts: Vec<_> = pattern.splitn(6, ':').collect();
            match parts[..] {
                [a, b, c, d, account, rest] if !is_account(account) => {
                    let account = if is_pattern(account) { digits(account) } else { account.to_owned() };
                    Some(
                        [
                            fill(a, "arn"),
                            fill(b, "aws"),
                            fill(c, "iam"),
                            fill(d, ""),
                            account,
                            fill(rest, "x"),
                        ]
                        .join(":"),
                    )
                }
                [_, _, _, _, _, _] => None,
                _ => Some(fill(pattern, "000000000000:")),
            }
        }
        "aws:userid" if is_pattern(head(':')) => Some(fill(pattern, "x")),
        "aws:principalorgid" | "aws:principalorgpaths" if is_pattern(head('/')) => Some(fill(pattern, "x")),
        "aws:sourcevpce" | "aws:sourcevpc" => Some(fill(pattern, "0")),
        _ => None,
    }
}

/// An account that a pattern matches.
fn digits(pattern: &str) -> String {
    let given = pattern.chars().filter(|c| *c != '*').count();
    let rest = "0".repeat(NOBODYS.len().saturating_sub(given));
    fill(&pattern.replacen('*', &rest, 1).replace('*', ""), "").replace('x', "0")
}

/// A text that a pattern matches.
fn fill(pattern: &str, star: &str) -> String {
    pattern.replace('*', star).replace('?', "x")
}

fn role_of(account: &str) -> String {
    format!("arn:aws:iam::{account}:role/stranger")
}

/// As `aws:PrincipalArn` has it: a session by its role.
fn principal_arn(caller: &Caller) -> String {
    match &caller.kind {
        crate::evaluate::CallerKind::Session { role } => role.clone(),
        _ => caller.arn.clone(),
    }
}

fn account_of(id: &str) -> &str {
    id.split(':').nth(4).unwrap_or(id)
}

fn is_account(text: &str) -> bool {
    text.len() == NOBODYS.len() && text.bytes().all(|it| it.is_ascii_digit())
}

fn is_negative(condition: &Condition) -> bool {
    let operator = condition.operator.to_ascii_lowercase();
    operator.contains("not") || operator == "null"
}

/// Whether a statement names everybody, or everybody but some.
pub(crate) fn is_for_all(statement: &Statement) -> bool {
    match &statement.principal {
        Some(Scope::Only(listed)) => listed.0.values().flatten().any(|id| id == "*"),
        Some(Scope::AllBut(_)) => true,
        None => false,
    }
}
