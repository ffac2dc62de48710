//! What a strategy may ask of the engine while a step runs.

use std::str::FromStr;
use std::time::Duration;

use secretcache::{AWSPREVIOUS, Selector};
use zeroize::Zeroizing;

use crate::contract::{Stage, preflight};
use crate::document::Document;
use crate::engine::Engine;
use crate::error::{Error, ErrorKind};
use crate::event::Event;
use crate::password::PasswordPolicy;
use crate::resource::Resource;
use crate::store::{SecretState, SecretStore, Version};
use crate::target::{Guard, Lock, Target};

/// What the operator decided about a secret's rotation.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Settings {
    /// What generated passwords look like.
    pub password: PasswordPolicy,
    /// The secret with the administrator's credential, in place of the secret's own `masterarn`.
    pub master_secret: Option<String>,
    /// Where the administrator logs in, in place of what the master secret says. A master secret that RDS manages names
    /// no host, and the application's secret must not decide it.
    pub master_host: Option<MasterHost>,
    /// The two users that take turns, if declared. Without it the other user is the one of `AWSPREVIOUS`, or is named
    /// by the suffix `_clone`.
    pub users: Option<[String; 2]>,
    /// How often a refused new credential is tried before the test counts as failed: replicas lag, and new keys take
    /// a while to be known everywhere.
    pub test_attempts: u32,
    /// The first pause between attempts; each further one is twice as long.
    pub pause: Duration,
    /// How many unlabelled versions are tried when none of the labelled ones logs in. Each try is a failed login.
    pub recovery_attempts: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            password: PasswordPolicy::default(),
            master_secret: None,
            master_host: None,
            users: None,
            test_attempts: 6,
            pause: Duration::from_millis(250),
            recovery_attempts: 3,
        }
    }
}

/// The version in use and the one being rotated in.
#[derive(Debug)]
#[non_exhaustive]
pub struct Pair {
    /// The `AWSCURRENT` version.
    pub current: Version,
    /// The version being rotated in.
    pub pending: Version,
}

impl Pair {
    /// Whether both versions hold the same value.
    pub(crate) fn is_copy(&self) -> bool {
        self.pending.document.text() == self.current.document.text()
    }
}

/// One run of one step.
#[derive(Debug)]
pub struct Context<'a> {
    pub(crate) engine: Engine<'a>,
    pub(crate) event: &'a Event,
    pub(crate) state: &'a SecretState,
    pub(crate) current: &'a str,
}

