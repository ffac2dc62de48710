//! The invariants, checked after every call and in every state.

use crate::commands::Command;
use crate::ports::{Fault, Reply};
use crate::search::{Driver, Model, Outcome, State, Task};
use crate::world::*;

impl Model {
    /// Checks whether the labels moved in the middle of a driver's step, other than by finishing the same rotation. No
    /// check of the labels can prevent what such a driver still does.
    fn is_overtaken(&self, state: &State, d: usize) -> bool {
        let Some(driver) = &state.drivers[d] else { return false };
        let (Some(seen), now) = (driver.seen(), labels(&state.world)) else { return false };
        let token = driver.token().map_or(seen.1, |token| Some(token.into()));
        let is_finished = token.is_some() && now.0 == token && (now.1.is_none() || now.1 == token);
        !is_finished && seen != now && !driver.is_shielded
    }

    /// Checks the invariants of a transition from `before` to `after` by one call of a driver.
    pub(crate) fn check_call(&self, before: &State, d: usize, after: &mut Outcome) -> Result<(), String> {
        let is_overtaken = self.is_overtaken(before, d);
        // A value is stored without a lock.
        let is_stored =
            labels(&after.state.world).1.is_some_and(|pending| Some(pending) != labels(&before.world).1);
        shield(before, &mut after.state, Some(d), !is_stored);
        // Without a lock, a command and a rotation beside it cannot know what the other has just done. Then only
        // recovery is guaranteed to work.
        let is_beside = |driver: &Driver| matches!(driver.task, Task::Command { is_alone: false, .. });
        let is_raced = !self.has_locks && before.drivers.iter().flatten().any(is_beside);
        let (old, new) = (&before.world, &mut after.state.world);
        // The driver's run updates the rest of the world; these three fields are updated here.
        new.tampered = old.tampered;
        if old.primary != new.primary {
            let tokens = before.drivers.each_ref().map(|driver| driver.as_ref().and_then(Driver::token));
            let has_rival = matches!(tokens, [Some(one), Some(other)] if one != other);
            new.tampered = is_overtaken || is_raced || has_rival && self.kind == Kind::ApiKey;
        }
        new.excused = !new.label_works(CUR)
            && (old.excused || !new.is_healthy() && (is_overtaken || is_raced || old.tampered));
        let has_flipped = old.labelled(CUR) != new.labelled(CUR);
        new.promise &= !is_overtaken && (old.promise || has_flipped);
        if after.error.as_deref().is_some_and(|text| text.contains("canary")) {
            return Err("I12: an error shows a secret".into());
        }
        let (Some(from), Some(to)) = (old.labelled(CUR), new.labelled(CUR)) else {
            return Err("I1: no version is current".into());
        };
        if from != to {
            let driver = before.drivers[d].as_ref().ok_or("a flip by nobody")?;
            // Keys have no lock, so a test can accept a key that another driver has just revoked. Nor can a command
            // without a lock notice that a replica lags: locks are taken on the primary.
            let can_notice_late = self.kind == Kind::ApiKey || driver.is_command() && !self.has_locks;
            let is_misled = is_raced || can_notice_late && old.replica.is_some();
            new.excused |= is_misled && !new.works(to);
            if !new.authenticates(to) && !is_overtaken && !old.tampered && !is_misled {
                return Err("I4: a version became current that does not work".into());
            }
            let granted = |version: usize| old.primary.users[old.versions[version].user as usize].grants;
            // If an operator asks for it, a user with fewer grants is better than one that cannot log in.
            let is_rescue = driver.is_command() && !old.authenticates(from);
            if self.kind == Kind::Alternating
                && !is_rescue
                && !is_overtaken
                && !old.tampered
                && granted(from) & !granted(to) != 0
            {
                return Err("I4: a version became current that may do less than the one before".into());
            }
            let first = driver.log.iter().find_map(|reply| match reply {
                Reply::State(versions, _) => Some(labelled(versions, CUR)),
                _ => None,
            });
            let last = driver.seen().map(|seen| seen.0);
            if (if driver.is_command() { last } else { first }) != Some(Some(from)) {
                return Err("I5: a version lost AWSCURRENT that the driver never saw having it".into());
            }
        }
        self.check_state(new)
    }

