//! Explores the rotation engine in every state that crashes, lost responses, stale reads and other people can lead to.
//!
//! The engine is the real one; only the secret store and the resource are models. Environment variables set the bounds:
//!
//! - `ROTATION_MODEL_ROTATIONS` (default: 2): the number of rotations.
//! - `ROTATION_MODEL_ACTIONS` (default: 3): the budget for disturbances.
//! - `ROTATION_MODEL_SECOND_DRIVER` (default: 3): the part of that budget that a second driver costs. With 2, one more
//!   thing can go wrong beside it, which takes about six times as long.
//! - `ROTATION_MODEL_COMMAND` (default: 2): the cost of an operator's command alone.
//! - `ROTATION_MODEL_COMMAND_BESIDE` (default: 3): the cost of an operator's command beside a rotation.

mod bugs;
mod commands;
mod environment;
mod invariants;
mod ports;
mod resource;
mod search;
mod world;

use std::io::Write;
use std::time::Instant;

use secretcache_rotation::{AlternatingUsers, ApiKey, DualPassword, SingleUser};

use ports::PortBug;
use search::{Maker, Model};
use world::Kind;

fn model(kind: Kind, has_locks: bool) -> Model {
    let strategy: Maker = match kind {
        Kind::Single => |ports| Box::new(SingleUser { target: ports }),
        Kind::Alternating => |ports| Box::new(AlternatingUsers { target: ports }),
        Kind::Dual | Kind::DualRetained => |ports| Box::new(DualPassword { target: ports }),
        Kind::ApiKey => |ports| Box::new(ApiKey { provider: ports }),
    };
    let bound = |name: &str, default| {
        #[expect(clippy::disallowed_methods, reason = "the bounds of a test run")]
        std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
    };
    Model {
        kind,
        has_locks,
        is_first: false,
        strategy,
        bug: PortBug::None,
        rotations: bound("ROTATION_MODEL_ROTATIONS", 2),
        budget: bound("ROTATION_MODEL_ACTIONS", 3),
        second_driver: bound("ROTATION_MODEL_SECOND_DRIVER", 3),
        command: [bound("ROTATION_MODEL_COMMAND", 2), bound("ROTATION_MODEL_COMMAND_BESIDE", 3)],
    }
}

fn explore(model: Model) {
    #[expect(clippy::disallowed_methods, reason = "the time a test took")]
    let start = Instant::now();
    let explored = model.explore();
    // Bypasses the test harness's output capture, because the count is part of the result.
    let _ = writeln!(
        std::io::stderr(),
        "{:?} (locks: {}): {} states, {} worlds run to the end, {} rotations, {} disturbances, {:.1} s",
        model.kind,
        model.has_locks,
        explored.states,
        explored.worlds,
        model.rotations,
        model.budget,
        start.elapsed().as_secs_f64()
    );
    if let Some(violation) = explored.violation {
        panic!("{}\n  {}", violation.what, violation.trail.join("\n  "));
    }
}

#[test]
fn single_user() {
    explore(model(Kind::Single, true));
}

#[test]
fn alternating_users() {
    explore(model(Kind::Alternating, true));
}

#[test]
fn alternating_users_for_the_first_time() {
    let model = model(Kind::Alternating, true);
    explore(Model { is_first: true, budget: model.budget - 1, ..model });
}

#[test]
fn dual_password() {
    explore(model(Kind::Dual, false));
}

#[test]
fn dual_password_retained() {
    explore(model(Kind::DualRetained, true));
}

#[test]
fn api_key() {
    explore(model(Kind::ApiKey, false));
}

#[test]
fn an_undisturbed_rotation_makes_no_failed_login() {
    for (kind, has_locks) in
        [(Kind::Single, true), (Kind::Alternating, true), (Kind::Dual, false), (Kind::ApiKey, false)]
    {
        assert_eq!(model(kind, has_locks).refused_logins_on_the_happy_path(), 0, "{kind:?}");
    }
}
