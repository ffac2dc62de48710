//! What others do while rotations run, and what fails on its own.

use crate::commands::Command;
use crate::invariants;
use crate::search::{Driver, Model, State, Task};
use crate::world::*;

/// Returns everything that can happen next, other than a driver's call.
///
/// Disturbances cost the environment part of its budget. The rest is the normal course of events: the service begins
/// rotations and retries failed ones, replicas catch up, and operators turn rotation on again.
pub(crate) fn actions(state: &State, model: &Model) -> Vec<(String, State)> {
    let mut actions = changes(state, model);
    for (name, next) in &mut actions {
        let is_harm = is_interference(name) && (state.world.label_works(CUR) || !next.world.is_healthy());
        next.world.excused = !next.world.label_works(CUR) && (state.world.excused || is_harm);
        invariants::shield(state, next, None, name.starts_with("the service"));
    }
    actions
}

fn changes(state: &State, model: &Model) -> Vec<(String, State)> {
    let mut actions = Vec::new();
    let mut act = |name: &str, change: &dyn Fn(&mut State)| {
        let mut next = state.clone();
        change(&mut next);
        if next != *state {
            actions.push((name.to_owned(), next));
        }
    };
    let world = &state.world;

    let is_alone = |driver: &Driver| matches!(driver.task, Task::Command { is_alone: true, .. });
    if state.drivers[0].is_none() && !state.drivers[1].as_ref().is_some_and(is_alone) {
        match world.pending() {
            Some(token) => act("the service runs the rotation again", &|next| {
                next.drivers[0] = Some(Driver::new(token as u8, 0));
            }),
            None if world.begun < model.rotations => act("the service begins a rotation", &|next| {
                let token = next.world.begin();
                next.drivers[0] = Some(Driver::new(token, 0));
            }),
            None => {}
        }
    }
    // A command without a lock is checked while the replica that misled it still lags.
    let is_unlocked = |driver: &Driver| driver.is_command() && !model.has_locks;
    if !state.drivers.iter().flatten().any(is_unlocked) {
        act("the replica catches up", &|next| next.world.replica = None);
    }
    act("the operator turns rotation on again", &|next| next.world.enabled = true);
    act("the master secret is brought up to date", &|next| {
        next.world.admin_secret = next.world.primary.users[ADMIN].passwords[0];
    });
    act("the pooler ends the session of a driver that is gone", &|next| {
        if next.world.lock == Some(POOLER) {
            next.world.lock = None;
        }
    });
    if world.budget == 0 {
        return actions;
    }

    let mut disturb = |name: &str, change: &dyn Fn(&mut State)| {
        let mut next = state.clone();
        change(&mut next);
        if next != *state {
            next.world.budget -= 1;
            actions.push((name.to_owned(), next));
        }
    };
    for d in 0..2 {
        let Some(driver) = &state.drivers[d] else { continue };
        disturb(["crash of driver 0", "crash of driver 1"][d], &|next| crash(next, d));
        if world.lock == Some(d as u8) {
            disturb("a driver crashes, and the pooler in front keeps its session", &|next| {
                crash(next, d);
                next.world.lock = Some(POOLER);
            });
        }
        if let (Task::Step { token, step: due }, true) = (driver.task, driver.log.is_empty()) {
            for step in (0..4).filter(|step| *step != due) {
                disturb("a step comes out of turn, or twice", &|next| {
                    next.drivers[d] = Some(Driver::new(token, step));
                });
            }
        }
    }
    let affords_second = (1..=world.budget).contains(&model.second_driver) && state.drivers[1].is_none();
    if let (Some(token), true) = (world.pending(), affords_second) {
        for step in 0..4 {
            disturb("a second driver runs the same rotation", &|next| {
                next.drivers[1] = Some(Driver::new(token as u8, step));
                next.world.budget -= model.second_driver - 1;
            });
        }
        disturb("a second driver begins a rotation of its own", &|next| {
            let token = next.world.begin();
            next.world.begun -= 1;
            next.world.budget -= model.second_driver - 1;
            next.drivers[1] = Some(Driver::new(token, 0));
        });
    }
    for is_alone in [true, false] {
        let cost = model.command[usize::from(!is_alone)];
        let is_possible = state.drivers[1].is_none() && !(is_alone && state.drivers[0].is_some());
        if !is_possible || !(1..=world.budget).contains(&cost) {
            continue;
        }
        for command in Command::of(world.kind) {
            disturb(command.name(), &|next| {
                next.drivers[1] = Some(Driver::at(Task::Command { command, is_alone }));
                next.world.budget -= cost - 1;
            });
        }
    }
    disturb("the replica lags behind from now on", &|next| {
        if next.world.replica.is_none() {
            next.world.replica = Some(next.world.primary.clone());
        }
    });
    // Exploring other moments adds minutes, and no new outcomes.
    let is_between_steps = state.drivers.iter().flatten().all(|driver| driver.log.is_empty());
    if let Some(current) = world.labelled(CUR) {
        let Ver { user, secret, .. } = world.versions[current];
        disturb("somebody stores the current value as a new version", &|next| put(next, user, secret, true));
        disturb("somebody stores a wrong value as a new version", &|next| put(next, user, 99, true));
        disturb("somebody stores the current value, and AWSPENDING stays", &|next| {
            put(next, user, secret, false)
        });
        if is_between_steps && world.kind == Kind::Alternating {
            disturb("the application's user gets one more grant", &|next| {
                next.world.required |= 2;
                next.world.primary.users[user as usize].grants |= 2;
            });
        }
    }
    disturb("somebody turns rotation off", &|next| next.world.enabled = false);
    disturb("somebody takes AWSPENDING away", &|next| {
        if next.world.pending().is_some() {
            next.world.write();
            next.world.detach(PEND);
        }
    });
    if let Some(previous) = world.labelled(PREV) {
        disturb("somebody makes the previous version current again", &|next| {
            next.world.write();
            next.world.attach(CUR, previous);
            // From now on, the grants of this version's user are the required ones.
            next.world.required =
                next.world.primary.users[next.world.versions[previous].user as usize].grants;
            next.world.promise = false;
        });
        let Ver { user, secret, .. } = world.versions[previous];
        if world.kind == Kind::Alternating && secret != 0 && is_between_steps {
            disturb("somebody stores the previous value as a new version", &|next| {
                put(next, user, secret, true);
                next.world.required = next.world.primary.users[user as usize].grants;
            });
        }
    }
    if world.kind == Kind::Alternating {
        if is_between_steps {
            disturb("the master secret names another server", &|next| next.world.admin_secret = ELSEWHERE);
        }
        disturb("the administrator's password changes", &|next| {
            let password = next.world.mint(2, 0);
            next.world.primary.users[ADMIN].passwords = [password, 0];
        });
        disturb("the administrator's password changes, and its sessions stay open", &|next| {
            let password = next.world.mint(2, 0);
            next.world.admin_session = next.world.primary.users[ADMIN].passwords[0];
            next.world.primary.users[ADMIN].passwords = [password, 0];
        });
    }
    actions
}

/// Checks whether an action can break what worked for readers, in a way that no rotation could prevent.
fn is_interference(name: &str) -> bool {
    name.starts_with("somebody")
        || name.starts_with("a second driver begins")
        || name.contains("one more grant")
}

fn crash(next: &mut State, d: usize) {
    next.drivers[d] = None;
    if next.world.lock == Some(d as u8) {
        next.world.lock = None;
    }
}

/// Makes a manual `PutSecretValue`. With `gives_up`, it also removes `AWSPENDING`, and so abandons the rotation.
fn put(next: &mut State, user: u8, secret: u8, gives_up: bool) {
    let world = &mut next.world;
    world.write();
    world.versions.push(Ver { user, secret, labels: 0 });
    world.attach(CUR, world.versions.len() - 1);
    world.promise = false;
    if gives_up {
        world.detach(PEND);
    }
}
