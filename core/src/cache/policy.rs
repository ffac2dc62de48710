//! Decides what to do about one read. This is the only place where freshness is decided.

use std::time::Duration;

use crate::config::Config;

/// The state of one cached version at the time of a read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EntrySnapshot {
    /// The time since the value was last confirmed, by the clock that shows the most. `None`: nothing is cached.
    pub(crate) age: Option<Duration>,
    /// The refresh time drawn for this value, counted from its confirmation.
    pub(crate) refresh_after: Duration,
    /// The time to live of this secret.
    pub(crate) ttl: Duration,
    /// The age from which the value must not be served; see [`max_age`].
    pub(crate) max_age: Option<Duration>,
    /// The rest of the backoff after the last failure. `None`: no failure, or its backoff is over.
    pub(crate) backing_off: Option<Duration>,
    /// The last attempt was denied, as opposed to a failure to ask.
    pub(crate) denied: bool,
    /// The last attempt failed, even if its backoff is over; or the endpoint fails or throttles.
    pub(crate) failing: bool,
    /// A request is in progress.
    pub(crate) in_flight: bool,
    /// A reader has already given up waiting for the request in progress.
    pub(crate) overdue: bool,
    /// The endpoint fails or throttles, and it is not this refresh's turn.
    pub(crate) held_back: bool,
    /// The time since readers were last served, or could have been without a lookup, while the request was in progress
    /// or the last failure's backoff lasted; see [`LOOK`].
    pub(crate) unread_for: Duration,
}

/// While a request is in progress, readers take the slow path at least this often. This distinguishes a value in use,
/// whose refresh is merely slow, from one that nobody read or whose process was suspended: readers of the former never
/// wait.
pub(crate) const LOOK: Duration = Duration::from_millis(500);
/// A longer time without a lookup breaks the chain.
const GAP: Duration = Duration::from_secs(2);

/// What the reader gets, and whether it must start a fetch.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Decision {
    /// The value, which needs no further lookup for `span`.
    Serve { span: Duration },
    /// The value. This reader must start a refresh in the background.
    ServeAndRefresh { span: Duration },
    /// The last known value although it is stale, for a further span.
    ServeLastKnown { span: Duration },
    /// The last known value. This reader must start another attempt in the background.
    ServeLastKnownAndRefresh { span: Duration },
    /// A fetch must run (or is running); with a fallback the reader waits no longer than `max_wait`.
    Await { fallback: bool },
    /// The failure, until its backoff ends.
    Fail,
}

/// The four ages of a value (docs/design.md, "Freshness").
pub(crate) fn decide(snapshot: &EntrySnapshot, config: &Config) -> Decision {
    let usable = snapshot.age.filter(|age| may_fall_back(*age, snapshot.max_age, snapshot.denied, config));
    let Some(age) = usable else {
        return if snapshot.backing_off.is_some() {
            Decision::Fail
        } else {
            Decision::Await { fallback: false }
        };
    };
    let until_max_age = snapshot.max_age.map_or(Duration::MAX, |max_age| max_age.saturating_sub(age));
    let fresh_for = snapshot.refresh_after.saturating_sub(age);
    if !fresh_for.is_zero() {
        return Decision::Serve { span: fresh_for.min(until_max_age) };
    }
    let limit = snapshot.ttl.saturating_add(config.grace(snapshot.ttl));
    let left = limit.saturating_sub(age);
    if let Some(wait) = snapshot.backing_off {
        let span = wait.min(until_max_age);
        // Within ttl + grace the value is not stale yet: its refresh merely failed once.
        return if left.is_zero() {
            Decision::ServeLastKnown { span }
        } else {
            Decision::Serve { span: span.min(left) }
        };
    }
    let look = LOOK.min(until_max_age);
    match (left.is_zero(), snapshot.in_flight) {
        (false, false) if !snapshot.held_back => Decision::ServeAndRefresh { span: look.min(left) },
        (false, _) => Decision::Serve { span: look.min(left) },
        (true, true) if snapshot.overdue || snapshot.unread_for <= GAP => {
            Decision::ServeLastKnown { span: look }
        }
        (true, false) if snapshot.held_back => Decision::ServeLastKnown { span: look },
        // A reader that keeps reading through an outage does not wait for the next attempt either.
        (true, false) if snapshot.failing && snapshot.unread_for <= GAP && !snapshot.ttl.is_zero() => {
            Decision::ServeLastKnownAndRefresh { span: look }
        }
        (true, _) => Decision::Await { fallback: true },
    }
}

