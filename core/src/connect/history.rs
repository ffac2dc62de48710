//! Remembers which versions of a secret its resource accepts and refuses.
//!
//! During a rotation, a process can open many connections at once. Without this memory, each of them would need its own
//! refused login to find out which version works, and a few refused logins can lock an account.

use std::time::Duration;

use crate::id::Stage;
use crate::time::{Moment, Now};

/// How long a rejected version is not tried again, at first; doubled with each rejection.
const FIRST_REST: Duration = Duration::from_secs(1);
const LONGEST_REST: Duration = Duration::from_secs(30);
/// The shortest time between two forced refreshes of one staging label by attempts.
const REFRESH_EVERY: Duration = Duration::from_secs(1);
/// Each change at the resource lifts that limit once. At most this many changes do so at once, and after that one per
/// interval.
const CHANGES_AT_ONCE: u32 = 3;
const ANOTHER_CHANGE_AFTER: Duration = Duration::from_secs(2);
/// How long a label that this caller is not allowed to read is not requested again: denied calls raise alarms.
const DENIED_FOR: Duration = Duration::from_secs(3600);
/// The shortest time between two events about logins with the same version other than the current one. A program can
/// make thousands of them before a rotation ends, and each event costs about a tenth of a login.
const NOTIFY_EVERY: Duration = Duration::from_secs(60);
/// The most rejected versions remembered; a rotation adds one.
const MOST: usize = 16;

/// The history of one secret.
#[derive(Default)]
pub(crate) struct LoginHistory {
    accepted: Option<Box<str>>,
    rejected: Vec<Rejected>,
    refreshed: Vec<(Stage, Now)>,
    denied: Vec<(Stage, Now)>,
    /// The version other than the current one that an event reported last, and when.
    notified: Option<(Box<str>, Now)>,
    /// When the resource last refused a version it had accepted, or a label moved.
    changed: Option<Now>,
    /// When the full number of changes is allowed again.
    changes_until: Option<Now>,
}

struct Rejected {
    version_id: Box<str>,
    /// It never worked and was not current yet, so its password may not have been set.
    too_early: bool,
    count: u32,
    rest_until: Now,
}

impl LoginHistory {
    /// The history of a secret without logins.
    pub(crate) const NONE: &Self = &Self {
        accepted: None,
        rejected: Vec::new(),
        refreshed: Vec::new(),
        denied: Vec::new(),
        notified: None,
        changed: None,
        changes_until: None,
    };

    /// Records that the resource accepted this version.
    pub(crate) fn accept(&mut self, version_id: &str) {
        self.rejected.retain(|rejected| &*rejected.version_id != version_id);
        self.accepted = Some(version_id.into());
    }

    /// Whether to send an event about a login with this version, which is not the current one. If so, it counts as
    /// sent.
    pub(crate) fn should_notify(&mut self, version_id: &str, now: Now) -> bool {
        let is_recent = |(last, at): &(Box<str>, Now)| &**last == version_id && now.since(at) < NOTIFY_EVERY;
        let should_notify = !self.notified.as_ref().is_some_and(is_recent);
        if should_notify {
            self.notified = Some((version_id.into(), now));
        }
        should_notify
    }

    /// Records that the resource refused this version.
    pub(crate) fn reject(&mut self, version_id: &str, stage: Stage, now: Now) {
        let worked = self.is_accepted(version_id);
        if worked {
            self.accepted = None;
            self.note_change(now);
        }
        let known = self.rejected.iter().position(|rejected| &*rejected.version_id == version_id);
        let known = known.map(|place| self.rejected.remove(place));
        let (count, too_early) = known.map_or((0, !worked), |known| (known.count, known.too_early));
        let rest = FIRST_REST.saturating_mul(1 << count.min(10)).min(LONGEST_REST);
        self.rejected.push(Rejected {
            version_id: version_id.into(),
            too_early: too_early && stage != Stage::Current,
            count: count.saturating_add(1),
            rest_until: now.plus(rest),
        });
        if self.rejected.len() > MOST {
            self.rejected.remove(0);
        }
    }

    /// The version that the resource accepted last, if it has not refused it since.
    pub(crate) fn accepted(&self) -> Option<&str> {
        self.accepted.as_deref()
    }

    pub(crate) fn is_accepted(&self, version_id: &str) -> bool {
        self.accepted() == Some(version_id)
    }

    /// Whether the resource refused this version, and has not accepted it since.
    pub(crate) fn is_rejected(&self, version_id: &str) -> bool {
        self.rejected.iter().any(|rejected| &*rejected.version_id == version_id)
    }

    /// Whether the version should not be tried under this label. One that was tried as `AWSPENDING` before its password
    /// was set is worth another login once it is current.
    pub(crate) fn is_rejected_as(&self, version_id: &str, stage: Stage) -> bool {
        let counts = |rejected: &Rejected| stage != Stage::Current || !rejected.too_early;
        self.rejected.iter().any(|rejected| &*rejected.version_id == version_id && counts(rejected))
    }

