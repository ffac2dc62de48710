//! Builds the strategy and its target from a secret and the operator's options. Every way of running a rotation starts
//! here.

use std::sync::Arc;

use serde::Deserialize;

use crate::document::Document;
use crate::error::{Error, ErrorKind};
use crate::operate::Backend;
use crate::resource::{Resource, StrategyName, from_function};
use crate::strategy::Strategy;
use crate::target::{Provider, Target};
#[cfg(feature = "iam")]
use crate::targets::IamProvider;
#[cfg(feature = "ldap")]
use crate::targets::Ldap;
use crate::targets::{HttpProvider, HttpTarget, MySql, Postgres, Redis, Route, Statements, SystemRoute, Tls};

/// The operator's choices for a rotation. Defaults come from the secret, the name of its rotation function, or its
/// port.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct RotationOptions {
    /// How the credential changes.
    pub strategy: Option<StrategyName>,
    /// The resource that the secret is for, if it has no `engine`.
    pub resource: Option<Resource>,
    /// The name or ARN of the rotation function. If it comes from AWS's templates, it implies both strategy and
    /// resource.
    pub function: Option<String>,
    /// How servers are verified.
    pub verification: Verification,
    /// The provider of keys: `iam` for IAM access keys, or a description in TOML.
    pub provider: Option<String>,
    /// Where to reach database servers, if not at the addresses that their names resolve to.
    pub route: Option<Arc<dyn Route>>,
    /// Custom statements for a resource that is not built in, in TOML. The kind of resource then need not be known.
    pub statements: Option<String>,
}

impl RotationOptions {
    /// Returns the strategy chosen, or the one that the function's name implies, or a guess from the versions. A guess
    /// is enough to inspect or repair a secret; a new rotation needs an explicit strategy.
    pub fn strategy_or_guess(&self, current: &Document, previous: Option<&Document>) -> StrategyName {
        let by_function = self.function.as_deref().and_then(from_function).map(|(_, strategy)| strategy);
        let user = |document: &Document| document.field("username");
        let takes_turns = previous.is_some_and(|previous| {
            previous.is_same_resource(current) && user(previous).is_some() && user(previous) != user(current)
        });
        self.strategy.or(by_function).unwrap_or(match () {
            () if self.provider.is_some() => StrategyName::ApiKey,
            () if takes_turns => StrategyName::AlternatingUsers,
            () => StrategyName::SingleUser,
        })
    }
}

impl RotationOptions {
    /// Checks what can be checked without a secret: certificate authorities, and the description of a provider or of
    /// statements.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Misconfigured`], describing the mistake.
    pub fn check(&self) -> Result<(), Error> {
        let tls = self.verification.tls()?;
        if let Some(description) = &self.provider {
            provider(description, tls.clone(), Arc::new(SystemRoute))?;
        }
        if let Some(description) = &self.statements {
            described_target(description, tls)?;
        }
        Ok(())
    }
}

/// How servers are verified.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum Verification {
    /// Use TLS, and verify against the system's certificate authorities.
    #[default]
    System,
    /// Use TLS, and verify against the certificate authorities in this PEM text.
    Authorities(String),
    /// No TLS; only for servers on this host.
    Off,
    /// No TLS for servers at a loopback address. For all others, use TLS and verify against the certificate authorities
    /// in this PEM text, or the system's if there is none.
    OffOnLoopback(Option<String>),
}

impl Verification {
    fn tls(&self) -> Result<Tls, Error> {
        match self {
            Self::System => Tls::system(),
            Self::Authorities(pem) => Tls::with_authorities(pem),
            Self::Off => Ok(Tls::off()),
            Self::OffOnLoopback(None) => Tls::system_off_on_loopback(),
            Self::OffOnLoopback(Some(pem)) => Tls::with_authorities(pem).map(Tls::off_on_loopback),
        }
    }
}