/// The age from which a value must not be served: `max_stale`, or sooner if the value expires on its own.
pub(crate) fn max_age(expires_after: Option<Duration>, config: &Config) -> Option<Duration> {
    expires_after.into_iter().chain(config.max_stale).min()
}

/// Whether a value of this age can still be served if there is no fresh one.
pub(crate) fn may_fall_back(age: Duration, max_age: Option<Duration>, denied: bool, config: &Config) -> bool {
    let too_old = max_age.is_some_and(|max_age| age >= max_age);
    let revoked = denied && !config.stale_on_denied;
    !too_old && !revoked
}

/// The average of [`refresh_after`], in times to live.
pub(crate) const USUALLY: f64 = 0.75;

/// The refresh time of a value: between half its time to live and all of it, by `draw` in [0, 1), so that a fleet
/// started together does not refresh together.
pub(crate) fn refresh_after(ttl: Duration, draw: f64) -> Duration {
    ttl.mul_f64(0.5 + 0.5 * draw)
}

/// The refresh time of a value that expires on its own: early enough for several attempts before it does.
pub(crate) fn refresh_before(expires_after: Option<Duration>, draw: f64) -> Duration {
    expires_after.map_or(Duration::MAX, |end| end.mul_f64(0.5 + 0.2 * draw))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TTL: Duration = Duration::from_secs(300);

    fn snapshot(age: u64) -> EntrySnapshot {
        EntrySnapshot {
            age: Some(Duration::from_secs(age)),
            refresh_after: Duration::from_secs(200),
            ttl: TTL,
            max_age: None,
            backing_off: None,
            denied: false,
            failing: false,
            in_flight: false,
            overdue: false,
            held_back: false,
            unread_for: Duration::from_secs(60),
        }
    }

    #[test]
    fn the_four_ages() {
        let config = Config::default();
        assert_eq!(decide(&snapshot(199), &config), Decision::Serve { span: Duration::from_secs(1) });
        // grace is a tenth of the ttl: 30 s
        assert_eq!(decide(&snapshot(200), &config), Decision::ServeAndRefresh { span: LOOK });
        assert_eq!(decide(&snapshot(330), &config), Decision::Await { fallback: true });
        let ended = EntrySnapshot { max_age: Some(Duration::from_secs(400)), ..snapshot(400) };
        assert_eq!(decide(&ended, &config), Decision::Await { fallback: false });
    }

    #[test]
    fn one_refresh_serves_all_readers() {
        let under_way = EntrySnapshot { in_flight: true, ..snapshot(250) };
        assert_eq!(decide(&under_way, &Config::default()), Decision::Serve { span: LOOK });
    }

    #[test]
    fn a_slow_refresh_keeps_nobody_waiting_who_reads_all_the_time() {
        let slow = EntrySnapshot { in_flight: true, unread_for: LOOK, ..snapshot(1_000) };
        assert_eq!(decide(&slow, &Config::default()), Decision::ServeLastKnown { span: LOOK });
        let after_sleep = EntrySnapshot { unread_for: Duration::from_secs(3), ..slow };
        assert_eq!(decide(&after_sleep, &Config::default()), Decision::Await { fallback: true });
    }

    #[test]
    fn an_outage_is_waited_for_once_then_served_at_once() {
        let config = Config::default();
        let overdue = EntrySnapshot { in_flight: true, overdue: true, ..snapshot(1_000) };
        assert!(matches!(decide(&overdue, &config), Decision::ServeLastKnown { .. }));
        let backing_off = EntrySnapshot { backing_off: Some(Duration::from_secs(7)), ..snapshot(1_000) };
        let served = Decision::ServeLastKnown { span: Duration::from_secs(7) };
        assert_eq!(decide(&backing_off, &config), served);
    }

    #[test]
    fn a_try_in_an_outage_keeps_nobody_waiting_who_reads_all_the_time() {
        let config = Config::default();
        let read_until_now = EntrySnapshot { failing: true, unread_for: Duration::ZERO, ..snapshot(1_000) };
        assert_eq!(decide(&read_until_now, &config), Decision::ServeLastKnownAndRefresh { span: LOOK });
        let come_back = EntrySnapshot { unread_for: Duration::from_secs(60), ..read_until_now };
        assert_eq!(decide(&come_back, &config), Decision::Await { fallback: true });
        let every_time = EntrySnapshot { ttl: Duration::ZERO, ..read_until_now };
        assert_eq!(decide(&every_time, &config), Decision::Await { fallback: true });
    }

    #[test]
    fn x3_while_the_endpoint_is_spared_readers_get_what_there_is_at_once() {
        let config = Config::default();
        let due = EntrySnapshot { held_back: true, ..snapshot(250) };
        assert_eq!(decide(&due, &config), Decision::Serve { span: LOOK });
        let stale = EntrySnapshot { held_back: true, ..snapshot(1_000) };
        assert_eq!(decide(&stale, &config), Decision::ServeLastKnown { span: LOOK });
        let nothing = EntrySnapshot { held_back: true, age: None, ..snapshot(0) };
        assert_eq!(decide(&nothing, &config), Decision::Await { fallback: false });
    }

    #[test]
    fn a_denial_may_end_serving() {
        let denied =
            EntrySnapshot { denied: true, backing_off: Some(Duration::from_secs(7)), ..snapshot(1_000) };
        assert!(matches!(decide(&denied, &Config::default()), Decision::ServeLastKnown { .. }));
        let strict = Config { stale_on_denied: false, ..Config::default() };
        assert_eq!(decide(&denied, &strict), Decision::Fail);
    }

    #[test]
    fn a_ttl_of_zero_asks_every_time() {
        let snapshot = EntrySnapshot { ttl: Duration::ZERO, refresh_after: Duration::ZERO, ..snapshot(0) };
        assert_eq!(decide(&snapshot, &Config::default()), Decision::Await { fallback: true });
    }

    proptest! {
        #[test]
        fn nothing_is_served_beyond_its_greatest_age(
            age in 0u64..10_000, after in 0u64..300, max_stale in 1u64..10_000, end in 1u64..10_000, wait in prop::option::of(0u64..100),
            in_flight: bool, overdue: bool, denied: bool, failing: bool, held_back: bool,
            unread_for in 0u64..10,
        ) {
            let greatest = Duration::from_secs(max_stale.min(end));
            let config = Config { max_stale: Some(Duration::from_secs(max_stale)), ..Config::default() };
            let snapshot = EntrySnapshot {
                max_age: max_age(Some(Duration::from_secs(end)), &config),
                refresh_after: Duration::from_secs(after), backing_off: wait.map(Duration::from_secs),
                unread_for: Duration::from_secs(unread_for), in_flight, overdue, denied, failing, held_back,
                ..snapshot(age)
            };
            let span = match decide(&snapshot, &config) {
                Decision::Serve { span } | Decision::ServeAndRefresh { span }
                | Decision::ServeLastKnown { span } | Decision::ServeLastKnownAndRefresh { span } => span,
                Decision::Await { fallback } => {
                    prop_assert!(!fallback || Duration::from_secs(age) < greatest);
                    return Ok(());
                }
                Decision::Fail => return Ok(()),
            };
            prop_assert!(Duration::from_secs(age) < greatest);
            prop_assert!(Duration::from_secs(age) + span <= greatest);
        }

        #[test]
        fn jitter_stays_in_the_second_half(ttl in 0u64..1_000_000, draw in 0.0..1.0f64) {
            let ttl = Duration::from_millis(ttl);
            let after = refresh_after(ttl, draw);
            prop_assert!(after <= ttl && after >= ttl.mul_f64(0.499_999));
        }
    }
}
