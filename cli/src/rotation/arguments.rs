//! The operator's choices for a secret, from command-line options or an entry of the file.

use std::fs;

use clap::{ArgAction, Args};
use secretcache_rotation::operate::{Entry, PasswordRules};
use secretcache_rotation::{
    MasterHost, PasswordPolicy, Resource, RotationOptions, Settings, StrategyName, Verification,
};

use crate::exit::Failure;
use crate::words::offering;

/// The options of a rotation.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Rotation")]
pub(crate) struct RotationArgs {
    /// single-user, alternating-users, dual-password or api-key [default: inferred from the rotation function's name]
    #[arg(long, value_name = "STRATEGY", hide_possible_values = true, value_parser = offering(strategies, strategy))]
    pub(crate) strategy: Option<StrategyName>,

    /// Kind of server, if the secret has no "engine"
    #[arg(long, value_name = "ENGINE", value_parser = offering(engines, engine))]
    engine: Option<Resource>,

    /// Secret with the administrator's credential [default: the one that "masterarn" names]
    #[arg(long, value_name = "ID")]
    master_secret: Option<String>,

    /// Server where the administrator logs in [default: the master secret's "host" and "port"]
    #[arg(long, value_name = "HOST[:PORT]")]
    master_host: Option<MasterHost>,

    /// The two users that alternate [default: the users of AWSCURRENT and AWSPREVIOUS, or the user and USER_clone]
    #[arg(long, value_name = "A,B", value_parser = users)]
    users: Option<[String; 2]>,

    /// Trust only the certificate authorities in this PEM file [default: the system's]
    #[arg(long, value_name = "FILE", conflicts_with = "no_tls")]
    ca_file: Option<String>,

    /// Turn TLS off; only for servers on this machine
    #[arg(long)]
    no_tls: bool,

    /// Provider of keys: "iam" for access keys of IAM users, or a TOML file that describes a provider
    #[arg(long, value_name = "iam|FILE")]
    provider: Option<String>,

    /// TOML file with custom statements, for a server that --engine does not support
    #[arg(long, value_name = "FILE", conflicts_with = "provider")]
    statements: Option<String>,

    #[command(flatten)]
    password: Password,
}

/// The policy for generated passwords, named like the variables of AWS's templates.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Passwords")]
struct Password {
    /// Length of a new password [default: 32]
    #[arg(long, value_name = "N")]
    password_length: Option<u32>,

    /// Characters to leave out [default: :/@"'\]
    #[arg(long, value_name = "CHARACTERS", allow_hyphen_values = true)]
    exclude_characters: Option<String>,

    /// Leave out digits
    #[arg(long)]
    exclude_numbers: bool,

    /// Leave out punctuation
    #[arg(long)]
    exclude_punctuation: bool,

    /// Leave out upper-case letters
    #[arg(long)]
    exclude_uppercase: bool,

    /// Leave out lower-case letters
    #[arg(long)]
    exclude_lowercase: bool,

    /// Whether to require a character of every class that is not left out [default: true]
    #[arg(long, value_name = "true|false", action = ArgAction::Set)]
    require_each_included_type: Option<bool>,
}

impl RotationArgs {
    /// Returns the options for [`Rotator::new`](secretcache_rotation::Rotator::new).
    pub(crate) fn options(&self) -> Result<RotationOptions, Failure> {
        let mut options = RotationOptions::default();
        options.strategy = self.strategy;
        options.resource = self.engine;
        options.verification = match &self.ca_file {
            Some(file) => Verification::Authorities(read(file)?),
            None if self.no_tls => Verification::Off,
            None => Verification::System,
        };
        options.provider = match self.provider.as_deref() {
            Some("iam") => Some("iam".to_owned()),
            file => file.map(read).transpose()?,
        };
        options.statements = self.statements.as_deref().map(read).transpose()?;
        Ok(options)
    }

    /// Returns the operator's settings.
    pub(crate) fn settings(&self) -> Result<Settings, Failure> {
        let rules = self.password.rules();
        let mut settings = Settings::default();
        settings.password = PasswordPolicy::from_variables(|name| rules.variable(name))
            .map_err(|error| Failure::usage(error.to_string()))?;
        settings.master_secret.clone_from(&self.master_secret);
        settings.master_host.clone_from(&self.master_host);
        settings.users.clone_from(&self.users);
        Ok(settings)
    }

    /// Converts an entry of the file.
    pub(crate) fn from_entry(entry: &Entry) -> Result<Self, Failure> {
        let of = |problem: String| Failure::usage(format!("{}: {problem}", entry.id));
        let PasswordRules {
            length,
            exclude_characters,
            exclude_numbers,
            exclude_punctuation,
            exclude_uppercase,
            exclude_lowercase,
            require_each_included_type,
            ..
        } = entry.password.clone();
        Ok(Self {
            strategy: entry.strategy.as_deref().map(strategy).transpose().map_err(of)?,
            engine: entry.engine.as_deref().map(engine).transpose().map_err(of)?,
            master_secret: entry.master_secret.clone(),
            master_host: entry.master_host.as_deref().map(str::parse).transpose().map_err(of)?,
            users: entry.users.clone(),
            ca_file: entry.ca_file.clone(),
            no_tls: entry.tls == Some(false),
            provider: entry.provider.clone(),
            statements: entry.statements.clone(),
            password: Password {
                password_length: length,
                exclude_characters,
                exclude_numbers: exclude_numbers == Some(true),
                exclude_punctuation: exclude_punctuation == Some(true),
                exclude_uppercase: exclude_uppercase == Some(true),
                exclude_lowercase: exclude_lowercase == Some(true),
                require_each_included_type,
            },
        })
    }
}

impl Password {
    fn rules(&self) -> PasswordRules {
        let mut rules = PasswordRules::default();
        rules.length = self.password_length;
        rules.exclude_characters.clone_from(&self.exclude_characters);
        rules.exclude_numbers = Some(self.exclude_numbers);
        rules.exclude_punctuation = Some(self.exclude_punctuation);
        rules.exclude_uppercase = Some(self.exclude_uppercase);
        rules.exclude_lowercase = Some(self.exclude_lowercase);
        rules.require_each_included_type = self.require_each_included_type;
        rules
    }
}

pub(super) fn read(file: &str) -> Result<String, Failure> {
    fs::read_to_string(file).map_err(|error| Failure::usage(format!("{file} cannot be read: {error}")))
}

fn strategy(name: &str) -> Result<StrategyName, String> {
    StrategyName::from_name(name).ok_or_else(|| {
        let names = StrategyName::ALL.map(StrategyName::name).join(", ");
        format!("{name:?} is not a strategy; use one of {names}")
    })
}

fn strategies() -> Vec<&'static str> {
    StrategyName::ALL.map(StrategyName::name).to_vec()
}

fn engines() -> Vec<&'static str> {
    Resource::engines().collect()
}

fn engine(name: &str) -> Result<Resource, String> {
    Resource::from_engine(name).ok_or_else(|| {
        let names = Resource::engines().collect::<Vec<_>>().join(", ");
        format!("{name:?} is not an engine; use one of {names}")
    })
}

fn users(text: &str) -> Result<[String; 2], String> {
    match text.split(',').map(str::trim).collect::<Vec<_>>()[..] {
        [one, other] if !one.is_empty() && !other.is_empty() && one != other => {
            Ok([one.to_owned(), other.to_owned()])
        }
        _ => Err("expected two different user names, such as app,app_clone".to_owned()),
    }
}
