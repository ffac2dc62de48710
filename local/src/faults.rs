//! Faults: rules that decide which requests fail, and how.
//!
//! This module only decides, without side effects; the server delays responses and closes connections.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::operations;

/// A fault: which requests it affects, and what happens to them.
///
/// ```
/// use secretcache_local::Fault;
///
/// let twice_throttled: Fault = serde_json::from_str(
///     r#"{"operations": ["GetSecretValue"], "times": 2, "effect": "throttle"}"#,
/// )?;
/// let slow: Fault = serde_json::from_str(r#"{"delay_ms": 250}"#)?;
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Fault {
    /// The operations it affects; empty means all.
    pub operations: Vec<String>,
    /// The secret it affects, by name or ARN, whichever the requests use; `None` means any. A BatchGetSecretValue is
    /// affected as a whole if it lists the secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_id: Option<String>,
    /// How many matching requests pass unaffected first.
    pub after: u64,
    /// How many requests it affects after that; `None` means all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub times: Option<u64>,
    /// How long the response is delayed, in milliseconds.
    pub delay_ms: u64,
    /// What happens after the delay; `None` means the normal response.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub effect: Option<Effect>,
    /// Whether the operation takes effect and only its response is lost.
    pub applied: bool,
}

/// What happens to a request instead of the normal response.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Effect {
    /// `ThrottlingException` with status 400, as when the service throttles.
    Throttle,
    /// `AccessDeniedException`, as when a policy denies.
    Deny,
    /// An error of this type, message and status.
    Error {
        /// The `__type`.
        r#type: String,
        /// The message.
        #[serde(default)]
        message: String,
        /// The HTTP status, such as 500 or 503.
        #[serde(default = "internal")]
        status: u16,
    },
    /// The connection is reset without a response.
    Reset,
    /// No response is ever sent.
    Hang,
    /// Status 200 with a body that is not JSON.
    Malformed,
    /// A read returns the state of some time ago. Writes are not affected.
    Stale {
        /// How many seconds ago.
        seconds: f64,
    },
}

/// What the active rules do to one request.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Verdict {
    pub(crate) delay: Duration,
    pub(crate) effect: Option<Effect>,
    pub(crate) applied: bool,
}

/// The active rules, each with a number to remove it with and a count of matching requests.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    rules: Vec<Rule>,
    last_id: u64,
}

#[derive(Clone, Debug, Serialize)]
pub(crate) struct Rule {
    id: u64,
    /// The number of requests that matched, affected or not.
    seen: u64,
    #[serde(flatten)]
    fault: Fault,
}

impl Faults {
    pub(crate) fn add(&mut self, fault: Fault) -> u64 {
        self.last_id += 1;
        self.rules.push(Rule { id: self.last_id, seen: 0, fault });
        self.last_id
    }

    /// Removes one rule, or all. Returns whether any was removed.
    pub(crate) fn remove(&mut self, id: Option<u64>) -> bool {
        let before = self.rules.len();
        self.rules.retain(|rule| id.is_some_and(|id| id != rule.id));
        self.rules.len() < before
    }

