//! Renders the result of an audit in four formats.

use std::collections::{BTreeSet, HashMap};
use std::io;

use secretcache_access::audit::{Cause, Finding, NotChecked, Report, Severity};
use secretcache_access::checks::{CHECKS, check};
use serde_json::{Value, json};

use crate::terminal::on_one_line;

/// The page that explains every check.
const PAGE: &str = "https://github.com/secretcache/secretcache/blob/main/docs/checks.md";

/// The reason in a snapshot of `secretcache audit` without `--login` why values were not collected.
pub(super) const WITHOUT_LOGIN: &str = "not read without --login";
/// The same without `--look-back`, for events.
pub(super) const WITHOUT_LOOK_BACK: &str = "not read without --look-back";

/// Ignores a broken pipe: the reader stopped, which is not a failure.
pub(super) fn seen(printed: io::Result<()>) -> io::Result<()> {
    match printed {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

pub(super) fn text(report: &Report) -> String {
    let mut text = String::new();
    for (finding, others) in grouped(report) {
        let subject = subject(finding, others);
        text += &format!("{:<8} {:<26} {}\n", finding.severity, finding.check, on_one_line(&subject));
        text += &format!("         {}\n", on_one_line(&finding.seen));
        if let Some(check) = check(finding.check) {
            text += &format!("         why: {}\n", check.why);
        }
        for command in &finding.run {
            text += &format!("         fix: {}\n", on_one_line(command));
        }
        if let Some(advice) = &finding.advice {
            let kind = if finding.run.is_empty() { "fix" } else { "note" };
            text += &format!("         {kind}: {}\n", on_one_line(advice));
        }
    }
    for missing in &report.not_checked {
        text += &format!("not checked: {}\n", on_one_line(&unchecked(missing)));
    }
    text + &summary(report) + "\n"
}

/// Says in one sentence how many secrets were checked, and how many findings there are.
fn summary(report: &Report) -> String {
    let count =
        |severity: Severity| report.findings.iter().filter(|finding| finding.severity == severity).count();
    let counts: Vec<_> = Severity::ALL
        .into_iter()
        .rev()
        .filter(|severity| count(*severity) > 0)
        .map(|severity| format!("{} {severity}", count(severity)))
        .collect();
    let counts = if counts.is_empty() { "no findings".to_owned() } else { counts.join(", ") };
    let counts = nothing(report).filter(|_| report.findings.is_empty()).map_or(counts, str::to_owned);
    let secrets = if report.secrets == 1 { "secret" } else { "secrets" };
    let place = format!("account {}, {}", report.account, report.region);
    format!("{} {secrets} in {place}: {counts}{}", report.secrets, unmade(report))
}

/// A message if no secret or nothing at all was checked: then a lack of findings means nothing.
pub(super) fn nothing(report: &Report) -> Option<&'static str> {
    match report.secrets {
        0 => Some("no secret was checked"),
        _ if report.checked.is_empty() => Some("nothing was checked"),
        _ => None,
    }
}

/// Says how many checks could not be made at all.
fn unmade(report: &Report) -> String {
    let unmade = report.not_checked.iter().map(|missing| missing.check);
    let unmade: BTreeSet<_> = unmade.filter(|check| !report.checked.contains(check)).collect();
    if unmade.is_empty() || report.checked.is_empty() {
        return String::new();
    }
    format!("; {} of {} checks were not made", unmade.len(), unmade.len() + report.checked.len())
}

/// Groups equal findings, each with the number of further secrets. A fault of a key or a function is reported for every
/// secret that uses it.
fn grouped(report: &Report) -> Vec<(&Finding, usize)> {
    let mut groups: Vec<(&Finding, usize)> = Vec::new();
    let mut known = HashMap::new();
    for finding in &report.findings {
        let Finding { check, severity, secret: _, resource, seen, run, advice } = finding;
        let place =
            *known.entry((check, severity.to_string(), resource, seen, run, advice)).or_insert(groups.len());
        match groups.get_mut(place) {
            Some((_, others)) => *others += 1,
            None => groups.push((finding, 0)),
        }
    }
    groups
}

fn subject(finding: &Finding, others: usize) -> String {
    let more = if others == 0 { String::new() } else { format!(" and {others} more") };
    match &finding.secret {
        Some(secret) if finding.resource.contains(secret.as_str()) => format!("{secret}{more}"),
        Some(secret) => format!("{secret}{more}: {}", finding.resource),
        None => finding.resource.clone(),
    }
}

fn unchecked(missing: &NotChecked) -> String {
    let NotChecked { check, permission, resources, reason, cause } = missing;
    match reason.as_str() {
        WITHOUT_LOGIN => return format!("{check}: give --login to read values"),
        WITHOUT_LOOK_BACK => {
            return format!("{check}: give --look-back to search CloudTrail's event history");
        }
        _ if *cause == Cause::NotKnown => return format!("{check}: not known: {reason}"),
        _ => {}
    }
    let of_secrets = permission.starts_with("secretsmanager:") || permission.starts_with("kms:");
    let reach = match (resources, if of_secrets { "secret" } else { "resource" }) {
        (None, _) => String::new(),
        (Some(1), what) => format!(" for one {what}"),
        (Some(count), what) => format!(" for {count} {what}s"),
    };
    // How the services say that a permission is missing, and how the collector says that a call was skipped because of
    // that.
    const REFUSED: [&str; 5] =
        ["AccessDenied", "UnauthorizedOperation", "NotAuthorized", "not authorized", "not asked without"];
    if reason.is_empty() || REFUSED.iter().any(|word| reason.contains(word)) {
        format!("{check}: {permission} is missing{reach}")
    } else {
        format!("{check}: {permission} failed{reach}: {reason}")
    }
}

pub(super) fn json(report: &Report) -> io::Result<Value> {
    let mut json = serde_json::to_value(report)?;
    for finding in json["Findings"].as_array_mut().into_iter().flatten() {
        let id = finding["Check"].as_str().unwrap_or_default();
        if let Some(check) = check(id) {
            finding["Title"] = json!(check.title);
            finding["Why"] = json!(check.why);
            finding["Counterparts"] = json!(check.counterparts);
        }
    }
    Ok(json)
}

/// SARIF 2.1.0: <https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html>.
pub(super) fn sarif(report: &Report) -> Value {
    let all = || CHECKS.iter().copied().flatten();
    let rules: Vec<Value> = all()
        .map(|check| {
            json!({
                "id": check.id,
                "shortDescription": {"text": check.title},
                "fullDescription": {"text": check.why},
                "help": {"text": check.fix},
                "helpUri": format!("{PAGE}#{}", check.id.replace('.', "")),
                "defaultConfiguration": {"level": level(check.severity)},
                "properties": {"security-severity": score(check.severity), "tags": ["security"]},
            })
        })
        .collect();
    let results: Vec<Value> = report
        .findings
        .iter()
        .map(|finding| {
            let mut message = finding.seen.clone();
            for command in &finding.run {
                message += &format!("\nFix: {command}");
            }
            if let Some(advice) = &finding.advice {
                message += &format!("\n{advice}");
            }
            json!({
                "ruleId": finding.check,
                "ruleIndex": all().position(|check| check.id == finding.check),
                "level": level(finding.severity),
                "message": {"text": message},
                "locations": [{
                    // Code scanning requires a file. The logical location is the real one.
                    "physicalLocation": {"artifactLocation": {"uri": format!("aws/{}/{}", report.account, report.region)}},
                    "logicalLocations": [{"fullyQualifiedName": finding.resource, "kind": "resource"}],
                }],
                "partialFingerprints": {"secretcache/v1": format!("{}|{}", finding.check, finding.resource)},
            })
        })
        .collect();
    let notifications: Vec<Value> = report
        .not_checked
        .iter()
        .map(|missing| {
            json!({
                "level": "warning",
                "message": {"text": format!("not checked: {}", unchecked(missing))},
                "associatedRule": {
                    "id": missing.check,
                    "index": all().position(|check| check.id == missing.check),
                },
            })
        })
        .collect();
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "secretcache",
                "version": env!("CARGO_PKG_VERSION"),
                "informationUri": "https://github.com/secretcache/secretcache",
                "rules": rules,
            }},
            "results": results,
            // An audit that could not check everything still succeeded, and reports what is missing. One that had
            // nothing to check did not.
            "invocations": [{"executionSuccessful": nothing(report).is_none(), "toolExecutionNotifications": notifications}],
        }],
    })
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical | Severity::High => "error",
        Severity::Medium => "warning",
        Severity::Low | Severity::Info => "note",
    }
}

