//! The result of a rotation, for printing.

use secretcache_rotation::Rotation;
use serde::Serialize;

use super::prepared::Prepared;

/// A completed rotation.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Rotated {
    pub(super) secret_id: String,
    #[serde(rename = "ARN")]
    arn: String,
    outcome: &'static str,
    strategy: &'static str,
    version_id: Option<String>,
    previous_version_id: Option<String>,
    is_resumed: bool,
    warnings: Vec<String>,
}

impl Rotated {
    pub(super) fn new(prepared: &Prepared, outcome: &'static str, rotation: Option<Rotation>) -> Self {
        let outcome = if rotation.is_some() { outcome } else { "nothing to do" };
        Self {
            secret_id: prepared.id.clone(),
            arn: prepared.details.state.arn.clone(),
            outcome,
            strategy: prepared.rotator.strategy_name().name(),
            is_resumed: rotation.as_ref().is_some_and(|rotation| rotation.is_resumed),
            version_id: rotation.as_ref().map(|rotation| rotation.token.clone()),
            previous_version_id: rotation.map(|rotation| rotation.current),
            warnings: prepared.warnings.clone(),
        }
    }

    pub(super) fn sentence(&self) -> String {
        let Self { secret_id, outcome, strategy, .. } = self;
        match (&self.version_id, &self.previous_version_id) {
            (Some(new), Some(old)) if *outcome == "reverted" => {
                format!("{secret_id}: reverted; version {new} was abandoned, and AWSCURRENT is still {old}")
            }
            (Some(new), Some(old)) => {
                format!(
                    "{secret_id}: rotated with {strategy}; AWSCURRENT is version {new}, AWSPREVIOUS is {old}"
                )
            }
            _ => format!("{secret_id}: no rotation is in progress; nothing to do"),
        }
    }
}