    pub(crate) fn rules(&self) -> &[Rule] {
        &self.rules
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Decides about one request. Delays add up; the first effect wins.
    ///
    /// `means` returns whether the request is about the secret that a rule names.
    pub(crate) fn judge(&mut self, operation: &str, means: impl Fn(&str) -> bool) -> Verdict {
        let mut verdict = Verdict::default();
        for rule in self.rules.iter_mut().filter(|rule| rule.fault.concerns(operation, &means)) {
            let fault = &rule.fault;
            let hits =
                rule.seen >= fault.after && fault.times.is_none_or(|times| rule.seen - fault.after < times);
            rule.seen += 1;
            if hits {
                verdict.delay = verdict.delay.saturating_add(Duration::from_millis(fault.delay_ms));
                if verdict.effect.is_none() && fault.effect.is_some() {
                    verdict.effect.clone_from(&fault.effect);
                    verdict.applied = fault.applied;
                }
            }
        }
        verdict
    }
}

impl Fault {
    /// Checks that the operations exist, and that the effect is possible.
    pub(crate) fn check(self) -> Result<Self, String> {
        match &self.effect {
            Some(Effect::Error { status, .. }) if !(400..=599).contains(status) => {
                return Err(format!("the status of an error must be 400 to 599, not {status}"));
            }
            Some(Effect::Error { r#type, .. })
                if r#type.is_empty() || !r#type.bytes().all(|b| b.is_ascii_graphic()) =>
            {
                return Err(format!(
                    "the type of an error must be a name such as ThrottlingException, not {type:?}"
                ));
            }
            Some(Effect::Stale { seconds }) if !(0.0..=YEAR).contains(seconds) => {
                return Err(format!(
                    "the seconds of a stale read must be 0 to {YEAR} (a year), not {seconds}"
                ));
            }
            _ => {}
        }
        let is_unknown = |name: &&String| !operations::names().any(|known| known == *name);
        match self.operations.iter().find(is_unknown) {
            Some(name) => Err(format!(
                "there is no operation {name:?}; the operations are {:?}",
                operations::names().collect::<Vec<_>>()
            )),
            None => Ok(self),
        }
    }

    fn concerns(&self, operation: &str, means: impl Fn(&str) -> bool) -> bool {
        let named = self.operations.is_empty() || self.operations.iter().any(|name| name == operation);
        named && self.secret_id.as_deref().is_none_or(means)
    }
}

/// The limit of a stale read, in seconds.
const YEAR: f64 = 366.0 * 24.0 * 60.0 * 60.0;

fn internal() -> u16 {
    500
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(rules: &[&str]) -> Faults {
        let mut faults = Faults::default();
        for rule in rules {
            faults.add(serde_json::from_str(rule).unwrap());
        }
        faults
    }

    #[test]
    fn a_rule_hits_its_requests_after_some_and_for_so_many() {
        let mut faults =
            faults(&[r#"{"operations":["DescribeSecret"],"after":1,"times":2,"effect":"throttle"}"#]);
        assert_eq!(faults.judge("GetSecretValue", |_| false).effect, None);
        let seen: Vec<_> =
            (0..5).map(|_| faults.judge("DescribeSecret", |_| false).effect.is_some()).collect();
        assert_eq!(seen, [false, true, true, false, false]);
    }

    #[test]
    fn delays_add_up_and_the_first_effect_wins() {
        let mut faults = faults(&[
            r#"{"delay_ms":10}"#,
            r#"{"delay_ms":5,"effect":"reset","applied":true}"#,
            r#"{"effect":"hang"}"#,
        ]);
        let verdict = faults.judge("GetSecretValue", |_| false);
        assert_eq!(
            verdict,
            Verdict { delay: Duration::from_millis(15), effect: Some(Effect::Reset), applied: true }
        );
    }

    #[test]
    fn one_secret_alone() {
        let mut faults = faults(&[r#"{"secret_id":"db","effect":"deny"}"#]);
        assert!(faults.judge("GetSecretValue", |named| named == "db").effect.is_some());
        assert!(faults.judge("GetSecretValue", |named| named == "other").effect.is_none());
        assert!(faults.judge("ListSecrets", |_| false).effect.is_none());
    }

    #[test]
    fn rules_are_removed_by_number_or_all() {
        let mut faults = faults(&[r#"{"delay_ms":1}"#, r#"{"delay_ms":2}"#]);
        assert!(faults.remove(Some(1)) && !faults.remove(Some(1)));
        assert_eq!(faults.judge("x", |_| false).delay, Duration::from_millis(2));
        assert!(faults.remove(None) && faults.is_empty());
    }

    #[test]
    fn a_rule_that_does_what_nothing_can_is_refused() {
        for (wrong, message) in [
            (r#"{"effect":{"error":{"type":"X","status":200}}}"#, "400 to 599, not 200"),
            (r#"{"effect":{"error":{"type":"X","status":99}}}"#, "400 to 599, not 99"),
            (r#"{"effect":{"error":{"type":"X\r\nY"}}}"#, "a name such as"),
            (r#"{"effect":{"error":{"type":""}}}"#, "a name such as"),
            (r#"{"effect":{"stale":{"seconds":-1}}}"#, "0 to 31622400 (a year), not -1"),
            (r#"{"effect":{"stale":{"seconds":1e300}}}"#, "a year"),
        ] {
            let refused = serde_json::from_str::<Fault>(wrong).unwrap().check().unwrap_err();
            assert!(refused.contains(message), "{wrong}: {refused}");
        }
        let good = r#"{"effect":{"error":{"type":"com.amazonaws#Other","status":503}}}"#;
        serde_json::from_str::<Fault>(good).unwrap().check().unwrap();
    }

    #[test]
    fn a_misspelt_rule_is_refused() {
        for wrong in [r#"{"operation":["x"]}"#, r#"{"effect":"throtle"}"#, r#"{"effect":{"error":{}}}"#] {
            assert!(serde_json::from_str::<Fault>(wrong).is_err(), "{wrong}");
        }
    }
}
