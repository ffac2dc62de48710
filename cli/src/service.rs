//! The options of all commands that call AWS.

use clap::Args;
use secretcache::host::Options;

/// The options that select the service and the credentials.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Service")]
pub(crate) struct Service {
    /// AWS Region [default: the same as for the aws command]
    #[arg(long)]
    region: Option<String>,

    /// Profile in the AWS configuration files
    #[arg(long)]
    profile: Option<String>,

    /// URL of the service endpoint, for example that of `secretcache local`
    #[arg(long, value_name = "URL")]
    endpoint_url: Option<String>,
}

impl Service {
    /// Whether `--region` was given.
    pub(crate) fn has_region(&self) -> bool {
        self.region.is_some()
    }

    /// Returns the Region that was given, or the one from the environment or the profile.
    pub(crate) async fn region(&self) -> Option<String> {
        match &self.region {
            Some(region) => Some(region.clone()),
            None => Some(self.options().sdk_config().await.ok()?.region()?.to_string()),
        }
    }

    pub(crate) fn options(&self) -> Options {
        let mut options = Options::default();
        options.region.clone_from(&self.region);
        options.profile.clone_from(&self.profile);
        options.endpoint_url.clone_from(&self.endpoint_url);
        options
    }
}
