//! Exit statuses and failures.

use std::error::Error;
use std::fmt;
use std::process::{ExitCode, Termination};

use secretcache_rotation::ErrorKind;

/// The exit status of a command. `docs/command-line.md` and `--help` list them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Exit {
    /// Done, or there was nothing to do.
    Done = 0,
    /// Failed. Running it again helps only after something is fixed.
    Failed = 1,
    /// Wrong usage. The argument parser exits with the same number.
    Usage = 2,
    /// Not yet: a rotation is still in progress, or a failure is temporary.
    NotYet = 3,
    /// Checked, and something needs action.
    Attention = 4,
    /// Some of several secrets failed.
    Partly = 5,
}

/// Returns the more severe of two statuses.
impl Exit {
    pub(crate) fn worse(self, other: Self) -> Self {
        let rank = |exit: Self| match exit {
            Self::Done => 0,
            Self::NotYet => 1,
            Self::Attention => 2,
            Self::Partly => 3,
            Self::Failed => 4,
            Self::Usage => 5,
        };
        if rank(other) > rank(self) { other } else { self }
    }
}

impl Termination for Exit {
    fn report(self) -> ExitCode {
        ExitCode::from(self as u8)
    }
}

/// A command's failure.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    /// The kind of failure, if the engine reported it.
    pub(crate) kind: Option<ErrorKind>,
    /// The command to run next.
    pub(crate) advice: Option<String>,
    /// Whether the error comes from Secrets Manager rather than the resource.
    pub(crate) is_of_service: bool,
    /// Whether the service has no such secret. A secret exists only in its Region.
    pub(crate) is_of_missing_secret: bool,
    message: String,
}

impl Failure {
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self { exit: Exit::Usage, ..Self::new(message) }
    }

    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self {
            exit: Exit::Failed,
            kind: None,
            advice: None,
            is_of_service: false,
            is_of_missing_secret: false,
            message: message.into(),
        }
    }

    /// Adds the command to run next.
    pub(crate) fn fixed_by(self, command: impl Into<String>) -> Self {
        Self { advice: Some(command.into()), ..self }
    }

    /// A failure that is temporary, such as no connection.
    pub(crate) fn temporary(message: impl Into<String>) -> Self {
        Self {
            exit: Exit::NotYet,
            kind: Some(ErrorKind::Unavailable),
            is_of_service: true,
            ..Self::new(message)
        }
    }

    /// Says in which Region, and at which endpoint if it is a special one, the secret is missing.
    pub(crate) fn in_region(mut self, region: &str, url: Option<&str>) -> Self {
        let at = url.map(|url| format!(" at {url}")).unwrap_or_default();
        self.message += &format!("; each Region has its own secrets, and this is {region}{at}");
        self
    }

    /// Counts a misconfiguration as wrong usage, because nothing had been started yet.
    pub(crate) fn before_anything(self) -> Self {
        match self.kind {
            Some(ErrorKind::Misconfigured) => Self { exit: Exit::Usage, ..self },
            _ => self,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<Box<dyn Error>> for Failure {
    fn from(error: Box<dyn Error>) -> Self {
        Self::new(error.to_string())
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::new(error.to_string())
    }
}

impl From<secretcache_rotation::Error> for Failure {
    fn from(error: secretcache_rotation::Error) -> Self {
        let error = match option_for(error.kind()) {
            Some(option) => error.and(option),
            None => error,
        };
        Self {
            exit: exit_of(&error),
            kind: Some(error.kind()),
            is_of_service: error.is_of_service(),
            is_of_missing_secret: error.is_of_missing_secret(),
            ..Self::new(error.in_full())
        }
    }
}

/// Returns advice on the option that addresses a kind of failure.
pub(crate) fn option_for(kind: ErrorKind) -> Option<&'static str> {
    match kind {
        ErrorKind::Unencrypted => Some("for a server on this host, pass --no-tls"),
        ErrorKind::Untrusted => Some("to trust another certificate authority, pass its file with --ca-file"),
        _ => None,
    }
}

/// Maps an error of the engine to an exit status.
pub(crate) fn exit_of(error: &secretcache_rotation::Error) -> Exit {
    match error.kind() {
        ErrorKind::Conflict | ErrorKind::Unavailable => Exit::NotYet,
        _ => Exit::Failed,
    }
}

/// The last paragraph of every `--help`.
pub(crate) const EXIT_STATUSES: &str = "\
Exit status: 0 done or nothing to do, 1 failed (the reason is on standard error), 2 wrong usage,
3 not yet (in progress, or a temporary failure: run it again), 4 problems found that need action,
5 some of the secrets failed.";
