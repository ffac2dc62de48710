//! The result of an audit, in four formats.

use std::io::{self, Write};

use secretcache_access::audit::{Finding, NotChecked, Report, Severity};
use secretcache_access::checks::{CHECKS, check};
use serde_json::{Value, json};

use crate::terminal::{harmless, on_one_line};

/// Where each check is explained.
const PAGE: &str = "https://github.com/secretcache/secretcache/blob/main/docs/checks.md";

/// Prints a result. Whoever stopped reading has seen enough.
///
/// A snapshot may come from somebody else: nothing in it gets to write over a terminal.
pub(super) fn print(text: &str) -> io::Result<()> {
    let text = harmless(text);
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

pub(super) fn text(report: &Report) -> String {
    let mut text = String::new();
    for finding in &report.findings {
        text +=
            &format!("{:<8} {:<26} {}\n", finding.severity, finding.check, on_one_line(&subject(finding)));
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
    let count =
        |severity: Severity| report.findings.iter().filter(|finding| finding.severity == severity).count();
    let severities = [Severity::Critical, Severity::High, Severity::Medium, Severity::Low, Severity::Info];
    let counts: Vec<_> = severities
        .into_iter()
        .filter(|severity| count(*severity) > 0)
        .map(|severity| format!("{} {severity}", count(severity)))
        .collect();
    let counts = if counts.is_empty() { "no findings".to_owned() } else { counts.join(", ") };
    let secrets = if report.secrets == 1 { "secret" } else { "secrets" };
    let place = format!("account {}, {}", report.account, report.region);
    text + &format!("{} {secrets} in {place}: {counts}\n", report.secrets)
}

fn subject(finding: &Finding) -> String {
    match &finding.secret {
        Some(secret) if finding.resource.contains(secret.as_str()) => secret.clone(),
        Some(secret) => format!("{secret}: {}", finding.resource),
        None => finding.resource.clone(),
    }
}

fn unchecked(missing: &NotChecked) -> String {
    let NotChecked { check, permission, resources, reason } = missing;
    if reason.starts_with("not read without --login") {
        return format!("{check}: give --login to read values");
    }
    if reason.starts_with("not read without --look-back") {
        return format!("{check}: give --look-back to search CloudTrail's event history");
    }
    let of_secrets = permission.starts_with("secretsmanager:") || permission.starts_with("kms:");
    let reach = match (resources, if of_secrets { "secret" } else { "resource" }) {
        (None, _) => String::new(),
        (Some(1), what) => format!(" for one {what}"),
        (Some(count), what) => format!(" for {count} {what}s"),
    };
    // How the services, and the snapshot for what follows from a refusal, say that a permission is missing.
    const REFUSED: [&str; 5] =
        ["AccessDenied", "UnauthorizedOperation", "NotAuthorized", "not authorized", "not asked without"];
    if reason.is_empty() || REFUSED.iter().any(|word| reason.contains(word)) {
        format!("{check}: {permission} is missing{reach}")
    } else {
        format!("{check}: {permission} failed{reach}: {reason}")
    }
}

pub(super) fn json(report: &Report) -> io::Result<String> {
    let mut json = serde_json::to_value(report)?;
    for finding in json["Findings"].as_array_mut().into_iter().flatten() {
        let id = finding["Check"].as_str().unwrap_or_default();
        if let Some(check) = check(id) {
            finding["Title"] = json!(check.title);
            finding["Why"] = json!(check.why);
            finding["Counterparts"] = json!(check.counterparts);
        }
    }
    Ok(format!("{json:#}\n"))
}

/// SARIF 2.1.0: <https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html>.
pub(super) fn sarif(report: &Report) -> io::Result<String> {
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
                    // Code scanning wants a file; what is meant is the logical location.
                    "physicalLocation": {"artifactLocation": {"uri": format!("aws/{}/{}", report.account, report.region)}},
                    "logicalLocations": [{"fullyQualifiedName": finding.resource, "kind": "resource"}],
                }],
                "partialFingerprints": {"secretcache/v1": format!("{}|{}", finding.check, finding.resource)},
            })
        })
        .collect();
    let sarif = json!({
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
        }],
    });
    Ok(format!("{sarif:#}\n"))
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
    for finding in &report.findings {
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
            subject = escape(&subject(finding)),
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
         <p>{secrets} secrets, {count} findings.</p>\n\
         <table><tr><th>Severity<th>Check<th>Seen<th>Fix\n{rows}</table>\n\
         <h2>Not checked</h2>\n<ul>\n{missing}</ul>\n</html>\n",
        account = escape(&report.account),
        region = escape(&report.region),
        secrets = report.secrets,
        count = report.findings.len(),
    )
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
