//! Control requests: HTTP requests under `/_control/` that inject faults and move the clock.

use std::time::Duration;

use hyper::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::engine::Engine;
use crate::faults::Fault;
use crate::time::Timestamp;

/// The path prefix of control requests.
pub(crate) const PREFIX: &str = "/_control/";

/// Answers a control request with a status and JSON.
pub(crate) async fn respond(
    engine: &Engine,
    method: &Method,
    path: &str,
    body: &[u8],
) -> (StatusCode, Value) {
    let parts: Vec<&str> = path.strip_prefix(PREFIX).unwrap_or_default().split('/').collect();
    let answer = match (method.as_str(), parts.as_slice()) {
        ("POST", ["faults"]) => {
            read::<Fault>(body).and_then(Fault::check).map(|fault| json!({ "id": engine.add_fault(fault) }))
        }
        ("GET", ["faults"]) => Ok(engine.faults_json()),
        ("DELETE", ["faults"]) => Ok(json!({ "removed": engine.remove_faults(None) })),
        ("DELETE", ["faults", id]) => match id.parse() {
            Ok(id) if engine.remove_faults(Some(id)) => Ok(json!({ "removed": true })),
            _ => return (StatusCode::NOT_FOUND, json!({ "error": format!("no fault has the id {id:?}") })),
        },
        ("POST", ["reset"]) => engine.reset().map(|()| json!({})).map_err(|error| error.message().to_owned()),
        ("GET", ["secrets"]) => Ok(engine.secrets_json()),
        ("GET", ["export"]) => Ok(serde_json::from_slice(&engine.export()).unwrap_or_default()),
        ("POST", ["next_rotation"]) => match read::<NextRotation>(body) {
            Ok(NextRotation { secret_id, timeout_seconds }) => {
                match Duration::try_from_secs_f64(timeout_seconds) {
                    Ok(patience) => {
                        engine.next_rotation(&secret_id, patience).await.map(|event| json!(event))
                    }
                    Err(_) => Err(format!("timeout_seconds is not a length of time: {timeout_seconds}")),
                }
            }
            Err(error) => Err(error),
        },
        ("POST", ["clock"]) => {
            read::<Move>(body).and_then(|by| by.apply(engine)).map(|()| engine.clock_json())
        }
        ("GET", ["clock"]) => Ok(engine.clock_json()),
        ("GET", ["calls"]) => Ok(json!(engine.calls())),
        ("GET", ["events"]) => Ok(json!({ "events": engine.events.all() })),
        ("DELETE", ["events"]) => {
            engine.events.forget();
            Ok(json!({}))
        }
        ("DELETE", ["calls"]) => {
            engine.forget_calls();
            Ok(json!({}))
        }
        _ => {
            return (
                StatusCode::NOT_FOUND,
                json!({ "error": "no such control request", "requests": REQUESTS }),
            );
        }
    };
    match answer {
        Ok(value) => (StatusCode::OK, value),
        Err(error) => (StatusCode::BAD_REQUEST, json!({ "error": error })),
    }
}

/// A request to run a secret's next rotation.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NextRotation {
    secret_id: String,
    #[serde(default = "minute")]
    timeout_seconds: f64,
}

fn minute() -> f64 {
    60.0
}

/// A request to move the clock, by a duration or to a time, or to stop or start it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Move {
    freeze: Option<bool>,
    advance_seconds: Option<f64>,
    at: Option<Timestamp>,
}

impl Move {
    fn apply(self, engine: &Engine) -> Result<(), String> {
        let from =
            |now: Timestamp| match (self.advance_seconds, self.at) {
                (Some(seconds), None) if seconds.is_finite() => Ok((seconds * 1000.0) as i64),
                (None, Some(at)) => Ok(at.millis().saturating_sub(now.millis())),
                (None, None) if self.freeze.is_some() => Ok(0),
                _ => Err("give advance_seconds (a number), at (epoch seconds) or freeze (true or false)"
                    .to_owned()),
            };
        let now = engine.now();
        let then = now.millis().saturating_add(from(now)?);
        if !(0..=LAST_SECOND * 1000).contains(&then) {
            return Err(format!(
                "the clock must be between 1970 and 9999 (0 to {LAST_SECOND} epoch seconds); it stays at {}",
                engine.now()
            ));
        }
        if let Some(freeze) = self.freeze {
            engine.freeze_clock(freeze);
        }
        // Once the clock is stopped, it arrives exactly at the time.
        engine.move_clock(from(engine.now())?);
        Ok(())
    }
}

fn read<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, String> {
    serde_json::from_slice(body).map_err(|error| error.to_string())
}

/// The last second of the year 9999.
const LAST_SECOND: i64 = 253_402_300_799;

const REQUESTS: &[&str] = &[
    "POST /_control/faults {operations, secret_id, after, times, delay_ms, effect, applied}",
    "GET /_control/faults",
    "DELETE /_control/faults[/ID]",
    "POST /_control/clock {advance_seconds} or {at}, {freeze}",
    "POST /_control/next_rotation {secret_id, timeout_seconds}",
    "POST /_control/reset",
    "GET /_control/secrets",
    "GET /_control/export",
    "GET /_control/clock",
    "GET /_control/calls",
    "DELETE /_control/calls",
    "GET /_control/events",
    "DELETE /_control/events",
];