fn score(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "9.5",
        Severity::High => "8.0",
        Severity::Medium => "5.5",
        Severity::Low => "3.0",
        Severity::Info => "1.0",
    }
}

pub(super) fn html(report: &Report) -> String {
    let mut rows = String::new();
    for (finding, others) in grouped(report) {
        let fixes: String =
            finding.run.iter().map(|command| format!("<pre>{}</pre>", escape(command))).collect();
        let advice =
            finding.advice.as_deref().map(|advice| format!("<p>{}</p>", escape(advice))).unwrap_or_default();
        let why = check(finding.check).map(|check| check.why).unwrap_or_default();
        rows += &format!(
            "<tr class=\"{severity}\"><td>{severity}<td><a href=\"{PAGE}#{anchor}\">{id}</a><td>{subject}<p>{seen}<p><i>{why}</i><td>{fixes}{advice}\n",
            severity = finding.severity,
            anchor = finding.check.replace('.', ""),
            id = finding.check,
            subject = escape(&subject(finding, others)),
            seen = escape(&finding.seen),
            why = escape(why),
        );
    }
    let missing: String =
        report.not_checked.iter().map(|missing| format!("<li>{}\n", escape(&unchecked(missing)))).collect();
    format!(
        "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <title>Secrets in account {account}</title>\n<style>\n\
         body {{ font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem }}\n\
         table {{ border-collapse: collapse; width: 100%; table-layout: fixed }}\n\
         td, th {{ border-top: 1px solid #ccc; padding: .5rem; text-align: left; vertical-align: top; overflow-wrap: anywhere }}\n\
         th:nth-child(1) {{ width: 5rem }} th:nth-child(2) {{ width: 11rem }}\n\
         pre {{ white-space: pre-wrap; background: #f4f4f4; padding: .4rem; margin: .2rem 0 }}\n\
         .critical td:first-child, .high td:first-child {{ color: #a00; font-weight: 600 }}\n\
         @media (prefers-color-scheme: dark) {{ body {{ background: #111; color: #ddd }} pre {{ background: #222 }} a {{ color: #8bf }} }}\n\
         </style>\n<h1>Secrets in account {account}, {region}</h1>\n\
         <p>{summary}.</p>\n\
         <table><tr><th>Severity<th>Check<th>Seen<th>Fix\n{rows}</table>\n\
         <h2>Not checked</h2>\n<ul>\n{missing}</ul>\n</html>\n",
        account = escape(&report.account),
        region = escape(&report.region),
        summary = escape(&summary(report)),
    )
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
