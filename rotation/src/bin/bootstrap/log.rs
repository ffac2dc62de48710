//! Logs one JSON object per line, with the field names of Lambda's own JSON logs.

use std::error::Error as StdError;
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::SystemTime;

use serde_json::{Map, Value, json};

/// Writes one line. The caller makes sure that no field contains a secret.
pub(crate) fn write(level: &str, message: &str, fields: Value) {
    let mut line = Map::new();
    line.insert("timestamp".to_owned(), timestamp(now()).into());
    line.insert("level".to_owned(), level.into());
    line.insert("message".to_owned(), message.into());
    if let Value::Object(fields) = fields {
        line.extend(fields.into_iter().filter(|(_, value)| !value.is_null()));
    }
    // In a single write, because Lambda treats each write as a line. If it fails, there is nowhere to report it.
    let _ = io::stdout().lock().write_all(format!("{}\n", Value::Object(line)).as_bytes());
}

/// Returns an error's message, followed by those of its causes.
pub(crate) fn with_causes(error: &(dyn StdError + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

/// Logs a fatal error, and returns the failure exit code.
pub(crate) fn fatal(what: &str, error: &(dyn StdError + 'static)) -> ExitCode {
    write("FATAL", what, json!({ "cause": with_causes(error) }));
    ExitCode::FAILURE
}

/// Logs panics too, with their location only: their message could contain a secret.
pub(crate) fn report_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string);
        write("FATAL", "this is a bug in the rotation function; please report it", json!({ "place": place }));
    }));
}

/// Returns the current time.
#[expect(clippy::disallowed_methods, reason = "the function's clock, for log lines and deadlines")]
pub(crate) fn now() -> SystemTime {
    SystemTime::now()
}

fn timestamp(time: SystemTime) -> Option<String> {
    let time = jiff::Timestamp::try_from(time).ok()?;
    Some(format!("{time:.3}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_written_to_the_millisecond() {
        let time = SystemTime::UNIX_EPOCH + std::time::Duration::from_millis(1_700_000_000_001);
        assert_eq!(timestamp(time).unwrap(), "2023-11-14T22:13:20.001Z");
    }
}