    /// Records that the resource refused a version it had accepted, or that a label moved. What is known about the
    /// labels is then outdated. A resource that accepts and refuses in turn (replicas that lag behind) must not lift
    /// the limit each time.
    pub(crate) fn note_change(&mut self, now: Now) {
        let limited_until = self.changes_until.filter(|until| !now.until(until).is_zero());
        let until = limited_until.unwrap_or(now).plus(ANOTHER_CHANGE_AFTER);
        if now.until(&until) <= ANOTHER_CHANGE_AFTER * CHANGES_AT_ONCE {
            self.changes_until = Some(until);
            self.changed = Some(now);
            self.refreshed.clear();
        }
    }

    /// Whether information from this time is too recent to be requested again.
    pub(crate) fn is_recent(&self, learned: Moment, now: Now) -> bool {
        let is_from_before = self.changed.is_some_and(|changed| now.since(&changed) < now.since(learned));
        now.since(learned) < REFRESH_EVERY && !is_from_before
    }

    /// Returns how long not to try this version; zero if it can be tried now.
    pub(crate) fn rest(&self, version_id: &str, now: &Now) -> Duration {
        let rejected = self.rejected.iter().find(|rejected| &*rejected.version_id == version_id);
        rejected.map_or(Duration::ZERO, |rejected| now.until(&rejected.rest_until))
    }

    /// Whether the attempt can force a refresh of this label now. If so, it counts as made.
    pub(crate) fn may_refresh(&mut self, stage: Stage, now: Now) -> bool {
        if self.denied.iter().any(|(label, until)| *label == stage && !now.until(until).is_zero()) {
            return false;
        }
        let last = self.refreshed.iter().find(|(label, _)| *label == stage);
        if last.is_some_and(|(_, last)| now.since(last) < REFRESH_EVERY) {
            return false;
        }
        self.note_refresh(stage, now);
        true
    }

    /// Returns the time until the attempt can refresh this label again.
    pub(crate) fn until_refresh(&self, stage: Stage, now: &Now) -> Duration {
        let last = self.refreshed.iter().find(|(label, _)| *label == stage);
        last.map_or(Duration::ZERO, |(_, last)| REFRESH_EVERY.saturating_sub(now.since(last)))
    }

    /// Records a refresh of this label.
    pub(crate) fn note_refresh(&mut self, stage: Stage, now: Now) {
        self.refreshed.retain(|(label, _)| *label != stage);
        self.refreshed.push((stage, now));
    }

    /// Records that the caller is not allowed to read this label.
    pub(crate) fn deny(&mut self, stage: Stage, now: Now) {
        self.denied.retain(|(label, _)| *label != stage);
        self.denied.push((stage, now.plus(DENIED_FOR)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Now {
        Now::default().plus(Duration::from_secs(seconds))
    }

    #[test]
    fn a_rejected_version_rests_longer_each_time_until_it_is_accepted() {
        let mut logins = LoginHistory::default();
        logins.reject("v-1", Stage::Current, at(0));
        assert_eq!(logins.rest("v-1", &at(0)), Duration::from_secs(1));
        logins.reject("v-1", Stage::Current, at(1));
        assert_eq!(logins.rest("v-1", &at(1)), Duration::from_secs(2));
        (2..20).for_each(|second| logins.reject("v-1", Stage::Current, at(second)));
        assert_eq!(logins.rest("v-1", &at(19)), LONGEST_REST);
        logins.accept("v-1");
        assert_eq!(logins.rest("v-1", &at(19)), Duration::ZERO);
        assert!(logins.is_accepted("v-1"));
        logins.reject("v-1", Stage::Current, at(20));
        assert!(!logins.is_accepted("v-1"));
    }

    #[test]
    fn a_login_with_another_version_is_news_once_a_minute() {
        let mut logins = LoginHistory::default();
        let wake = [0, 1, 59, 60, 61].map(|second| logins.should_notify("v-1", at(second)));
        assert_eq!(wake, [true, false, false, true, false]);
        assert!(logins.should_notify("v-2", at(62)));
    }

    #[test]
    fn a_change_at_the_resource_lifts_the_limit_but_not_for_a_resource_that_wavers() {
        let mut logins = LoginHistory::default();
        let mut refreshes = 0;
        for _ in 0..100 {
            logins.accept("v-1");
            logins.reject("v-1", Stage::Current, at(10));
            refreshes += u32::from(logins.may_refresh(Stage::Pending, at(10)));
        }
        assert_eq!(refreshes, CHANGES_AT_ONCE);
        assert!(logins.is_recent(at(10).moment(), at(10)) && !logins.is_recent(at(9).moment(), at(10)));
        logins.accept("v-1");
        logins.reject("v-1", Stage::Current, at(13));
        assert!(logins.may_refresh(Stage::Pending, at(13)));
    }

    #[test]
    fn forced_refreshes_are_limited_for_each_label() {
        let mut logins = LoginHistory::default();
        assert!(logins.may_refresh(Stage::Current, at(10)));
        assert!(!logins.may_refresh(Stage::Current, at(10)));
        assert!(logins.may_refresh(Stage::Pending, at(10)));
        assert!(logins.may_refresh(Stage::Current, at(11)));
        logins.deny(Stage::Pending, at(11));
        assert!(!logins.may_refresh(Stage::Pending, at(3600)));
        assert!(logins.may_refresh(Stage::Pending, at(3700)));
    }
}
