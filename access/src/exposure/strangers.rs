//! Made-up principals ("strangers") that test whether a policy lets anyone in. If a condition has a wildcard, the
//! stranger gets a value that matches it. The same goes for conditions that anyone can meet, such as coming through
//! some endpoint.

use std::net::IpAddr;

use ipnet::IpNet;

use super::{Exposure, NOBODYS, NOBODYS_ORGANIZATION, fill, is_account, is_negative, role_of};
use crate::condition::{Context, network};
use crate::document::{Condition, Document, Effect};
use crate::evaluate::{Caller, concerns_action};
use crate::pattern::{is_pattern, matches};

impl Exposure<'_> {
    /// Returns principals of an account that no policy names, each both in no organization and in one of its own.
    pub(super) fn strangers(&self, index: usize) -> Vec<(Caller, Context)> {
        let mut all = Vec::new();
        for (caller, context) in self.comers(index) {
            for organization in [None, Some(NOBODYS_ORGANIZATION)] {
                let mut context = context.clone();
                if organization.is_some() {
                    belong(&mut context, "aws:PrincipalOrg", organization);
                }
                context.close("aws:PrincipalOrg"); // keeps a value that matches a wildcard
                all.push((caller.clone(), context));
            }
        }
        all
    }

    /// Returns principals of an account that no policy names, in any organization, over the internet and through an
    /// endpoint of their own.
    pub(super) fn comers(&self, index: usize) -> Vec<(Caller, Context)> {
        let statement = &self.policy.statements[index];
        if statement.effect == Effect::Deny || !concerns_action(statement, self.action) {
            return Vec::new();
        }
        let made = [self.stranger(index), self.stranger_past_denies(index)];
        let each = made.iter().flat_map(|(caller, context)| {
            PATHS.iter().map(move |set_path| {
                let mut context = context.clone();
                set_path(&mut context);
                ["aws:SourceAccount", "aws:SourceArn"].iter().for_each(|key| context.close(key));
                (caller.clone(), context)
            })
        });
        each.collect()
    }

    /// Returns a role, in an account that no policy names, that matches the wildcards in a statement's conditions.
    pub(super) fn stranger(&self, index: usize) -> (Caller, Context) {
        let conditions = self.policy.statements[index].conditions.iter();
        self.fitting(conditions.filter(|it| !is_negative(it)))
    }

    /// Same as [`stranger`](Self::stranger); the role also matches the wildcards that a Deny exempts.
    fn stranger_past_denies(&self, index: usize) -> (Caller, Context) {
        let denies = self.policy.statements.iter().filter(|it| it.effect == Effect::Deny);
        let denies = denies.filter(|it| concerns_action(it, self.action)).flat_map(|it| &it.conditions);
        // Only services set the keys that name the account they act for.
        let is_of_services = |it: &Condition| it.is_on("aws:sourcea");
        let excepts = denies.filter(|it| is_negative(it) && !is_of_services(it));
        let asks = self.policy.statements[index].conditions.iter().filter(|it| !is_negative(it));
        self.fitting(excepts.chain(asks))
    }

    fn fitting<'c>(&self, conditions: impl Iterator<Item = &'c Condition>) -> (Caller, Context) {
        let arn = role_of(NOBODYS);
        let mut context = self.context(NOBODYS, &arn);
        context.set("aws:userId", "AROA000000000000000:stranger");
        for condition in conditions {
            let mut doors = condition.values.iter().filter(|value| is_pattern(value));
            if let Some(value) = doors.find_map(|value| fitting(&condition.key.to_ascii_lowercase(), value)) {
                context.set(&condition.key, value);
            }
        }
        (Caller::from_arn(&arn), context)
    }
}

/// The network paths a stranger's request can take. Each sets or closes the keys that are still unknown.
pub(super) const PATHS: [fn(&mut Context); 2] = [over_internet, through_endpoint];

fn over_internet(context: &mut Context) {
    ["aws:SourceVp", "aws:Vpc"].iter().for_each(|prefix| context.close(prefix));
}

/// Any account can have endpoints.
fn through_endpoint(context: &mut Context) {
    for (key, value) in [
        ("aws:SourceVpce", "vpce-00000000000000000"),
        ("aws:SourceVpc", "vpc-00000000000000000"),
        ("aws:VpceAccount", NOBODYS),
        ("aws:VpceOrgID", NOBODYS_ORGANIZATION),
    ] {
        context.set_default(key, value);
    }
    context.set_default("aws:VpceOrgPaths", &format!("{NOBODYS_ORGANIZATION}/r-0000/"));
    context.close("aws:SourceIp");
}

/// Returns addresses that strangers can have: one that no policy names, and one in each range too wide for a single
/// site.
pub(super) fn addresses(policy: &Document) -> Vec<String> {
    const NOBODYS_ADDRESS: &str = "240.0.0.1"; // in a range that is not in use
    let conditions = policy.statements.iter().flat_map(|it| &it.conditions);
    let ranges =
        conditions.filter(|it| it.key.eq_ignore_ascii_case("aws:SourceIp")).flat_map(|it| &it.values);
    let wide = ranges.filter_map(|value| network(value)).filter(is_wide);
    [NOBODYS_ADDRESS.to_owned()].into_iter().chain(wide.map(|it| it.network().to_string())).collect()
}

/// Checks whether strangers can have an address in a range: it is larger than one site's, and not private, since
/// private addresses never appear on the internet.
fn is_wide(range: &IpNet) -> bool {
    const SITE: [u8; 2] = [24, 48];
    match range.network() {
        IpAddr::V4(address) => range.prefix_len() < SITE[0] && !address.is_private(),
        IpAddr::V6(_) => range.prefix_len() < SITE[1],
    }
}

/// Puts a principal or a resource in an organization, or in none. `of` is the prefix of the context keys.
pub(super) fn belong(context: &mut Context, of: &str, organization: Option<&str>) {
    context.forget(&format!("{of}ID"));
    if let Some(id) = organization {
        context.set(&format!("{of}ID"), id);
        context.set_many(&format!("{of}Paths"), vec![format!("{id}/r-0000/")]);
    } else {
        context.close(of);
    }
}

/// Returns a value that a stranger can have for a context key and that matches a pattern; `None` if the pattern
/// identifies someone.
pub(super) fn fitting(key: &str, pattern: &str) -> Option<String> {
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

/// Returns an account id that a pattern matches.
fn digits(pattern: &str) -> String {
    let given = pattern.chars().filter(|c| *c != '*').count();
    let rest = "0".repeat(NOBODYS.len().saturating_sub(given));
    fill(&pattern.replacen('*', &rest, 1).replace('*', ""), "").replace('x', "0")
}
