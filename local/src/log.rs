//! The log of requests and rotations.

use std::fmt;
use std::sync::Arc;

/// A log of requests and rotations. Each line has the time, account, Region, operation, secret and outcome, and the
/// reason if something was not found. It never contains a value.
#[derive(Clone)]
pub struct Log {
    write: Arc<dyn Fn(&str) + Send + Sync>,
    is_json: bool,
}

impl Log {
    /// Creates a log that passes every line to `write`.
    pub fn new(write: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self { write: Arc::new(write), is_json: false }
    }

    /// Makes each line a JSON object.
    #[must_use]
    pub fn json(self) -> Self {
        Self { is_json: true, ..self }
    }

    pub(crate) fn is_json(&self) -> bool {
        self.is_json
    }

    pub(crate) fn line(&self, line: &str) {
        (self.write)(line);
    }
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Log")
    }
}
