//! The settings in the environment and the AWS configuration files, in botocore's order of precedence.
//!
//! The Rust SDK reads the same files, but knows neither `AWS_DEFAULT_PROFILE` nor CA bundles, silently skips a profile
//! that does not exist, and prefers a `[services]` section to `AWS_ENDPOINT_URL`. Programs that move here from boto3 or
//! the AWS command line must not end up in another account, so botocore's rules apply here.

use std::io;
use std::path::{Path, PathBuf};

use aws_config::profile::{Profile, ProfileSet};
use aws_runtime::env_config::file::{EnvConfigFileKind, EnvConfigFiles};
use aws_runtime::env_config::property::PropertiesKey;
use aws_types::os_shim_internal::{Env, Fs};

use crate::error::{Error, ErrorKind};
use crate::native::Options;
use crate::native::exhausted;

/// The configuration files, and the profile in use.
pub(super) struct Profiles {
    name: String,
    files: EnvConfigFiles,
    /// Both files; where they disagree, the credentials file wins.
    merged: ProfileSet,
    /// The credentials file alone: botocore prefers its keys to other settings of the profile.
    shared_credentials: ProfileSet,
}

impl Profiles {
    /// Reads the files.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidConfiguration`] if a file cannot be read or parsed, or if the profile that the options or the
    /// environment name does not exist.
    pub(super) async fn load(options: &Options) -> Result<Self, Error> {
        let config = text_of("AWS_CONFIG_FILE", "~/.aws/config")?;
        let credentials = text_of("AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials")?;
        let alone =
            EnvConfigFiles::builder().with_contents(EnvConfigFileKind::Credentials, credentials.as_str());
        let files = EnvConfigFiles::builder()
            .with_contents(EnvConfigFileKind::Config, config)
            .with_contents(EnvConfigFileKind::Credentials, credentials.as_str())
            .build();
        let (merged, shared_credentials) = (parsed(&files).await?, parsed(&alone.build()).await?);
        let (name, origin) = match &options.profile {
            Some(name) => (Some(name.clone()), "options"),
            None => match env_var("AWS_DEFAULT_PROFILE") {
                Some(name) => (Some(name), "AWS_DEFAULT_PROFILE"),
                None => (env_var("AWS_PROFILE"), "AWS_PROFILE"),
            },
        };
        if let Some(name) = name.as_deref().filter(|name| merged.get_profile(name).is_none()) {
            let known = match merged.profiles().collect::<std::collections::BTreeSet<_>>() {
                known if known.is_empty() => "there are none".to_owned(),
                known => format!("known profiles: {}", known.into_iter().collect::<Vec<_>>().join(", ")),
            };
            let text = format!(
                "profile {name:?} (from {origin}) not found in the AWS config and credentials files; {known}"
            );
            return Err(Error::new(ErrorKind::InvalidConfiguration, text));
        }
        let name = name.unwrap_or_else(|| "default".to_owned());
        Ok(Self { name, files, merged, shared_credentials })
    }

    /// The name of the profile in use.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The files as they were read.
    pub(super) fn files(&self) -> EnvConfigFiles {
        self.files.clone()
    }

    /// A profile, merged from both files.
    pub(super) fn profile(&self, name: &str) -> Option<&Profile> {
        self.merged.get_profile(name)
    }

    /// Checks whether there is an `[sso-session]` with a name.
    pub(super) fn has_sso_session(&self, session: &str) -> bool {
        self.merged.sso_session(session).is_some()
    }

    /// A setting of an `[sso-session]`.
    pub(super) fn sso_session(&self, session: &str, setting: &str) -> Option<&str> {
        self.merged.sso_session(session)?.get(setting)
    }

    /// A profile in the credentials file alone.
    pub(super) fn shared_credentials(&self, name: &str) -> Option<&Profile> {
        self.shared_credentials.get_profile(name)
    }

    fn setting(&self, name: &str) -> Option<&str> {
        self.profile(&self.name)?.get(name).filter(|value| !value.is_empty())
    }

