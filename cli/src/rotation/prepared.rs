//! A secret, and everything that commands need to work on it.

use secretcache::{AWSCURRENT, AWSPENDING, AWSPREVIOUS, Selector};
use secretcache_rotation::operate::RotationContext;
use secretcache_rotation::{
    AwsStore, Details, Document, Error, ErrorKind, RealPause, Rotator, Runner, SecretStore, Settings,
    StrategyName,
};

use super::arguments::RotationArgs;
use crate::exit::Failure;
use crate::service::Service;

/// A secret, the strategy on its resource, and the operator's settings.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) store: AwsStore,
    pub(crate) id: String,
    pub(crate) details: Details,
    pub(crate) settings: Settings,
    pub(crate) rotator: Rotator,
    pub(crate) warnings: Vec<String>,
}

/// What a command is going to do with a secret.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Intent {
    /// Rotate it: the current value must be a credential, and the strategy must be known.
    Rotation,
    /// Inspect or repair it: any version can show which resource it is for, and the strategy can be guessed.
    Repair,
}

impl Prepared {
    pub(crate) async fn prepare(
        store: &AwsStore,
        id: &str,
        arguments: &RotationArgs,
        purpose: Intent,
    ) -> Result<Self, Failure> {
        let settings = arguments.settings()?;
        let mut options = arguments.options()?;
        options.check().map_err(|error| Failure::from(error).before_anything())?;
        if options.provider.is_some() && options.strategy.is_some_and(|name| name != StrategyName::ApiKey) {
            return Err(Failure::usage("--provider requires --strategy api-key"));
        }
        let details = store.details(id).await?;
        options.function.clone_from(&details.function);
        details
            .check_readable()
            .map_err(|deleted| Failure::from(deleted).fixed_by(details.restore_command()))?;
        let current = read(store, id, AWSCURRENT).await;
        let document = match (purpose, current) {
            (Intent::Rotation, current) => current?.ok_or_else(nothing_stored)?,
            (Intent::Repair, Ok(Some(current))) => {
                let previous = read(store, id, AWSPREVIOUS).await.ok().flatten();
                options.strategy = Some(options.strategy_or_guess(&current, previous.as_ref()));
                current
            }
            (Intent::Repair, Err(error)) if error.kind() != ErrorKind::Misconfigured => {
                return Err(error.into());
            }
            (Intent::Repair, current) => {
                let other = match (any_value(store, id).await?, current) {
                    (Some(other), _) => other,
                    (None, Err(unusable)) => return Err(unusable.into()),
                    (None, Ok(_)) => return Err(nothing_stored().into()),
                };
                options.strategy = Some(options.strategy_or_guess(&other, None));
                other
            }
        };
        let (rotator, mut warnings) =
            Rotator::new(&document, &options).map_err(|error| Failure::from(error).before_anything())?;
        if let (Some(true), Some(function)) = (details.state.rotation_enabled, &details.function) {
            let name = function.rsplit(':').next().unwrap_or(function);
            warnings.push(format!(
                "rotation is also on in Secrets Manager, with {name}; turn it off there if this command should rotate the secret"
            ));
        }
        Ok(Self { store: store.clone(), id: id.to_owned(), details, settings, rotator, warnings })
    }

    /// Returns the secret as the operations of the rotation engine take it.
    pub(crate) fn context(&self) -> RotationContext<'_> {
        RotationContext {
            store: &self.store,
            pause: &RealPause,
            settings: &self.settings,
            secret_id: &self.id,
            strategy: self.rotator.strategy_name(),
            backend: self.rotator.backend(),
        }
    }

    /// Returns a runner for the secret.
    pub(crate) fn runner<'a>(&'a self, strategy: &'a dyn secretcache_rotation::Strategy) -> Runner<'a> {
        Runner {
            store: &self.store,
            strategy,
            pause: &RealPause,
            settings: &self.settings,
            attempts: ATTEMPTS,
        }
    }
}

/// How many times to run a rotation in total if it fails for a transient reason.
const ATTEMPTS: u32 = 3;

pub(crate) async fn connect(service: &Service) -> Result<AwsStore, Failure> {
    Ok(AwsStore::connect(&service.options()).await?)
}

async fn read(store: &AwsStore, id: &str, stage: &str) -> Result<Option<Document>, Error> {
    Ok(store.get(id, Selector::stage(stage)).await?.map(|version| version.document))
}

/// Returns a value of the secret from another version, if the current one cannot be read.
async fn any_value(store: &AwsStore, id: &str) -> Result<Option<Document>, Error> {
    for stage in [AWSPREVIOUS, AWSPENDING] {
        if let Ok(Some(document)) = read(store, id, stage).await {
            return Ok(Some(document));
        }
    }
    for version in store.list_versions(id).await?.into_iter().take(10) {
        if let Ok(Some(version)) = store.get(id, Selector::version_id(&version.id)).await {
            return Ok(Some(version.document));
        }
    }
    Ok(None)
}

fn nothing_stored() -> Error {
    let text = "the secret has no AWSCURRENT version; store a first value before rotating it";
    Error::new(ErrorKind::NotStaged, text)
}