impl Context<'_> {
    /// The secret as the event names it.
    pub fn secret_id(&self) -> &str {
        &self.event.secret_id
    }

    /// The secret's ARN.
    pub fn secret_arn(&self) -> &str {
        &self.state.arn
    }

    /// The id of the version being rotated in.
    pub fn token(&self) -> &str {
        &self.event.client_request_token
    }

    /// What the operator decided.
    pub fn settings(&self) -> &Settings {
        self.engine.settings
    }

    /// The labels as they were when the step began.
    pub fn state(&self) -> &SecretState {
        self.state
    }

    /// One version of the secret.
    ///
    /// # Errors
    ///
    /// Those of the store.
    pub async fn version(&self, version: Selector<'_>) -> Result<Option<Version>, Error> {
        self.engine.store.get(self.secret_id(), version).await
    }

    /// The current version.
    ///
    /// # Errors
    ///
    /// Those of the store, and [`ErrorKind::Conflict`] if another version became current since the step began.
    pub async fn current(&self) -> Result<Version, Error> {
        match self.version(Selector::CURRENT).await? {
            Some(version) if version.id == self.current => Ok(version),
            Some(_) => Err(Error::new(
                ErrorKind::Conflict,
                "the AWSCURRENT version changed while it was being read; run the step again",
            )),
            None => Err(Error::new(ErrorKind::NotStaged, "the AWSCURRENT version has no value")),
        }
    }

    /// The `AWSPREVIOUS` version, if there is one.
    ///
    /// # Errors
    ///
    /// Those of the store.
    pub async fn previous(&self) -> Result<Option<Version>, Error> {
        match self.state.labelled(AWSPREVIOUS) {
            Some(_) => self.version(Selector::stage(AWSPREVIOUS)).await,
            None => Ok(None),
        }
    }

    /// The version in use and the one being rotated in.
    ///
    /// # Errors
    ///
    /// Those of the store, and [`ErrorKind::Unavailable`] while the new version has no value.
    pub(crate) async fn pair(&self) -> Result<Pair, Error> {
        let current = self.current().await?;
        let mut attempt = 0;
        let pending = loop {
            // What createSecret stored a moment ago may not be readable yet.
            if let Some(pending) = self.version(Selector::version_id(self.token())).await? {
                break pending;
            }
            if !self.wait(&mut attempt).await {
                return Err(Error::new(
                    ErrorKind::Unavailable,
                    "the version being rotated in has no value yet; createSecret comes first",
                ));
            }
        };
        Ok(Pair { current, pending })
    }

    /// The administrator's credential for the resource that `user` is for, if a master secret is named.
    ///
    /// # Errors
    ///
    /// Those of the store, and [`ErrorKind::Misconfigured`] if the master secret is for another resource, or does not
    /// say where the administrator logs in.
    pub async fn admin(&self, user: &Document) -> Result<Option<Document>, Error> {
        administrator(self.engine.store, self.settings(), user).await
    }

    /// A random password of the operator's policy, checked against it.
    ///
    /// # Errors
    ///
    /// Those of the store; [`ErrorKind::Rejected`] if what came is not of the policy.
    pub async fn random_password(&self) -> Result<Zeroizing<String>, Error> {
        let policy = &self.settings().password;
        let password = self.engine.store.random_password(policy).await?;
        policy.check(&password)?;
        Ok(password)
    }

    /// Ids of the versions that still have a value, newest first, labelled or not.
    ///
    /// # Errors
    ///
    /// Those of the store.
    pub async fn all_versions(&self) -> Result<Vec<String>, Error> {
        let versions = self.engine.store.list_versions(self.secret_id()).await?;
        Ok(versions.into_iter().map(|version| version.id).collect())
    }

    /// Waits before the next attempt and counts it; `false`, at once, if there have been enough.
    pub async fn wait(&self, attempt: &mut u32) -> bool {
        *attempt += 1;
        if *attempt >= self.settings().test_attempts {
            return false;
        }
        let factor = 1u32.checked_shl(*attempt - 1).unwrap_or(u32::MAX);
        self.engine.pause.pause(self.settings().pause.saturating_mul(factor)).await;
        true
    }

    /// Keeps other drivers away, where the target can, and makes sure that none has been faster.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Refused`] if the login is refused; [`ErrorKind::Conflict`] if another driver holds the lock or has
    /// moved the labels.
    pub async fn lock(&self, target: &dyn Target, login: &Document) -> Result<Option<Guard>, Error> {
        match target.lock(login, self.secret_arn()).await? {
            Lock::Unsupported => Ok(None),
            Lock::Held(guard) => {
                self.confirm().await?;
                Ok(Some(guard))
            }
            Lock::LoginRefused => {
                Err(Error::new(ErrorKind::Refused, "the login that should hold the rotation lock is refused"))
            }
            Lock::Busy => {
                Err(Error::new(ErrorKind::Conflict, "another rotation of this secret is under way right now"))
            }
        }
    }

    /// Makes sure that the labels are still as they were when the step began.
    ///
    /// # Errors
    ///
    /// Those of the store, and [`ErrorKind::Conflict`] or [`ErrorKind::NotStaged`] if they are not.
    pub async fn confirm(&self) -> Result<(), Error> {
        let state = self.engine.store.describe(self.secret_id()).await?;
        match preflight(&state, self.token(), self.event.step, self.engine.driver)? {
            Stage::Underway { current } if current == self.current => Ok(()),
            _ => Err(Error::new(ErrorKind::Conflict, "the staging labels moved while this step was running")),
        }
    }
}

