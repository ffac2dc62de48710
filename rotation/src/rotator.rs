//! From a secret and what the operator chose to the strategy on its target: what every way of running a rotation needs.

use crate::document::Document;
use crate::error::{Error, ErrorKind};
use crate::resource::{Resource, StrategyName, from_function};
use crate::strategy::{AlternatingUsers, ApiKey, DualPassword, SingleUser, Strategy};
use crate::target::{Provider, Target};
use crate::targets::{HttpProvider, MySql, Postgres, Redis, Tls};

/// What an operator may choose about a rotation. What is not chosen is told by the secret, the name of its rotation
/// function, or its port.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Choice {
    /// How the credential changes.
    pub strategy: Option<StrategyName>,
    /// What the secret is for, if it has no `engine`.
    pub resource: Option<Resource>,
    /// The name or ARN of the rotation function, which tells both if AWS's templates made it.
    pub function: Option<String>,
    /// Whether and by whose word servers are trusted.
    pub verification: Verification,
    /// The description of an HTTP provider of keys, in TOML.
    pub provider: Option<String>,
}

/// Whether and by whose word servers are trusted.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum Verification {
    /// Encrypted, verified by the authorities that this system trusts.
    #[default]
    System,
    /// Encrypted, verified by the authorities in this PEM text.
    Authorities(String),
    /// Not encrypted. For servers on this very machine.
    Off,
}

impl Verification {
    fn tls(&self) -> Result<Tls, Error> {
        match self {
            Self::System => Tls::system(),
            Self::Authorities(pem) => Tls::with_authorities(pem),
            Self::Off => Ok(Tls::off()),
        }
    }
}

/// A strategy together with the target or provider that it works on.
///
/// ```
/// use secretcache_rotation::{Choice, Document, Rotator, StrategyName};
///
/// let secret = Document::parse(r#"{"engine":"postgres","host":"db","username":"app","password":"example"}"#)?;
/// let mut choice = Choice::default();
/// choice.function = Some("SecretsManagerRDSPostgreSQLRotationSingleUser".into());
/// let (rotator, warnings) = Rotator::new(&secret, &choice)?;
/// assert_eq!((rotator.strategy_name(), warnings.len()), (StrategyName::SingleUser, 0));
/// # Ok::<(), secretcache_rotation::Error>(())
/// ```
#[derive(Debug)]
pub struct Rotator {
    name: StrategyName,
    part: Part,
}

#[derive(Debug)]
enum Part {
    Target(Box<dyn Target>),
    Provider(Box<dyn Provider>),
}

impl Rotator {
    /// The rotator for a secret, and warnings about what had to be guessed.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Misconfigured`], naming what is missing and what it may be.
    pub fn new(secret: &Document, choice: &Choice) -> Result<(Self, Vec<String>), Error> {
        let by_function = choice.function.as_deref().and_then(from_function);
        let Some(name) = choice.strategy.or(by_function.map(|(_, strategy)| strategy)) else {
            let names = StrategyName::ALL.map(StrategyName::name).join(", ");
            let text =
                format!("no strategy is chosen, and no rotation function names one: choose one of {names}");
            return Err(Error::new(ErrorKind::Misconfigured, text));
        };
        let tls = choice.verification.tls()?;
        if name == StrategyName::ApiKey {
            let Some(description) = &choice.provider else {
                let text = "the strategy api-key needs the description of a provider, in TOML";
                return Err(Error::new(ErrorKind::Misconfigured, text));
            };
            let provider = HttpProvider::from_toml(description, tls)?;
            return Ok((Self { name, part: Part::Provider(Box::new(provider)) }, Vec::new()));
        }
        let (resource, warning) = Resource::of(secret, choice.resource, choice.function.as_deref())?;
        let target: Box<dyn Target> = match resource {
            Resource::Postgres => Box::new(Postgres::new(tls)),
            Resource::MySql => Box::new(MySql::new(tls)),
            Resource::Redis => Box::new(Redis::new(tls)),
        };
        Ok((Self { name, part: Part::Target(target) }, warning.into_iter().collect()))
    }

    /// Which strategy it is.
    pub fn strategy_name(&self) -> StrategyName {
        self.name
    }

    /// The strategy on its target, for an [`Engine`](crate::Engine) or a [`Runner`](crate::Runner).
    pub fn strategy(&self) -> Box<dyn Strategy + '_> {
        match (&self.part, self.name) {
            (Part::Provider(provider), _) => Box::new(ApiKey { provider: provider.as_ref() }),
            (Part::Target(target), StrategyName::AlternatingUsers) => {
                Box::new(AlternatingUsers { target: target.as_ref() })
            }
            (Part::Target(target), StrategyName::DualPassword) => {
                Box::new(DualPassword { target: target.as_ref() })
            }
            (Part::Target(target), _) => Box::new(SingleUser { target: target.as_ref() }),
        }
    }

    /// The target, if the strategy has one.
    pub fn target(&self) -> Option<&dyn Target> {
        match &self.part {
            Part::Target(target) => Some(target.as_ref()),
            Part::Provider(_) => None,
        }
    }
}