    /// The endpoint of Secrets Manager, if the environment or the files set one.
    pub(super) fn endpoint_url(&self) -> Option<String> {
        let ignored = env_var("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS")
            .or_else(|| self.setting("ignore_configured_endpoint_urls").map(str::to_owned));
        if ignored.is_some_and(|ignored| ignored.eq_ignore_ascii_case("true")) {
            return None;
        }
        env_var("AWS_ENDPOINT_URL_SECRETS_MANAGER")
            .or_else(|| env_var("AWS_ENDPOINT_URL"))
            .or_else(|| self.endpoint_of_services_section())
            .or_else(|| self.setting("endpoint_url").map(str::to_owned))
    }

    fn endpoint_of_services_section(&self) -> Option<String> {
        let key = PropertiesKey::builder()
            .section_key("services")
            .section_name(self.setting("services")?)
            .property_name("secrets_manager")
            .sub_property_name("endpoint_url")
            .build()
            .ok()?;
        Some(self.merged.other_sections().get(&key)?.to_string()).filter(|url| !url.is_empty())
    }

    /// The file of trusted certificates, if the environment or the profile names one.
    pub(super) fn ca_bundle(&self) -> Option<PathBuf> {
        env_var("AWS_CA_BUNDLE")
            .or_else(|| self.setting("ca_bundle").map(str::to_owned))
            .or_else(|| env_var("REQUESTS_CA_BUNDLE"))
            .map(PathBuf::from)
    }
}

async fn parsed(files: &EnvConfigFiles) -> Result<ProfileSet, Error> {
    aws_config::profile::load(&Fs::real(), &Env::real(), files, None).await.map_err(|error| {
        let text = format!("the AWS configuration files cannot be parsed: {}", super::root_cause(&error));
        Error::new(ErrorKind::InvalidConfiguration, text)
    })
}

/// Returns the text of a file, empty if it does not exist or cannot be read for lack of permission. The SDK ignores
/// every other error too: a program short of file descriptors would lose its profile and get another identity.
fn text_of(variable: &str, usual: &str) -> Result<String, Error> {
    let path = env_var(variable).unwrap_or_else(|| usual.to_owned());
    let Some(path) = at_home(&path) else { return Ok(String::new()) };
    match std::fs::read_to_string(&path) {
        Ok(text) => Ok(text),
        Err(error) if is_no_file(&error) => Ok(String::new()),
        Err(error) => Err(unreadable("the AWS configuration file", &path, &error)),
    }
}

fn is_no_file(error: &io::Error) -> bool {
    use io::ErrorKind::{IsADirectory, NotADirectory, NotFound, PermissionDenied};
    matches!(error.kind(), NotFound | PermissionDenied | NotADirectory | IsADirectory)
}

/// A path with `~` replaced by the user's home; `None` if there is no home.
fn at_home(path: &str) -> Option<PathBuf> {
    let Some(rest) = path.strip_prefix("~/") else { return Some(PathBuf::from(path)) };
    let home = env_var("HOME").or_else(|| env_var("USERPROFILE"))?;
    Some(PathBuf::from(home).join(rest))
}

/// The error for a configuration file that cannot be read.
pub(super) fn unreadable(what: &str, path: &Path, error: &io::Error) -> Error {
    let (kind, problem) = match exhausted::resource(error) {
        Some(text) => (ErrorKind::ResourceExhausted, text.to_owned()),
        None => (ErrorKind::InvalidConfiguration, error.to_string()),
    };
    Error::new(kind, format!("{what} {} cannot be read: {problem}", path.display()))
}

/// `AWS_DEFAULT_REGION`, which botocore and the AWS command line read and this SDK does not. `AWS_REGION` has priority:
/// Lambda and every other SDK set or read it.
pub(super) fn default_region() -> Option<String> {
    if env_var("AWS_REGION").is_some() { None } else { env_var("AWS_DEFAULT_REGION") }
}

/// Returns an environment variable; an empty one counts as not set.
#[expect(
    clippy::disallowed_methods,
    reason = "the AWS environment variables that the SDK does not read as botocore does"
)]
pub(super) fn env_var(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