/// The administrator's credential for the resource that `user` is for, if the settings or the user's secret name one.
///
/// Where the administrator logs in, and whether it is encrypted, comes from the master secret and the operator alone.
/// Whoever may write the application's secret could otherwise have the administrator's password sent to a server of
/// their own. The application's secret may only ask for TLS.
pub(crate) async fn administrator(
    store: &dyn SecretStore,
    settings: &Settings,
    user: &Document,
) -> Result<Option<Document>, Error> {
    let named = user.field("masterarn");
    let Some(master) = settings.master_secret.as_deref().or(named.as_deref().map(String::as_str)) else {
        return Ok(None);
    };
    let misconfigured = |text: String| Error::new(ErrorKind::Misconfigured, text);
    let Some(version) = store.get(master, Selector::CURRENT).await? else {
        return Err(misconfigured("the master secret has no AWSCURRENT value".to_owned()));
    };
    let mut admin = version.document;
    if let Some(server) = &settings.master_host {
        admin = admin.with("host", &server.host)?;
        if let Some(port) = server.port {
            admin = admin.with("port", &port.to_string())?;
        }
    }
    let lacks = |field: &str, sent: &str| {
        misconfigured(format!(
            "the master secret has no {field:?}, and the application's secret must not decide {sent} the administrator's \
             password is sent: add {field:?} to the master secret {master:?}, or name the server with --master-host \
             (a rotation function: SECRETCACHE_MASTER_HOST)"
        ))
    };
    if let (Some(_), None) = (user.field("host"), admin.field("host")) {
        return Err(lacks("host", "where"));
    }
    if !admin.is_same_resource(user) {
        return Err(misconfigured(
            "the master secret is for another resource: its host, port or engine differs from the application's"
                .to_owned(),
        ));
    }
    if admin.field("port").is_none() {
        // Without a port of its own it is the usual one of the engine, which then must be the master secret's own.
        let engine = admin.field("engine").and_then(|engine| Resource::from_engine(&engine));
        let usual = |port: &str| engine.is_some_and(|engine| engine.usual_port().to_string() == port.trim());
        let is_decided = user.field("port").is_none_or(|port| usual(&port))
            && (engine.is_some() || user.field("engine").is_none());
        if !is_decided {
            return Err(lacks("port", "to which port"));
        }
    }
    if user.field("ssl").is_some_and(|ssl| ssl.eq_ignore_ascii_case("true")) {
        admin = admin.with("ssl", "true")?;
    }
    // Privileges and owned objects are those of the user's database.
    match user.field("dbname") {
        Some(dbname) => admin.with("dbname", &dbname).map(Some),
        None => Ok(Some(admin)),
    }
}

/// The server at which an administrator logs in, written `HOST` or `HOST:PORT`.
///
/// ```
/// use secretcache_rotation::MasterHost;
///
/// let server: MasterHost = "checkout.abc123.eu-central-1.rds.amazonaws.com:5433".parse()?;
/// assert_eq!(server.port, Some(5433));
/// assert_eq!("[::1]".parse::<MasterHost>()?.host, "::1");
/// assert!("db:0".parse::<MasterHost>().is_err());
/// # Ok::<(), String>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct MasterHost {
    /// A name or an address.
    pub host: String,
    /// The port; without it, the master secret's own, or the usual one.
    pub port: Option<u16>,
}

impl FromStr for MasterHost {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is not of the form HOST or HOST:PORT");
        let text_and_port = match text.strip_prefix('[') {
            Some(rest) => {
                let (host, port) = rest.split_once(']').ok_or_else(wrong)?;
                (host, (!port.is_empty()).then_some(port.strip_prefix(':').unwrap_or("")))
            }
            None => match text.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (text, None),
            },
        };
        let (host, port) = text_and_port;
        let port =
            port.map(|port| port.parse().ok().filter(|port| *port > 0).ok_or_else(wrong)).transpose()?;
        if host.is_empty() || host.contains(char::is_whitespace) {
            return Err(wrong());
        }
        Ok(Self { host: host.to_owned(), port })
    }
}
