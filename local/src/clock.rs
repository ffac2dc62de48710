//! The server's clock: the system clock, which tests can move or stop.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::time::Timestamp;

/// The wall clock plus an offset, or a fixed time while frozen.
#[derive(Debug, Default)]
pub(crate) struct Clock(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    offset: i64,
    frozen: Option<Timestamp>,
}

impl Clock {
    /// Returns the current time.
    pub(crate) fn now(&self) -> Timestamp {
        let state = self.state();
        state.frozen.unwrap_or_else(|| system().plus_millis(state.offset))
    }

    /// Moves the clock forward or back.
    pub(crate) fn advance(&self, millis: i64) {
        let mut state = self.state();
        match &mut state.frozen {
            Some(frozen) => *frozen = frozen.plus_millis(millis),
            None => state.offset = state.offset.saturating_add(millis),
        }
    }

    /// Stops the clock, or lets it continue from where it is.
    pub(crate) fn freeze(&self, frozen: bool) {
        let mut state = self.state();
        let now = state.frozen.unwrap_or_else(|| system().plus_millis(state.offset));
        state.offset = now.millis() - system().millis();
        state.frozen = frozen.then_some(now);
    }

    /// Returns whether it is stopped.
    pub(crate) fn is_frozen(&self) -> bool {
        self.state().frozen.is_some()
    }

    /// Resets the clock to the system's time.
    pub(crate) fn reset(&self) {
        *self.state() = State::default();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the clock that all other code uses")]
fn system() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(since.as_millis() as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frozen_clock_moves_only_when_it_is_moved() {
        let clock = Clock::default();
        clock.advance(1_000_000);
        clock.freeze(true);
        let then = clock.now();
        clock.advance(5);
        assert_eq!(clock.now(), then.plus_millis(5));
        clock.freeze(false);
        assert!(clock.now() >= then.plus_millis(5) && !clock.is_frozen());
        clock.reset();
        assert!(clock.now() < then);
    }
}
