//! Trust policies of roles that read secrets: whether they let in more principals than intended.

use std::collections::BTreeMap;

use super::{IAM, of_others};
use crate::audited::Audit;
use crate::checks::sharing::narrow::{Narrowed, to_account};
use crate::evaluate::Outcome;
use crate::finding::Findings;
use crate::fix::{option, quote};
use crate::reach::Opening;
use crate::snapshot::Principal;

pub(super) fn public(audit: &Audit<'_>, findings: &mut Findings<'_>) {
    each(audit, findings, true);
}

pub(super) fn shared(audit: &Audit<'_>, findings: &mut Findings<'_>) {
    each(audit, findings, false);
}

fn each(audit: &Audit<'_>, findings: &mut Findings<'_>, is_public: bool) {
    let mut unknown = Vec::new();
    for (role, count) in reading_roles(audit) {
        let Some(trust) = &role.trust_policy else {
            unknown.push(role.arn.rsplit(':').next().unwrap_or_default());
            continue;
        };
        for (index, opening) in audit.account.openings(role) {
            if opening.is_public() != is_public {
                continue;
            }
            let place = trust.statements[index].title(index);
            let reads =
                if count == 1 { "a secret".to_owned() } else { format!("{count} of the audited secrets") };
            let seen = format!("trust policy, {place}: lets {opening} assume this role, which reads {reads}");
            let finding = findings.add(&role.arn, seen);
            if let Some(advice) = of_others(role) {
                finding.advise(advice);
                continue;
            }
            let narrowed = match opening {
                Opening::Anybody | Opening::FewAddresses => to_account(audit, trust, index),
                _ => None,
            };
            if let Some(Narrowed::Statement(statement)) = narrowed {
                let document = trust.with_statements(index, vec![statement]).to_string();
                let name = role.arn.rsplit('/').next().unwrap_or_default();
                let name = option("--role-name", name);
                finding.run(format!(
                    "aws iam update-assume-role-policy {name} --policy-document {}",
                    quote(&document)
                ));
            }
            finding.advise(advice(&opening));
        }
    }
    if let [first, rest @ ..] = unknown.as_slice() {
        let more = if rest.is_empty() { String::new() } else { format!(" and {} more", rest.len()) };
        findings.not_known(IAM[0], format!("the trust policies of {first}{more} were not collected"));
    }
}

fn advice(opening: &Opening) -> String {
    match opening {
        Opening::Anybody | Opening::FewAddresses => {
            "the command limits it to principals of this account: name those that need the role, including those of \
             other accounts that must keep it"
                .to_owned()
        }
        Opening::Organization => {
            "name the roles or accounts that need it in the statement's Principal".to_owned()
        }
        Opening::Account(account) => format!(
            "name the roles of account {account} that need it; if it belongs to a third party, add a condition on \
             sts:ExternalId with the id that it gave you"
        ),
        Opening::Provider(provider) => {
            let issuer =
                provider.split_once(":oidc-provider/").map_or(provider.as_str(), |(_, issuer)| issuer);
            if provider.contains(":oidc-provider/") {
                format!(
                    "add a condition on {issuer}:sub with the subject that needs the role, such as repo:owner/name:ref:refs/heads/main \
                     or system:serviceaccount:namespace:name"
                )
            } else {
                format!("add a condition on the application's id, such as {issuer}:aud")
            }
        }
    }
}

/// The roles that can read secrets, each with the number of secrets.
fn reading_roles<'a>(audit: &Audit<'a>) -> impl Iterator<Item = (&'a Principal, usize)> {
    let mut found: BTreeMap<&str, (&Principal, usize)> = BTreeMap::new();
    for secret in audit.snapshot.secrets.iter().filter(|secret| secret.deleted_date.is_none()) {
        let readers = audit.readers(secret).iter().filter(|reader| reader.outcome != Outcome::Denied);
        for principal in readers.map(|reader| reader.principal).filter(|it| it.arn.contains(":role/")) {
            found.entry(&principal.arn).or_insert((principal, 0)).1 += 1;
        }
    }
    found.into_values()
}
