//! The operator's repair commands. They can run at any time, even beside a rotation.

use secretcache_rotation::operate::{Backend, RecoveryMethod, RotationContext};
use secretcache_rotation::*;

use crate::ports::Ports;
use crate::world::Kind;

/// A command that an operator runs.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) enum Command {
    Recover,
    /// Keeps the labels, and changes the resource to match them.
    RecoverCurrent,
    /// The same, with the administrator's credential.
    RecoverByAdministrator,
    Resume,
    Revert,
    RevokePrevious,
}

impl Command {
    const ALL: [Self; 6] = [
        Self::Recover,
        Self::RecoverCurrent,
        Self::RecoverByAdministrator,
        Self::Resume,
        Self::Revert,
        Self::RevokePrevious,
    ];

    /// Returns the commands that a strategy supports.
    pub(crate) fn of(kind: Kind) -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(move |command| match command {
            // A provider chooses its keys itself, so it cannot follow the secret.
            Self::RecoverCurrent => kind != Kind::ApiKey,
            Self::RecoverByAdministrator => kind == Kind::Alternating,
            _ => true,
        })
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Recover => "recover",
            Self::RecoverCurrent => "recover --keep-current",
            Self::RecoverByAdministrator => "recover --administrator",
            Self::Resume => "rotate --resume",
            Self::Revert => "rotate --revert",
            Self::RevokePrevious => "revoke-previous",
        }
    }

    /// Runs the command as the command line does.
    pub(crate) async fn run(
        self,
        ports: &Ports,
        strategy: &dyn Strategy,
        settings: &Settings,
    ) -> Result<(), Error> {
        let kind = ports.with(|inner| inner.world.kind);
        let subject = RotationContext {
            store: ports,
            pause: ports,
            settings,
            secret_id: "s",
            strategy: match kind {
                Kind::Single => StrategyName::SingleUser,
                Kind::Alternating => StrategyName::AlternatingUsers,
                Kind::Dual | Kind::DualRetained => StrategyName::DualPassword,
                Kind::ApiKey => StrategyName::ApiKey,
            },
            backend: match kind {
                Kind::ApiKey => Backend::Provider(ports),
                _ => Backend::Target(ports),
            },
        };
        let runner = Runner { store: ports, strategy, pause: ports, settings, attempts: 2 };
        let recover = async |method| {
            let recovery = subject.search(method).await?;
            subject.carry_out(&recovery, &Unobserved).await
        };
        match self {
            Self::Recover => recover(RecoveryMethod::LabelsFollow).await,
            Self::RecoverCurrent => recover(RecoveryMethod::ResourceFollows).await,
            Self::RecoverByAdministrator => recover(RecoveryMethod::Administrator).await,
            Self::Resume => runner.resume("s", &Unobserved).await.map(drop),
            Self::Revert => runner.revert("s").await.map(drop),
            Self::RevokePrevious => subject.revoke_previous().await.map(drop),
        }
    }
}
