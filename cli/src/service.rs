//! The options of all commands that call AWS.

use clap::Args;
use secretcache::host::Options;

use crate::exit::Failure;

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

    /// Adds the Region to the message of a failure if a secret is missing there.
    pub(crate) async fn explain(&self, failure: Failure) -> Failure {
        if !failure.is_of_missing_secret {
            return failure;
        }
        let url = self.endpoint_url.clone().or_else(endpoint_of_environment);
        match self.region().await {
            Some(region) => failure.in_region(&region, url.as_deref()),
            None => failure,
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

/// Returns the endpoint of Secrets Manager that the environment names, as the `aws` command does.
#[expect(clippy::disallowed_methods, reason = "the cache reads the same variables, but does not show them")]
pub(crate) fn endpoint_of_environment() -> Option<String> {
    endpoint_in(|name| std::env::var(name).ok())
}

fn endpoint_in(variable: impl Fn(&str) -> Option<String>) -> Option<String> {
    let ignored = variable("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS");
    if ignored.is_some_and(|ignored| ignored.eq_ignore_ascii_case("true")) {
        return None;
    }
    let names = ["AWS_ENDPOINT_URL_SECRETS_MANAGER", "AWS_ENDPOINT_URL"];
    names.into_iter().filter_map(variable).find(|url| !url.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_endpoint_of_secrets_manager_comes_before_the_one_of_all_services() {
        let given = |set: &'static [(&str, &str)]| {
            endpoint_in(move |name| Some(set.iter().find(|(it, _)| *it == name)?.1.to_owned()))
        };
        assert_eq!(given(&[]), None);
        assert_eq!(given(&[("AWS_ENDPOINT_URL", "http://all")]).as_deref(), Some("http://all"));
        const BOTH: &[(&str, &str)] =
            &[("AWS_ENDPOINT_URL", "http://all"), ("AWS_ENDPOINT_URL_SECRETS_MANAGER", "http://own")];
        assert_eq!(given(BOTH).as_deref(), Some("http://own"));
        const IGNORED: &[(&str, &str)] =
            &[("AWS_ENDPOINT_URL", "http://all"), ("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true")];
        assert_eq!(given(IGNORED), None);
    }
}
