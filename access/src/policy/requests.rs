//! The principals that try an action when two policies are compared, and the contexts of their requests.
//!
//! Both are taken from both policies: whatever only the attached policy names, the wanted one does not allow.

use super::resources::{ELSEWHERE, Example, PRINCIPALS, Places, RESOURCES, arns, filled};
use crate::condition::Context;
use crate::document::{Condition, Document, Statement, is_unique_id};
use crate::evaluate::{Caller, concerns_action};
use crate::service;

/// Returns the principals to try, each with its label: those of the wanted policy and ones that no policy names, then
/// those that the attached policies name.
pub(super) fn callers<'a>(
    wanted: impl Iterator<Item = &'a String>,
    attached: &[&Document],
    places: &Places,
) -> Vec<(String, Caller)> {
    let mut callers: Vec<(String, Caller)> = Vec::new();
    let mut add = |label: &str, arn: &str| {
        if !callers.iter().any(|(_, caller)| caller.arn == arn) {
            callers.push((label.to_owned(), Caller::from_arn(arn)));
        }
    };
    wanted.for_each(|arn| add(arn, arn));
    let other =
        |account: &str, kind: &str| format!("arn:{}:iam::{account}:{kind}/another/one", places.partition);
    for kind in ["role", "user"] {
        add(ANY_OTHER, &other(&places.accounts[0], kind));
        add(OF_OTHERS, &other(ELSEWHERE, kind));
    }
    for statement in attached.iter().flat_map(|document| &document.statements) {
        let types = statement.principal.iter().flat_map(|scope| &scope.listed().0);
        for (kind, id) in types.flat_map(|(kind, ids)| ids.iter().map(move |id| (kind, id))) {
            match kind.as_str() {
                "Service" => add(id, id),
                "AWS" if id.starts_with("arn:") && !id.ends_with(":root") => add(id, id),
                "AWS" if id != "*" && !is_unique_id(id) => {
                    let account = id.split(':').nth(4).unwrap_or(id);
                    add(&format!("any principal of {account}"), &other(account, "role"));
                }
                _ => {}
            }
        }
        for Condition { key, values, .. } in &statement.conditions {
            for value in values {
                match key.to_ascii_lowercase().as_str() {
                    "aws:principalarn" => {
                        arns(value, places, PRINCIPALS).iter().for_each(|arn| add(value, arn));
                    }
                    "aws:principalaccount" => {
                        add(&format!("any principal of {value}"), &other(&filled(value), "role"));
                    }
                    "aws:username" => {
                        let (partition, owner) = (&places.partition, &places.accounts[0]);
                        let arn = format!("arn:{partition}:iam::{owner}:user/{}", filled(value));
                        add(&arn, &arn);
                    }
                    _ => {}
                }
            }
        }
    }
    callers
}

/// The labels of principals that no policy names, in the account and in others.
pub(super) const ANY_OTHER: &str = "any other principal";
pub(super) const OF_OTHERS: &str = "principals of other accounts";

/// The context of a request.
pub(super) struct Circumstances {
    pub(super) context: Context,
    /// Whether a needed request can be made like this. Otherwise only differences that allow too much count.
    pub(super) is_usual: bool,
}

/// Returns the contexts to try: one with only the keys of every request, and one in which Secrets Manager uses a key
/// for a secret of the wanted policy. Then one for another secret, one without Secrets Manager, and two for each value
/// of a condition.
pub(super) fn circumstances(
    wanted: &Document,
    attached: &[&Document],
    example: &Example,
    caller: &Caller,
    places: &Places,
) -> Vec<Circumstances> {
    let mut unknown = service::context(caller, &example.arn, &caller.account);
    let home = &places.regions[0];
    if example.arn == "*" && !home.is_empty() {
        unknown.set("aws:RequestedRegion", home);
    }
    let region = example.arn.split(':').nth(3).filter(|region| !region.is_empty()).unwrap_or(home);
    let through = |secret: Option<&str>| {
        let mut context = unknown.clone();
        service::use_key(&mut context, caller, region, secret);
        context
    };
    let conditions = wanted.statements.iter().flat_map(|statement| &statement.conditions);
    let secrets = conditions.filter(|it| it.key.eq_ignore_ascii_case(SECRET_ARN)).flat_map(|it| &it.values);
    let secret = secrets.map(|arn| places.example(arn)).next();
    let usual = through(secret.as_deref());
    let other = through(Some(&places.other("secretsmanager", "secret:another/one-AbCdEf")));
    let mut direct = unknown.clone();
    direct.close("kms:ViaService");
    direct.set("aws:ViaAWSService", "false");
    if let Some(secret) = &secret {
        direct.set(SECRET_ARN, secret);
    }

    let concerned = |statement: &&Statement| example.actions.iter().any(|it| concerns_action(statement, it));
    let statements = attached.iter().chain([&wanted]).flat_map(|document| &document.statements);
    let mut values: Vec<(&str, String)> = statements
        .filter(concerned)
        .flat_map(|statement| &statement.conditions)
        .filter(|condition| is_free(condition, &example.arn))
        .flat_map(|condition| examples_of(condition, places).map(|value| (condition.key.as_str(), value)))
        .collect();
    values.sort();
    values.dedup();
    let with = values.iter().flat_map(|(key, value)| {
        [&unknown, &usual].map(|context| {
            let mut context = context.clone();
            context.set(key, value);
            context
        })
    });
    let more: Vec<_> = [other, direct].into_iter().chain(with).collect();
    let of = |is_usual: bool| move |context: Context| Circumstances { context, is_usual };
    [unknown, usual].into_iter().map(of(true)).chain(more.into_iter().map(of(false))).collect()
}

const SECRET_ARN: &str = "kms:EncryptionContext:SecretARN";

/// Checks whether the key of a condition can have any value, regardless of the caller and the resource.
fn is_free(condition: &Condition, resource: &str) -> bool {
    let key = condition.key.to_ascii_lowercase();
    let operator = condition.operator.to_ascii_lowercase();
    // Dates and numbers have no example values, and `Null` tests only whether the key is present.
    let is_of_values = !["null", "date", "numeric"].iter().any(|word| operator.contains(word));
    let is_tied = [
        "aws:principal",
        "aws:userid",
        "aws:username",
        "aws:resourceaccount",
        "aws:securetransport",
        "aws:sourceaccount",
        "aws:sourcearn",
        "aws:sourceorg",
        "kms:calleraccount",
    ];
    is_of_values
        && !is_tied.iter().any(|prefix| key.starts_with(prefix))
        && (resource == "*" || key != "aws:requestedregion")
}

/// Returns values for the key with which the condition holds, or, if it is negated, does not hold.
fn examples_of<'a>(condition: &'a Condition, places: &'a Places) -> impl Iterator<Item = String> + 'a {
    let one = |value: &'a String| {
        let found = arns(value, places, RESOURCES);
        let plain =
            || filled(value.split_once('/').filter(|_| is_network(value)).map_or(value, |(it, _)| it));
        if found.is_empty() { vec![plain()] } else { found.into_iter().collect() }
    };
    condition.values.iter().flat_map(one)
}

fn is_network(text: &str) -> bool {
    text.parse::<ipnet::IpNet>().is_ok()
}
