//! Decides whether to ask a Region, if another one can be asked instead.

use std::time::Duration;

use crate::error::Error;
use crate::time::Now;

/// The state of a Region. One that did not answer is skipped for a while, and then probed by one request at a time.
#[derive(Debug, Default)]
pub(super) struct Outage {
    failures: u32,
    error: Option<Error>,
    /// When it stops being skipped, counted from boot.
    until: Duration,
}

impl Outage {
    /// Lets a request go there, or returns the error for which it is skipped. `pause` returns how long to wait after
    /// that many earlier failures.
    pub(super) fn turn(&mut self, now: &Now, pause: impl Fn(u32) -> Duration) -> Result<(), Error> {
        match &self.error {
            Some(error) if now.boot < self.until => Err(error.clone()),
            Some(_) => {
                // Other requests skip it while this one probes.
                self.until = now.boot.saturating_add(pause(self.failures));
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Records the result of a request.
    pub(super) fn note(&mut self, failure: Option<&Error>, now: &Now, pause: impl Fn(u32) -> Duration) {
        match failure {
            Some(error) => {
                self.until = now.boot.saturating_add(pause(self.failures));
                self.failures = self.failures.saturating_add(1);
                self.error = Some(error.clone());
            }
            None => *self = Self::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn a_region_that_fails_is_passed_over_and_asked_again_by_one_request() {
        let pause = |failures: u32| Duration::from_secs(1 << failures);
        let at = |second| Now::default().plus(Duration::from_secs(second));
        let failure = Error::new(ErrorKind::Timeout, "no answer");
        let mut outage = Outage::default();
        outage.turn(&at(10), pause).unwrap();
        outage.note(Some(&failure), &at(10), pause);
        assert_eq!(outage.turn(&at(10), pause).unwrap_err().kind(), ErrorKind::Timeout);
        outage.turn(&at(11), pause).unwrap();
        assert!(outage.turn(&at(11), pause).is_err(), "only one request probes");
        outage.note(Some(&failure), &at(12), pause);
        assert!(outage.turn(&at(13), pause).is_err(), "the pauses grow");
        outage.turn(&at(14), pause).unwrap();
        outage.note(None, &at(14), pause);
        outage.turn(&at(14), pause).unwrap();
        outage.turn(&at(14), pause).unwrap();
    }
}
