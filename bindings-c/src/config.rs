//! The settings of a cache.

use std::ffi::c_void;
use std::sync::Arc;
use std::time::Duration;

use secretcache::host::{Options, Role};
use secretcache::{Credentials, SecretCache};

use crate::callback::{Release, UserData};
use crate::error::Error;
use crate::events::{Callback, Listener, OnError, OnEvent, OnLog, OnNewVersion, OnStale};
use crate::source::{FfiSource, HostSource, Source};

/// Settings for any number of caches. One thread may use it at a time.
#[derive(Clone, Debug, Default)]
pub struct Config {
    cache: secretcache::Config,
    options: Options,
    source: Option<HostSource>,
    listeners: Vec<Arc<Listener>>,
}

impl Config {
    pub(crate) fn build(&self) -> Result<SecretCache, Error> {
        let mut builder = SecretCache::builder().config(self.cache.clone()).options(self.options.clone());
        if let Some(source) = &self.source {
            builder = builder.source(source.clone().with_timeout(self.options.timeout));
        }
        let cache = builder.build()?;
        for listener in &self.listeners {
            let listener = Arc::clone(listener);
            cache.on_event(move |event| listener.notify(event));
        }
        Ok(cache)
    }

    /// Changes a setting of the cache, if its value is valid by itself.
    fn set(&mut self, change: impl Fn(&mut secretcache::Config)) -> Result<(), Error> {
        let mut alone = secretcache::Config::default();
        change(&mut alone);
        alone.validate()?;
        change(&mut self.cache);
        Ok(())
    }

    /// Changes a setting of the connection, if its value is valid by itself.
    fn set_option(&mut self, change: impl Fn(&mut Options)) -> Result<(), Error> {
        let mut alone = Options::default();
        change(&mut alone);
        SecretCache::builder().options(alone).build()?; // checks the options and starts nothing
        change(&mut self.options);
        Ok(())
    }

    fn listen(&mut self, callback: Callback, user_data: *mut c_void, release: Release) {
        self.listeners.push(Arc::new(Listener::new(callback, UserData::new(user_data, release))));
    }
}