/// A strategy and the target or provider that it works on.
///
/// ```
/// use secretcache_rotation::{Document, RotationOptions, Rotator, StrategyName};
///
/// let secret = Document::parse(r#"{"engine":"postgres","host":"db","username":"app","password":"example"}"#)?;
/// let mut options = RotationOptions::default();
/// options.function = Some("SecretsManagerRDSPostgreSQLRotationSingleUser".into());
/// let (rotator, warnings) = Rotator::new(&secret, &options)?;
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
    /// Returns the rotator for a secret, and warnings about anything that had to be guessed.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Misconfigured`], naming the missing setting and its possible values.
    pub fn new(secret: &Document, options: &RotationOptions) -> Result<(Self, Vec<String>), Error> {
        let by_function = options.function.as_deref().and_then(from_function);
        let Some(name) = options.strategy.or(by_function.map(|(_, strategy)| strategy)) else {
            let names = StrategyName::ALL.map(StrategyName::name).join(", ");
            let text =
                format!("no strategy given, and no rotation function implies one: choose one of {names}");
            return Err(Error::new(ErrorKind::Misconfigured, text));
        };
        let tls = options.verification.tls()?;
        if name == StrategyName::ApiKey {
            let Some(description) = &options.provider else {
                let text = "the strategy api-key needs a provider: \"iam\", or a description in TOML";
                return Err(Error::new(ErrorKind::Misconfigured, text));
            };
            let route = options.route.clone().unwrap_or_else(|| Arc::new(SystemRoute));
            let part = Part::Provider(provider(description, tls, route)?);
            return Ok((Self { name, part }, Vec::new()));
        }
        let route = options.route.clone().unwrap_or_else(|| Arc::new(SystemRoute));
        if let Some(statements) = &options.statements {
            let target: Box<dyn Target> = match protocol(statements).as_deref() {
                Some("http") => Box::new(HttpTarget::from_toml(statements, tls)?.via(route)),
                Some("ldap" | "active-directory") => directory(of_directory(statements)?, tls, route)?,
                _ => Box::new(Statements::from_toml(statements, tls)?.via(route)),
            };
            return Ok((Self { name, part: Part::Target(target) }, Vec::new()));
        }
        let (resource, warning) = Resource::of(secret, options.resource, options.function.as_deref())?;
        let target: Box<dyn Target> = match resource {
            Resource::Postgres => Box::new(Postgres::new(tls).via(route)),
            Resource::MySql => Box::new(MySql::new(tls).via(route)),
            Resource::Redis => Box::new(Redis::new(tls).via(route)),
            Resource::Ldap | Resource::ActiveDirectory => directory(resource, tls, route)?,
        };
        Ok((Self { name, part: Part::Target(target) }, warning.into_iter().collect()))
    }

    /// Returns the name of the strategy.
    pub fn strategy_name(&self) -> StrategyName {
        self.name
    }

    /// Returns the strategy on its target, for an [`Engine`](crate::Engine) or a [`Runner`](crate::Runner).
    pub fn strategy(&self) -> Box<dyn Strategy + '_> {
        self.backend().strategy(self.name)
    }

    /// Returns the target or provider.
    pub fn backend(&self) -> Backend<'_> {
        match &self.part {
            Part::Target(target) => Backend::Target(target.as_ref()),
            Part::Provider(provider) => Backend::Provider(provider.as_ref()),
        }
    }

    /// Returns the target, if the strategy has one.
    pub fn target(&self) -> Option<&dyn Target> {
        match &self.part {
            Part::Target(target) => Some(target.as_ref()),
            Part::Provider(_) => None,
        }
    }
}

/// What a description file describes: a provider of keys, or a target.
///
/// ```
/// use secretcache_rotation::{Described, StrategyName};
///
/// let text = r#"
///     protocol = "postgres"
///     apply = ["ALTER ROLE {username:identifier} PASSWORD {password:scram}"]
/// "#;
/// let described = Described::check(text)?;
/// assert_eq!((described.kind, described.strategy), ("statements", None));
/// assert!(Described::check("protocol = \"oracle\"").is_err());
/// assert!(Described::check("kind = \"iam\"")?.is_of_iam);
/// # Ok::<(), secretcache_rotation::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Described {
    /// `provider` or `statements`.
    pub kind: &'static str,
    /// The strategy that the description names, or the only possible one.
    pub strategy: Option<StrategyName>,
    /// Whether a rotation calls AWS, with the credentials of this process: that of access keys of IAM users does.
    pub is_of_iam: bool,
}

