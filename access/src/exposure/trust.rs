//! Principals that a role's trust policy lets in without identifying them.

use super::strangers::{PATHS, belong};
use super::{Exposure, NOBODYS_ORGANIZATION, account_of, fill, is_account, is_for_all, is_negative, role_of};
use crate::condition::Truth;
use crate::document::{Effect, Scope, Statement};
use crate::evaluate::{Caller, concerns_action};
use crate::pattern::{is_pattern, matches};

/// The call that takes a token from an identity provider.
const BY_TOKEN: &str = "sts:AssumeRoleWithWebIdentity";
const EXTERNAL_ID: &str = "sts:ExternalId";

impl Exposure<'_> {
    /// Returns the other accounts that one statement trusts as a whole: it requires no external id and no organization,
    /// and does not restrict who the principal is.
    pub(crate) fn trusted_accounts(&self, index: usize) -> Vec<String> {
        let statement = &self.policy.statements[index];
        let listed = listed(statement, "AWS").filter(|id| is_account(id) || id.ends_with(":root"));
        let mut accounts: Vec<_> = listed.map(|id| account_of(id).to_owned()).collect();
        if is_for_all(statement) {
            let named = statement.conditions.iter().flat_map(|it| self.named_by(it));
            accounts.extend(named.map(|id| account_of(&id).to_owned()));
        }
        accounts.sort();
        accounts.dedup();
        accounts.retain(|account| account != self.account && self.trusts_anybody_of(index, account));
        accounts
    }

    fn trusts_anybody_of(&self, index: usize, account: &str) -> bool {
        let arn = role_of(account);
        let caller = Caller::from_arn(&arn);
        // A pattern that any external id matches protects nothing.
        let conditions = self.policy.statements.iter().flat_map(|it| &it.conditions);
        let mut ids =
            conditions.filter(|it| it.key.eq_ignore_ascii_case(EXTERNAL_ID)).flat_map(|it| &it.values);
        let any = ids.find(|value| value.chars().all(|c| matches!(c, '*' | '?')));
        let any = any.map_or("zq7xkj".to_owned(), |value| fill(value, "x"));
        [None, Some(any)].iter().any(|id| {
            [None, Some(NOBODYS_ORGANIZATION)].iter().any(|organization| {
                PATHS.iter().any(|set_path| {
                    let mut context = self.context(account, &arn);
                    id.iter().for_each(|id| context.set(EXTERNAL_ID, id));
                    belong(&mut context, "aws:PrincipalOrg", *organization);
                    set_path(&mut context);
                    ["aws:PrincipalTag/", "aws:SourceArn", "aws:SourceAccount", EXTERNAL_ID]
                        .iter()
                        .for_each(|prefix| context.close(prefix));
                    self.admits(index, &caller, &context)
                })
            })
        })
    }

    /// Checks whether one statement accepts tokens from a provider for any subject.
    pub(crate) fn takes_any_subject(&self, index: usize, provider: &str) -> bool {
        let statement = &self.policy.statements[index];
        let Some(issuer) = issuer(provider) else { return false };
        if statement.effect == Effect::Deny || !concerns_action(statement, BY_TOKEN) {
            return false;
        }
        let claim = |name: &str| format!("{issuer}:{name}");
        let wanted = |name: &str| -> Vec<&str> {
            let asked = statement.conditions.iter().filter(|it| it.key.eq_ignore_ascii_case(&claim(name)));
            asked.filter(|it| !is_negative(it)).flat_map(|it| &it.values).map(String::as_str).collect()
        };
        let doors = wanted("sub").into_iter().filter(|subject| is_pattern(owner(subject)));
        let doors: Vec<_> = doors.map(|subject| fill(subject, "zq7xkj")).collect();
        let mut context = self.at_any_time();
        context.close(&claim(""));
        // Guests of a Cognito identity pool need only its id, which every login page reveals.
        let is_for_guests = wanted("amr").iter().any(|it| matches(it, "unauthenticated"));
        context.set(&claim("amr"), if is_for_guests { "unauthenticated" } else { "authenticated" });
        let mut choose = |name: &str, usual: &str| {
            let chosen = wanted(name).first().map_or(usual.to_owned(), |it| fill(it, "x"));
            context.set(&claim(name), chosen);
        };
        // The caller chooses the audience of a token from an OIDC provider, and of a guest's token. Elsewhere the
        // audience is the id of one application; only Google's original audience (`oaud`) is chosen as well.
        if provider.contains(":oidc-provider/") || is_for_guests {
            choose("aud", "sts.amazonaws.com");
        }
        choose("oaud", "sts.amazonaws.com");
        let made_up = STRANGERS.iter().map(|subject| (*subject).to_owned());
        let means = |it: &&Statement| {
            concerns_action(it, BY_TOKEN)
                && (is_for_all(it) || listed(it, "Federated").any(|listed| listed == provider))
        };
        let denies = || self.policy.statements.iter().filter(|it| it.effect == Effect::Deny).filter(means);
        made_up.chain(doors).any(|subject| {
            context.set(&claim("sub"), subject);
            self.holds(statement, &context) != Truth::No
                && !denies().any(|deny| self.holds(deny, &context) == Truth::Yes)
        })
    }
}

/// Made-up subjects in the formats that issuers use.
const STRANGERS: [&str; 3] =
    ["zq7xkj", "repo:zq7xkj/zq7xkj:ref:refs/heads/main", "system:serviceaccount:zq7xkj:zq7xkj"];

/// Returns the issuer of a provider's tokens, which is the prefix of its condition keys; `None` for SAML providers.
pub(crate) fn issuer(provider: &str) -> Option<&str> {
    match provider.split_once(":oidc-provider/") {
        Some((_, issuer)) => Some(issuer),
        None => (!provider.contains(':')).then_some(provider),
    }
}

/// Returns the part of a subject that identifies its owner: `repo:owner` in `repo:owner/name:…`, or the namespace of a
/// service account.
fn owner(subject: &str) -> &str {
    let third = subject.match_indices(':').nth(2).map_or(subject.len(), |(at, _)| at);
    let slash = subject.find('/').unwrap_or(subject.len());
    &subject[..third.min(slash)]
}

/// Returns the principals of one type that a statement lists.
pub(crate) fn listed<'a>(statement: &'a Statement, kind: &str) -> impl Iterator<Item = &'a str> {
    let listed = match &statement.principal {
        Some(Scope::Only(listed)) => listed.0.get(kind),
        _ => None,
    };
    listed.into_iter().flatten().map(String::as_str)
}
