//! CloudTrail's event history: who reads versions other than the current one.
//!
//! `LookupEvents` answers fifty events a time, two times a second, of the last ninety days. `BatchGetSecretValue` is there too:
//! it leaves one `GetSecretValue` per secret.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{Collector, text, time};
use crate::snapshot::{Secret, VersionRead};

const PERMISSION: &str = "cloudtrail:LookupEvents";
/// Eight minutes of them.
const MOST_PAGES: usize = 1000;

/// A secret, who read it, and the label and version that were asked for.
type Key = (String, String, Option<String>, Option<String>);

impl Collector<'_> {
    /// Counts reads by label or version since so many days ago.
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
            match answer["NextToken"].take() {
                Value::String(more) if !more.is_empty() && page < MOST_PAGES => {
                    body["NextToken"] = json!(more)
                }
                Value::String(more) if !more.is_empty() => {
                    let until = oldest.map(|time| format!(" back to {time}")).unwrap_or_default();
                    self.note(PERMISSION, None, format!("only the latest {} reads{until}", 50 * MOST_PAGES));
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

    /// A read that was answered, of one of the secrets, by a label other than AWSCURRENT or by a version id.
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

/// Whether an id of a request means a secret: its name, its ARN, or that without the six characters.
fn is_called(secret: &Secret, id: &str) -> bool {
    secret.name == id
        || secret.arn == id
        || secret.arn.rsplit_once('-').is_some_and(|(partial, _)| partial == id)
}

/// A role rather than its session, else whatever CloudTrail says.
fn principal(identity: &Value) -> String {
    let known = [
        &identity["sessionContext"]["sessionIssuer"]["arn"],
        &identity["arn"],
        &identity["invokedBy"],
        &identity["principalId"],
    ];
    known.into_iter().map(text).find(|name| !name.is_empty()).unwrap_or_else(|| "somebody".to_owned())
}
