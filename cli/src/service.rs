//! Where the service is: the options that every command on secrets has.

use clap::Args;
use secretcache::host::Options;

/// Which service, and as whom.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Service")]
pub(crate) struct Service {
    /// AWS Region [default: as the aws command finds it]
    #[arg(long)]
    region: Option<String>,

    /// Profile in the AWS configuration files
    #[arg(long)]
    profile: Option<String>,

    /// Service endpoint, such as that of `secretcache local`
    #[arg(long, value_name = "URL")]
    endpoint_url: Option<String>,
}

impl Service {
    /// Whether `--region` was given.
    pub(crate) fn has_region(&self) -> bool {
        self.region.is_some()
    }

    /// The Region that was given, or the one that the environment or the profile names.
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
