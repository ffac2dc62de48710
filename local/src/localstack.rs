//! LocalStack's health and status requests, which test harnesses send before they start.

use serde_json::{Value, json};

use crate::time::Timestamp;

/// Answers such a request; returns `None` if the path is not one of LocalStack's.
pub(crate) fn answer(path: &str, now: Timestamp) -> Option<Value> {
    let path = path.strip_prefix("/_localstack/")?.trim_end_matches('/').to_ascii_lowercase();
    match path.as_str() {
        "health" => Some(json!({
            "services": { "secretsmanager": "running", "sts": "running", "ssm": "running" },
            "edition": EDITION,
            "version": VERSION,
        })),
        "info" => Some(json!({
            "version": VERSION,
            "edition": EDITION,
            "is_license_activated": false,
            "session_id": "00000000-0000-4000-8000-000000000000",
            "machine_id": "local",
            "system": std::env::consts::OS,
            "is_docker": false,
            "server_time_utc": now.to_string(),
            "uptime": 0,
        })),
        "init" => Some(json!({
            "completed": STAGES.map(|(stage, is_over)| (stage.to_uppercase(), is_over.into()))
                .into_iter()
                .collect::<serde_json::Map<_, Value>>(),
            "scripts": [],
        })),
        path => {
            let stage = path.strip_prefix("init/")?;
            let (_, is_over) = STAGES.iter().find(|(name, _)| *name == stage)?;
            Some(json!({ "completed": is_over, "scripts": [] }))
        }
    }
}

/// The stages of a run, and whether each is complete while the endpoint answers requests.
const STAGES: [(&str, bool); 4] = [("boot", true), ("start", true), ("ready", true), ("shutdown", false)];

const EDITION: &str = "secretcache-local";
const VERSION: &str = env!("CARGO_PKG_VERSION");
