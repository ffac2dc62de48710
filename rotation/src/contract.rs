//! The staging labels required before a step can run: the checks that all rotation functions share.

use secretcache::{AWSCURRENT, AWSPENDING};

use crate::error::{Error, ErrorKind};
use crate::event::Step;
use crate::store::SecretState;

/// Who drives the rotation.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Driver {
    /// Secrets Manager, which labels an empty version `AWSPENDING` before createSecret, and only if rotation is
    /// enabled.
    Service,
    /// This crate's runner. createSecret makes the version, and the service needs no schedule.
    Runner,
    /// A runner that resumes a rotation. If that rotation has been abandoned, it does not make a new version, because
    /// another rotation may be about to start.
    ResumingRunner,
}

/// The state of the version being rotated in.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Stage {
    /// It is already current: the rotation succeeded earlier.
    Finished {
        /// Whether it still has `AWSPENDING`.
        is_pending: bool,
    },
    /// It is `AWSPENDING`, or about to be.
    Underway {
        /// The id of the version that is current meanwhile.
        current: String,
    },
}

/// Checks that a step can run.
///
/// The checks run in the order of AWS's own functions (rotation-function template, `lambda_handler`), except that
/// replicas are refused, and that a missing `RotationEnabled` counts as enabled, as it is for managed secrets.
pub(crate) fn preflight(
    state: &SecretState,
    token: &str,
    step: Step,
    driver: Driver,
) -> Result<Stage, Error> {
    let refuse = |why: &str| Err(Error::new(ErrorKind::NotStaged, why.to_owned()));
    if state.is_replica {
        return refuse("the secret is a replica; rotate it in its primary Region");
    }
    if driver == Driver::Service && state.rotation_enabled == Some(false) {
        return refuse("rotation is not enabled for the secret");
    }
    let version = state.version(token);
    if version.is_some_and(|version| version.has(AWSCURRENT)) {
        let is_pending = version.is_some_and(|version| version.has(AWSPENDING));
        return Ok(Stage::Finished { is_pending });
    }
    let Some(current) = state.labelled(AWSCURRENT) else {
        return refuse("the secret has no AWSCURRENT version; store a first value before rotating it");
    };
    let underway = Ok(Stage::Underway { current: current.id.clone() });
    match version {
        Some(version) if version.has(AWSPENDING) => underway,
        Some(_) => refuse("the new version is not labelled AWSPENDING; the rotation was abandoned"),
        None if driver == Driver::Runner && step == Step::CreateSecret => match state.labelled(AWSPENDING) {
            // Taking the label from another rotation in progress would strand it.
            Some(other) if other.id != current.id => {
                refuse("another version is labelled AWSPENDING: a previous rotation isn't complete")
            }
            _ => underway,
        },
        None => refuse("the secret has no version with this ClientRequestToken"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::VersionState;

    fn state(versions: &[(&str, &[&str])]) -> SecretState {
        let versions = versions.iter().map(|(id, stages)| VersionState {
            id: (*id).to_owned(),
            stages: stages.iter().map(|stage| (*stage).to_owned()).collect(),
        });
        SecretState { versions: versions.collect(), ..SecretState::default() }
    }

    fn stage(state: &SecretState, step: Step, driver: Driver) -> Result<Stage, ErrorKind> {
        preflight(state, "t", step, driver).map_err(|error| error.kind())
    }

    const CUR: &str = AWSCURRENT;
    const PEND: &str = AWSPENDING;
    const SERVICE: Driver = Driver::Service;

    #[test]
    fn a_version_that_is_current_is_finished_whatever_the_step() {
        for step in Step::ALL {
            let left = stage(&state(&[("t", &[CUR, PEND])]), step, SERVICE);
            assert_eq!(left, Ok(Stage::Finished { is_pending: true }));
            let clean = stage(&state(&[("t", &[CUR])]), step, SERVICE);
            assert_eq!(clean, Ok(Stage::Finished { is_pending: false }));
        }
    }

    #[test]
    fn the_service_must_have_labelled_the_version() {
        let refused = Err(ErrorKind::NotStaged);
        assert_eq!(stage(&state(&[("c", &[CUR])]), Step::CreateSecret, SERVICE), refused);
        assert_eq!(stage(&state(&[("c", &[CUR]), ("t", &[])]), Step::SetSecret, SERVICE), refused);
        assert_eq!(stage(&state(&[("t", &[PEND])]), Step::CreateSecret, SERVICE), refused);
        let mut off = state(&[("c", &[CUR]), ("t", &[PEND])]);
        assert_eq!(stage(&off, Step::SetSecret, SERVICE), Ok(Stage::Underway { current: "c".into() }));
        off.rotation_enabled = Some(false);
        assert_eq!(stage(&off, Step::SetSecret, SERVICE), refused);
        off.rotation_enabled = Some(true);
        off.is_replica = true;
        assert_eq!(stage(&off, Step::SetSecret, SERVICE), refused);
    }

    #[test]
    fn a_runner_begins_by_itself_but_never_over_somebody_elses_rotation() {
        let underway = Ok(Stage::Underway { current: "c".into() });
        let begin = |state: &SecretState| stage(state, Step::CreateSecret, Driver::Runner);
        assert_eq!(begin(&state(&[("c", &[CUR])])), underway);
        assert_eq!(begin(&state(&[("c", &[CUR, PEND])])), underway);
        assert_eq!(begin(&state(&[("c", &[CUR]), ("x", &[PEND])])), Err(ErrorKind::NotStaged));
        assert_eq!(
            stage(&state(&[("c", &[CUR])]), Step::SetSecret, Driver::Runner),
            Err(ErrorKind::NotStaged)
        );

        let go_on = |state: &SecretState| stage(state, Step::CreateSecret, Driver::ResumingRunner);
        assert_eq!(go_on(&state(&[("c", &[CUR])])), Err(ErrorKind::NotStaged));
        let mut begun = state(&[("c", &[CUR]), ("t", &[PEND])]);
        begun.rotation_enabled = Some(false);
        assert_eq!(go_on(&begun), underway);
    }
}
