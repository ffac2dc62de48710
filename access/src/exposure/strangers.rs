//! Strangers, made for the question whether a policy lets anybody in. A wildcard in a condition is a door: the principal
//! that knocks is made to fit it. So is a condition that anybody can meet, such as that a request takes some endpoint.

use std::net::IpAddr;

use ipnet::IpNet;

use super::{Exposure, NOBODYS, NOBODYS_ORGANIZATION, fill, is_account, is_negative, role_of};
use crate::condition::{Context, network};
use crate::document::{Condition, Document, Effect};
use crate::evaluate::{Caller, concerns_action};
use crate::pattern::{is_pattern, matches};

impl Exposure<'_> {
    /// Principals of nobody's account: in no organization or in one of their own.
    pub(super) fn strangers(&self, index: usize) -> Vec<(Caller, Context)> {
        let mut all = Vec::new();
        for (caller, context) in self.comers(index) {
            for organization in [None, Some(NOBODYS_ORGANIZATION)] {
                let mut context = context.clone();
                if organization.is_some() {
                    belong(&mut context, "aws:PrincipalOrg", organization);
                }
                context.close("aws:PrincipalOrg"); // but what a door has set
                all.push((caller.clone(), context));
            }
        }
        all
    }

    /// Principals of nobody's account, whatever their organization: over the internet or through an endpoint of their own.
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

    /// A role of nobody's account that fits the wildcards of a statement's conditions.
    pub(super) fn stranger(&self, index: usize) -> (Caller, Context) {
        let conditions = self.policy.statements[index].conditions.iter();
        self.fitting(conditions.filter(|it| !is_negative(it)))
    }

    /// The same, and it fits those wildcards to which a Deny makes an exception.
    fn stranger_past_denies(&self, index: usize) -> (Caller, Context) {
        let denies = self.policy.statements.iter().filter(|it| it.effect == Effect::Deny);
        let denies = denies.filter(|it| concerns_action(it, self.action)).flat_map(|it| &it.conditions);
        // Only services say for whom they call.
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

/// How a request of a stranger's may come: what is not known of it already is set or absent.
pub(super) const PATHS: [fn(&mut Context); 2] = [over_internet, through_endpoint];

fn over_internet(context: &mut Context) {
    ["aws:SourceVp", "aws:Vpc"].iter().for_each(|prefix| context.close(prefix));
}

/// Every account can have endpoints.
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

/// Addresses that strangers may have: one that no policy names, and one of each range that is for many.
pub(super) fn addresses(policy: &Document) -> Vec<String> {
    const NOBODYS_ADDRESS: &str = "240.0.0.1"; // of a range that is not in use
    let conditions = policy.statements.iter().flat_map(|it| &it.conditions);
    let ranges =
        conditions.filter(|it| it.key.eq_ignore_ascii_case("aws:SourceIp")).flat_map(|it| &it.values);
    let wide = ranges.filter_map(|value| network(value)).filter(is_wide);
    [NOBODYS_ADDRESS.to_owned()].into_iter().chain(wide.map(|it| it.network().to_string())).collect()
}

/// Whether strangers may have an address of a range: it is larger than a site's. Private ones never show over the internet.
fn is_wide(range: &IpNet) -> bool {
    const SITE: [u8; 2] = [24, 48];
    match range.network() {
        IpAddr::V4(address) => range.prefix_len() < SITE[0] && !address.is_private(),
        IpAddr::V6(_) => range.prefix_len() < SITE[1],
    }
}

/// Has a principal or a resource (`of`, the beginning of the keys) belong to an organization, or to none.
pub(super) fn belong(context: &mut Context, of: &str, organization: Option<&str>) {
    context.forget(&format!("{of}ID"));
    if let Some(id) = organization {
        context.set(&format!("{of}ID"), id);
        context.set_many(&format!("{of}Paths"), vec![format!("{id}/r-0000/")]);
    } else {
        context.close(of);
    }
}

/// What a stranger has for a context key so that a pattern matches; none if the pattern names somebody.
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

/// An account that a pattern matches.
fn digits(pattern: &str) -> String {
    let given = pattern.chars().filter(|c| *c != '*').count();
    let rest = "0".repeat(NOBODYS.len().saturating_sub(given));
    fill(&pattern.replacen('*', &rest, 1).replace('*', ""), "").replace('x', "0")
}
