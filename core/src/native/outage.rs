//! Whether a Region is asked, where another can be asked in its place.

use std::time::Duration;

use crate::error::Error;
use crate::time::Now;

/// What is known of a Region: one that did not answer is left alone for a while, and then asked by one request at a time.
#[derive(Debug, Default)]
pub(super) struct Outage {
    failures: u32,
    error: Option<Error>,
    /// Until then, counted from boot, it is passed over.
    until: Duration,
}

impl Outage {
    /// Lets a request go there, or gives the reason why not. `pause` says how long to wait after so many failures before.
    pub(super) fn turn(&mut self, now: &Now, pause: impl Fn(u32) -> Duration) -> Result<(), Error> {
        match &self.error {
            Some(error) if now.boot < self.until => Err(error.clone()),
            Some(_) => {
                // Others pass it over while this one finds out.
                self.until = now.boot.saturating_add(pause(self.failures));
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Notes how a request ended.
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
        assert!(outage.turn(&at(11), pause).is_err(), "one request finds out");
        outage.note(Some(&failure), &at(12), pause);
        assert!(outage.turn(&at(13), pause).is_err(), "the pauses grow");
        outage.turn(&at(14), pause).unwrap();
        outage.note(None, &at(14), pause);
        outage.turn(&at(14), pause).unwrap();
        outage.turn(&at(14), pause).unwrap();
    }
}
