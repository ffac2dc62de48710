//! `secretcache revoke-previous`: revokes the previous credential, for example after a leak.

use clap::Args;
use secretcache_rotation::ErrorKind;
use secretcache_rotation::operate::{Revocation, RevocationResult};
use serde::Serialize;

use super::arguments::RotationArgs;
use super::next::quoted;
use super::prepared::{Intent, Prepared, connect};
use super::report::{line, print};
use crate::exit::{EXIT_STATUSES, Exit, Failure};
use crate::service::Service;

/// Revoke the previous credential now, and check that it is refused
///
/// After a leak, rotate the secret, then run this. With alternating users, the idle user gets a random password, which
/// is not stored, until its turn comes. Open sessions stay open; end them on the server.
#[derive(Args)]
#[command(after_help = format!("{EXAMPLES}\n\n{EXIT_STATUSES}"))]
pub(crate) struct RevokePrevious {
    /// The secret's name or ARN
    #[arg(value_name = "ID")]
    secret_id: String,

    /// Print the result as JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    arguments: RotationArgs,

    #[command(flatten)]
    pub(crate) service: Service,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Revoked {
    secret_id: String,
    is_refused: bool,
    #[serde(flatten)]
    revocation: Revocation,
}

impl RevokePrevious {
    pub(crate) async fn run(&self) -> Result<Exit, Failure> {
        let store = connect(&self.service).await?;
        let prepared = Prepared::prepare(&store, &self.secret_id, &self.arguments, Intent::Repair).await?;
        let revocation = prepared.context().revoke_previous().await.map_err(|error| {
            let is_under_way = error.kind() == ErrorKind::Conflict;
            let failure = Failure::from(error);
            let resume = || format!("secretcache rotate {} --resume", quoted(&self.secret_id));
            if is_under_way { failure.fixed_by(resume()) } else { failure }
        })?;
        let whose = revocation.holder.as_deref().unwrap_or("the previous credential");
        let how = match revocation.result {
            RevocationResult::Before => "needed no change",
            RevocationResult::OnlyCurrentPassword => "has only the AWSCURRENT password now",
            RevocationResult::UnknownPassword => "has a random password until the next rotation",
            RevocationResult::KeyRevoked => "was revoked",
            _ => "was revoked",
        };
        let text = format!(
            "{}: {whose} {how}; the resource refuses AWSPREVIOUS (version {}) and accepts AWSCURRENT",
            self.secret_id, revocation.version_id
        );
        let result = Revoked { secret_id: self.secret_id.clone(), is_refused: true, revocation };
        print(self.json, &result, &line(&text))?;
        Ok(Exit::Done)
    }
}

const EXAMPLES: &str = "\
Examples:
  secretcache revoke-previous prod/checkout/db
  secretcache rotate prod/checkout/db --strategy dual-password &&
    secretcache revoke-previous prod/checkout/db";