impl Described {
    /// Parses a description as a rotation would, without a secret.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Misconfigured`], with the mistake and its position.
    pub fn check(text: &str) -> Result<Self, Error> {
        #[derive(Deserialize)]
        struct Head {
            protocol: Option<String>,
            strategy: Option<String>,
        }
        let head = toml::from_str::<Head>(text).ok();
        if head.as_ref().is_none_or(|head| head.protocol.is_none()) {
            provider(text, Tls::off(), Arc::new(SystemRoute))?;
            let is_of_iam = provider_kind(text).as_deref() == Some("iam");
            return Ok(Self { kind: "provider", strategy: Some(StrategyName::ApiKey), is_of_iam });
        }
        described_target(text, Tls::off())?;
        let strategy = head.and_then(|head| head.strategy).and_then(|name| StrategyName::from_name(&name));
        Ok(Self { kind: "statements", strategy, is_of_iam: false })
    }

    /// Returns the options for a rotation that uses the description.
    pub fn options(self, text: &str) -> RotationOptions {
        let mut options = RotationOptions { strategy: self.strategy, ..RotationOptions::default() };
        match self.kind {
            "provider" => options.provider = Some(text.to_owned()),
            _ => {
                options.strategy = self.strategy.or(Some(StrategyName::SingleUser));
                options.statements = Some(text.to_owned());
            }
        }
        options
    }
}

/// Returns the `protocol` field of a description.
fn protocol(description: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Head {
        protocol: Option<String>,
    }
    toml::from_str::<Head>(description).ok().and_then(|head| head.protocol)
}

/// Checks the description of a target.
fn described_target(description: &str, tls: Tls) -> Result<(), Error> {
    match protocol(description).as_deref() {
        Some("http") => HttpTarget::from_toml(description, tls).map(drop),
        Some("ldap" | "active-directory") => of_directory(description).map(drop),
        _ => Statements::from_toml(description, tls).map(drop),
    }
}

/// Returns the kind of directory that a description names. A directory's description has nothing else in it.
fn of_directory(description: &str) -> Result<Resource, Error> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Directory {
        protocol: String,
        strategy: Option<String>,
    }
    let wrong =
        |what: &str| Error::new(ErrorKind::Misconfigured, format!("the description of the directory {what}"));
    let Directory { protocol, strategy } = toml::from_str(description).map_err(|_| {
        wrong("has fields other than \"protocol\" and \"strategy\", or one of them is not text")
    })?;
    if strategy.is_some_and(|name| name != StrategyName::SingleUser.name()) {
        return Err(wrong("has a strategy other than single-user"));
    }
    Resource::from_engine(&protocol).ok_or_else(|| wrong("names no directory"))
}

/// Returns the target for a directory.
#[cfg(feature = "ldap")]
fn directory(kind: Resource, tls: Tls, route: Arc<dyn Route>) -> Result<Box<dyn Target>, Error> {
    let target = match kind {
        Resource::ActiveDirectory => Ldap::active_directory(tls),
        _ => Ldap::new(tls),
    };
    Ok(Box::new(target.via(route)))
}

#[cfg(not(feature = "ldap"))]
fn directory(_: Resource, _: Tls, _: Arc<dyn Route>) -> Result<Box<dyn Target>, Error> {
    Err(Error::new(ErrorKind::Unsupported, "this program was built without support for directories (LDAP)"))
}

/// Returns the `kind` of provider in a description.
fn provider_kind(description: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Kind {
        kind: Option<String>,
    }
    // If the description is not TOML, the provider that parses it next reports the error.
    toml::from_str::<Kind>(whole(description)).ok().and_then(|kind| kind.kind)
}

/// Returns a description, also if it is only the name of a provider.
fn whole(description: &str) -> &str {
    if description.trim() == "iam" { "kind = \"iam\"" } else { description }
}

/// Returns the provider that a description names.
fn provider(description: &str, tls: Tls, route: Arc<dyn Route>) -> Result<Box<dyn Provider>, Error> {
    let description = whole(description);
    Ok(match provider_kind(description).as_deref() {
        #[cfg(feature = "iam")]
        Some("iam") => Box::new(IamProvider::from_toml(description)?),
        #[cfg(not(feature = "iam"))]
        Some("iam") => {
            let text = "this program was built without the provider \"iam\"";
            return Err(Error::new(ErrorKind::Unsupported, text));
        }
        _ => Box::new(HttpProvider::from_toml(description, tls)?.via(route)),
    })
}