export! {
    /// Returns the default settings; free them with `secretcache_config_free`. Each setter checks its own value and
    /// changes nothing if it fails; `secretcache_new` checks the combination.
    fn secretcache_config_new() -> *mut Config = std::ptr::null_mut() => {
        Box::into_raw(Box::default())
    }

    /// Frees settings. Caches made with them are not affected. NULL is ignored.
    fn secretcache_config_free(config: Own<Config>) {
        drop(config);
    }

    /// Sets how long a value counts as fresh. It is refreshed at a random moment in the second half of this time. 0
    /// means that every read asks the source. Default: 300,000 ms.
    fn secretcache_config_set_refresh_interval(config: Mut<Config>, interval_ms: Is<u64>) -> Result() {
        config.set(|config| config.ttl = Duration::from_millis(interval_ms))
    }

    /// Sets the refresh interval of one secret, by the id that reads use.
    fn secretcache_config_set_refresh_interval_of(
        config: Mut<Config>,
        secret_id: Text,
        interval_ms: Is<u64>,
    ) -> Result() {
        config.set(|config| {
            config.ttl_of.insert(secret_id.to_owned(), Duration::from_millis(interval_ms));
        })
    }

    /// Sets how long a read waits for the source if there is a last known value. Default: 2,000 ms.
    fn secretcache_config_set_max_wait(config: Mut<Config>, wait_ms: Is<u64>) -> Result() {
        config.set(|config| config.max_wait = Duration::from_millis(wait_ms))
    }

    /// Sets how long the last known value is served while refreshes fail, counted from the last success; at least the
    /// refresh interval. Default: no limit.
    fn secretcache_config_set_max_stale(config: Mut<Config>, stale_ms: Is<u64>) -> Result() {
        config.cache.max_stale = Some(Duration::from_millis(stale_ms)); // `build` checks it against the interval
        Ok(())
    }

    /// Sets how many secrets the cache keeps; at least 1. It keeps at most ten versions of each secret, those that were
    /// read. Default: 1,024.
    fn secretcache_config_set_max_size(config: Mut<Config>, secrets: Is<usize>) -> Result() {
        config.set(|config| config.max_size = secrets)
    }

    /// Sets whether the last known value is still served after the service denies access or the secret is deleted.
    /// Default: true.
    fn secretcache_config_set_stale_on_denied(config: Mut<Config>, serve: Is<bool>) -> Result() {
        config.set(|config| config.stale_on_denied = serve)
    }

    /// Sets whether to keep the memory of values out of swap (`mlock`) and, on Linux, out of core dumps. Each value
    /// costs four system calls and at least one page of the limit on locked memory (`ulimit -l`). A value that does not
    /// fit within that limit is not cached, and reading it fails with SECRETCACHE_RESOURCE_EXHAUSTED. Copies that the
    /// program makes are not locked. Default: false.
    fn secretcache_config_set_lock_memory(config: Mut<Config>, lock: Is<bool>) -> Result() {
        config.set(|config| config.lock_memory = lock)
    }

    /// Sets the pauses after failures: the first one, the factor by which each is longer than the one before (finite,
    /// at least 1), and the longest one. Each is shortened at random. Default: 1,000 ms, 2 and 60,000 ms.
    fn secretcache_config_set_backoff(
        config: Mut<Config>,
        base_ms: Is<u64>,
        growth: Is<f64>,
        max_ms: Is<u64>,
    ) -> Result() {
        let (base, max) = (Duration::from_millis(base_ms), Duration::from_millis(max_ms));
        config.set(|config| {
            config.backoff.base = base;
            config.backoff.growth = growth;
            config.backoff.max = max;
        })
    }

    /// Sets the AWS Region. Default: AWS_REGION, AWS_DEFAULT_REGION or the profile's Region.
    fn secretcache_config_set_region(config: Mut<Config>, region: Text) -> Result() {
        config.set_option(|options| options.region = Some(region.to_owned()))
    }

    /// Sets the service endpoint, such as that of `secretcache local` or of a VPC endpoint. Default:
    /// AWS_ENDPOINT_URL_SECRETS_MANAGER, AWS_ENDPOINT_URL or the Region's endpoint.
    fn secretcache_config_set_endpoint_url(config: Mut<Config>, url: Text) -> Result() {
        config.set_option(|options| options.endpoint_url = Some(url.to_owned()))
    }

    /// Sets the profile in the AWS configuration files. Default: AWS_PROFILE or "default".
    fn secretcache_config_set_profile(config: Mut<Config>, profile: Text) -> Result() {
        config.set_option(|options| options.profile = Some(profile.to_owned()))
    }

    /// Sets an access key, with its session token if it is temporary. Default: credentials of the environment, the
    /// profile, the container or the instance.
    fn secretcache_config_set_credentials(
        config: Mut<Config>,
        access_key_id: Text,
        secret_access_key: Text,
        session_token: OptText,
    ) -> Result() {
        let token = session_token.map(str::to_owned);
        config.options.credentials = Some(Credentials::new(access_key_id, secret_access_key, token));
        Ok(())
    }

    /// Sets a role to assume with the credentials, and the external id if the role's trust policy requires one.
    fn secretcache_config_set_role(config: Mut<Config>, role_arn: Text, external_id: OptText) -> Result() {
        config.set_option(|options| {
            options.role_arn = Some(role_arn.to_owned());
            options.external_id = external_id.map(str::to_owned);
        })
    }

    /// Sets a role to assume for the secrets whose id, as passed to a read (a name or an ARN), begins with `prefix`,
    /// and the external id if the role's trust policy requires one. The longest matching prefix is used; if none
    /// matches, a secret is read with the cache's own credentials. A second call for a prefix replaces the first. At
    /// most 20 roles.
    fn secretcache_config_set_role_for(
        config: Mut<Config>,
        prefix: Text,
        role_arn: Text,
        external_id: OptText,
    ) -> Result() {
        let role = Role { arn: role_arn.to_owned(), external_id: external_id.map(str::to_owned) };
        config.set_option(|options| {
            options.roles.insert(prefix.to_owned(), role.clone());
        })
    }

    /// Adds a Region that holds replicas of the secrets. It is read while a secret's own Region does not respond;
    /// several Regions are tried in the order in which they were added. If the Region needs its own endpoint, add it to
    /// the name: "eu-west-1=https://...". A replica may lag, so its version replaces a cached one only if it was
    /// created later.
    fn secretcache_config_add_fallback_region(config: Mut<Config>, region: Text) -> Result() {
        config.set_option(|options| options.fallback_regions.push(region.to_owned()))
    }

    /// Sets how long a Region may take to respond before the next one is asked; at least 1. Default: 2,000 ms.
    fn secretcache_config_set_fallback_after(config: Mut<Config>, after_ms: Is<u64>) -> Result() {
        config.set_option(|options| options.fallback_after = Some(Duration::from_millis(after_ms)))
    }

    /// Sets an HTTP proxy. Default: HTTPS_PROXY, HTTP_PROXY and NO_PROXY.
    fn secretcache_config_set_proxy_url(config: Mut<Config>, url: Text) -> Result() {
        config.set_option(|options| options.proxy_url = Some(url.to_owned()))
    }

    /// Sets a file of PEM certificates to trust instead of the system's. Default: AWS_CA_BUNDLE.
    fn secretcache_config_set_ca_bundle(config: Mut<Config>, path: Text) -> Result() {
        config.set_option(|options| options.ca_bundle = Some(path.into()))
    }

    /// Sets whether to use the FIPS endpoint. Default: AWS_USE_FIPS_ENDPOINT.
    fn secretcache_config_set_use_fips(config: Mut<Config>, use_fips: Is<bool>) -> Result() {
        config.set_option(|options| options.use_fips = Some(use_fips))
    }

    /// Sets how long one operation may take with all its retries, or one request to a custom source; at least 1.
    /// Default: 5,000 ms.
    fn secretcache_config_set_timeout(config: Mut<Config>, timeout_ms: Is<u64>) -> Result() {
        config.set_option(|options| options.timeout = Some(Duration::from_millis(timeout_ms)))
    }

    /// Sets a custom source to use instead of AWS Secrets Manager. The structure is copied. If this returns
    /// SECRETCACHE_OK, it takes over the user data: `release` is called once the settings, every cache made with them,
    /// and every pending answer are gone.
    fn secretcache_config_set_source(config: Mut<Config>, source: Is<*const Source>) -> Result() {
        if source.is_null() {
            return Err(Error::null("source"));
        }
        // SAFETY: the header requires a source as large as its `size` says.
        config.source = Some(unsafe { HostSource::new(source) }?);
        Ok(())
    }

    /// Like `secretcache_config_set_source`, for languages whose functions cannot take structures by value. See
    /// `secretcache_source` for the requirements on a source.
    fn secretcache_ffi_config_set_source(config: Mut<Config>, source: Ref<FfiSource>) -> Result() {
        config.source = Some(HostSource::with_pointers(source)?);
        Ok(())
    }

    /// Calls a function for each new version.
    ///
    /// This function and the four below can be called several times. The callbacks run on the thread
    /// "secretcache-events", one at a time and in order, with all signals blocked. They can call this library, but must
    /// not wait for another callback, leave by `longjmp`, or throw. Their arguments are valid until they return.
    ///
    /// If this returns SECRETCACHE_OK, it takes over `user_data`: `release`, unless NULL, is called with it once the
    /// settings and every cache made with them are gone and the callback will not be called again.
    fn secretcache_config_on_new_version(
        config: Mut<Config>,
        on_new_version: Call<OnNewVersion>,
        user_data: Is<*mut c_void>,
        release: Is<Release>,
    ) -> Result() {
        config.listen(Callback::NewVersion(on_new_version), user_data, release);
        Ok(())
    }

    /// Calls a function when reads begin to get a value that could not be refreshed in time; see
    /// `secretcache_config_on_new_version`.
    fn secretcache_config_on_stale(
        config: Mut<Config>,
        on_stale: Call<OnStale>,
        user_data: Is<*mut c_void>,
        release: Is<Release>,
    ) -> Result() {
        config.listen(Callback::Stale(on_stale), user_data, release);
        Ok(())
    }

    /// Calls a function when a fetch or refresh fails; see `secretcache_config_on_new_version`.
    fn secretcache_config_on_error(
        config: Mut<Config>,
        on_error: Call<OnError>,
        user_data: Is<*mut c_void>,
        release: Is<Release>,
    ) -> Result() {
        config.listen(Callback::Error(on_error), user_data, release);
        Ok(())
    }

    /// Calls a function with each log line; see `secretcache_config_on_new_version`.
    fn secretcache_config_on_log(
        config: Mut<Config>,
        on_log: Call<OnLog>,
        user_data: Is<*mut c_void>,
        release: Is<Release>,
    ) -> Result() {
        config.listen(Callback::Log(on_log), user_data, release);
        Ok(())
    }
    /// Calls a function with each event, as a structure; `secretcache_event_kind` lists the kinds; see
    /// `secretcache_config_on_new_version`.
    fn secretcache_config_on_event(
        config: Mut<Config>,
        on_event: Call<OnEvent>,
        user_data: Is<*mut c_void>,
        release: Is<Release>,
    ) -> Result() {
        config.listen(Callback::Any(on_event), user_data, release);
        Ok(())
    }
}
