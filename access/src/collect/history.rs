//! CloudTrail's event history: who reads versions other than the current one.
//!
//! `LookupEvents` returns fifty events a page, two pages a second, and goes back ninety days. `BatchGetSecretValue` is
//! covered: it logs one `GetSecretValue` per secret.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{Collector, taken, text, time};
use crate::snapshot::{Secret, VersionRead};

const PERMISSION: &str = "cloudtrail:LookupEvents";
/// The most pages to read, which takes eight minutes.
const MOST_PAGES: usize = 1000;

/// A secret, the principal that read it, and the requested label and version.
type Key = (String, String, Option<String>, Option<String>);

impl Collector<'_> {
    /// Counts reads by label or version in the last `days` days.
    pub(super) async fn version_reads(&mut self, now: Timestamp, days: u32) {
        let since = now - SignedDuration::from_hours(i64::from(days) * 24);
        let mut body = json!({
            "LookupAttributes": [{"AttributeKey": "EventName", "AttributeValue": "GetSecretValue"}],
            "StartTime": since.as_second(),
            "EndTime": now.as_second(),
            "MaxResults": 50,
        });
        let mut found: BTreeMap<Key, (u64, Option<Timestamp>)> = BTreeMap::new();
        let mut oldest = None;
        for page in 1.. {
            (self.progress)("CloudTrail's event history, page", page, 0);
            let answer = self.client.json("cloudtrail", "LookupEvents", &body).await;
            let Some(mut answer) = self.noted(PERMISSION, None, answer) else { return };
            for event in answer["Events"].as_array().into_iter().flatten() {
                oldest = time(&event["EventTime"]).or(oldest);
                if let Some(key) = self.read_of(event) {
                    let (count, last) = found.entry(key).or_default();
                    *count += 1;
                    *last = (*last).max(time(&event["EventTime"]));
                }
            }
            match taken(&mut answer, "NextToken") {
                Value::String(more) if !more.is_empty() && page < MOST_PAGES => {
                    body["NextToken"] = json!(more)
                }
                Value::String(more) if !more.is_empty() => {
                    let until = oldest.map(|time| format!(", back to {time}")).unwrap_or_default();
                    self.note(PERMISSION, None, format!("searched only {} reads{until}", 50 * MOST_PAGES));
                    break;
                }
                _ => break,
            }
        }
        self.snapshot.reads_since = Some(since);
        self.snapshot.version_reads = found
            .into_iter()
            .map(|((secret_arn, principal, version_stage, version_id), (count, last_read))| VersionRead {
                secret_arn,
                principal,
                version_stage,
                version_id,
                count,
                last_read,
            })
            .collect();
    }

    /// Returns the key of an event that is a successful read of one of the secrets, by a label other than AWSCURRENT or
    /// by a version id.
    fn read_of(&self, event: &Value) -> Option<Key> {
        let record: Value = serde_json::from_str(event["CloudTrailEvent"].as_str()?).ok()?;
        if record["errorCode"].is_string() {
            return None;
        }
        let asked = &record["requestParameters"];
        let optional = |name: &str| asked[name].as_str().map(str::to_owned);
        let (stage, version) = (optional("versionStage"), optional("versionId"));
        if version.is_none() && stage.as_deref().is_none_or(|stage| stage == "AWSCURRENT") {
            return None;
        }
        let id = asked["secretId"].as_str()?;
        let secret = self.snapshot.secrets.iter().find(|secret| is_called(secret, id))?;
        Some((secret.arn.clone(), principal(&record["userIdentity"]), stage, version))
    }
}

/// Whether an id in a request means a secret: its name, its ARN, or the ARN without the six random characters.
fn is_called(secret: &Secret, id: &str) -> bool {
    secret.name == id
        || secret.arn == id
        || secret.arn.rsplit_once('-').is_some_and(|(partial, _)| partial == id)
}

/// The role rather than its session; otherwise whatever CloudTrail recorded.
fn principal(identity: &Value) -> String {
    let known = [
        &identity["sessionContext"]["sessionIssuer"]["arn"],
        &identity["arn"],
        &identity["invokedBy"],
        &identity["principalId"],
    ];
    known.into_iter().map(text).find(|name| !name.is_empty()).unwrap_or_else(|| "unknown".to_owned())
}