    /// Checks the invariants of a single state.
    pub(crate) fn check_state(&self, world: &World) -> Result<(), String> {
        for (label, name) in [(CUR, "AWSCURRENT"), (PREV, "AWSPREVIOUS")] {
            if world.labelled(label).is_some_and(|version| world.versions[version].secret == 0) {
                return Err(format!("I1: {name} has no value"));
            }
        }
        if !world.is_healthy() && !world.excused {
            return Err("I2/I3: the credentials that readers may use do not work".into());
        }
        let any_works = || (0..world.versions.len()).any(|version| world.works(version));
        if self.kind == Kind::Single && !any_works() {
            return Err("I3: no version at all works any more".into());
        }
        if world.promise && !world.labelled(PREV).is_some_and(|version| world.authenticates(version)) {
            return Err("I6: the previous credential ended before the next rotation set its own".into());
        }
        let pending = world.pending().map(|version| world.versions[version]);
        if let (Kind::Alternating, Some(pending)) = (self.kind, pending) {
            let user = world.primary.users[pending.user as usize];
            if pending.secret != 0 && user.passwords.contains(&pending.secret) && user.grants & 1 == 0 {
                return Err("I10: a reader of AWSPENDING can log in and may do less than before".into());
            }
        }
        if world.labelled(CUR).is_some_and(|current| world.versions[current].user == VOID) {
            return Err("I4: a version became current that is void".into());
        }
        if world.astray {
            return Err(
                "I8: an administrator logged in at a server that the master secret does not name".into()
            );
        }
        let is_held = |secret: u8| world.versions.iter().any(|v| v.labels != 0 && v.secret == secret);
        let orphans = world.primary.keys.iter().filter(|key| !is_held(key.secret)).count();
        if orphans > 1 && !world.excused {
            return Err("I9: the provider has more than one key that no version holds".into());
        }
        let fresh = World::new(self.kind, false, 0);
        if world.primary.users[STRANGER] != fresh.primary.users[STRANGER] {
            return Err("I8: a stranger's user was changed".into());
        }
        Ok(())
    }

    /// I7: without further disturbance, the rotation succeeds from here.
    pub(crate) fn check_rerun(&self, world: &World) -> Result<(), String> {
        let mut state = State { world: world.clone(), drivers: [None, None] };
        for _ in 0..6 {
            let token = match state.world.pending() {
                Some(pending) => pending as u8,
                None => state.world.begin(),
            };
            state.drivers[0] = Some(Driver::new(token, 0));
            while state.drivers[0].is_some() {
                let mut error = None;
                let mut next = state.clone();
                self.run(&state, 0, Fault::None, &mut |outcome| {
                    (next, error) = (outcome.state, outcome.error);
                    true
                });
                state = next;
                if let Some(error) = error
                    && error.contains("canary")
                {
                    return Err("I12: an error shows a secret".into());
                }
            }
            if state.world.labelled(CUR) == Some(token.into()) && state.world.label_works(CUR) {
                return Ok(());
            }
        }
        Err("I7: left alone, the rotation does not succeed any more".into())
    }
}

impl Model {
    /// I3: if any version can log in, running `recover` alone makes `AWSCURRENT` log in again.
    pub(crate) fn check_recovery(&self, world: &World) -> Result<(), String> {
        let is_way = |version: usize| world.versions[version].user != VOID && world.authenticates(version);
        if !(0..world.versions.len()).any(is_way) {
            return Ok(());
        }
        let task = Task::Command { command: Command::Recover, is_alone: true };
        let mut state = State { world: world.clone(), drivers: [None, Some(Driver::at(task))] };
        let mut said = None;
        while state.drivers[1].is_some() {
            let before = state.clone();
            self.run(&before, 1, Fault::None, &mut |outcome| {
                (state, said) = (outcome.state, outcome.error);
                true
            });
        }
        match state.world.labelled(CUR).is_some_and(|current| state.world.authenticates(current)) {
            true => Ok(()),
            false => Err(format!("I3: recovery does not find the way back: {said:?}")),
        }
    }
}

/// Returns the current and the pending version.
fn labels(world: &World) -> (Option<usize>, Option<usize>) {
    (world.labelled(CUR), world.labelled(PEND))
}

/// Records for each driver in the middle of a task whether the labels moved under a lock that it could have taken. If
/// so, being overtaken does not excuse it. This applies between commands and rotations, if there are locks.
pub(crate) fn shield(before: &State, after: &mut State, mover: Option<usize>, is_orderly: bool) {
    let (old, new) = (labels(&before.world), labels(&after.world));
    let is_command = |driver: &Option<Driver>| driver.as_ref().is_some_and(Driver::is_command);
    let has_command = before.drivers.iter().any(is_command);
    for (d, driver) in after.drivers.iter_mut().enumerate() {
        let (Some(was), Some(driver)) = (&before.drivers[d], driver) else { continue };
        driver.is_shielded = if Some(d) == mover {
            let has_looked =
                driver.log.len() > was.log.len() && matches!(driver.log.last(), Some(Reply::State(..)));
            was.is_shielded && !has_looked && driver.task == was.task
        } else if old == new {
            was.is_shielded
        } else {
            let is_fresh = was.is_shielded || was.seen().is_some_and(|seen| seen == old);
            has_command && is_orderly && before.world.has_locks && is_fresh
        };
    }
}
