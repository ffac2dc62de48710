//! What services say whose users and keys are managed over HTTP: HTTP targets, providers of API keys, IAM and STS.

use std::net::SocketAddr;
use std::sync::LazyLock;

use secretcache::Credentials;
use secretcache::host::Options;
use secretcache_rotation::targets::{HttpProvider, HttpTarget, IamProvider, Tls};
use secretcache_rotation::{Document, Error, Provider};
use tokio::runtime::Builder;

use super::script::{First, Here, Script};
use super::servers::{CANARY, Users, check, use_target};

/// Users behind an HTTP interface.
pub(super) fn http(bytes: &[u8]) {
    static DESCRIPTION: LazyLock<String> =
        LazyLock::new(|| plain(include_str!("../../fuzz/seeds/targets/rabbitmq.toml")));
    let users = Users::new("app");
    Script::of(bytes).play(First::Client, async move |address, wanted| {
        let target = HttpTarget::from_toml(&DESCRIPTION, Tls::off()).expect("a description");
        if let Err(error) = use_target(&target.via(Here::route(address)), &users, &wanted).await {
            check(bytes, &error);
        }
    });
}

/// Keys that a service issues over HTTP.
pub(super) fn provider(bytes: &[u8]) {
    static POINTER: LazyLock<String> =
        LazyLock::new(|| plain(include_str!("../../fuzz/seeds/targets/acme.toml")));
    static TOKEN: LazyLock<String> =
        LazyLock::new(|| plain(include_str!("../../fuzz/seeds/targets/ledger.toml")));
    static LINK: LazyLock<String> = LazyLock::new(|| POINTER.replace("{ pointer = \"/next\" }", "\"link\""));
    Script::of(bytes).play(First::Client, async move |address, wanted| {
        let description = match wanted.split_once(',').unwrap_or_default().1.trim() {
            "token" => &*TOKEN,
            "link" => &*LINK,
            _ => &*POINTER,
        };
        let provider = HttpProvider::from_toml(description, Tls::off()).expect("a description");
        if let Err(error) = use_provider(&provider.via(Here::route(address)), &wanted).await {
            check(bytes, &error);
        }
    });
}

/// Access keys: what IAM and STS answer, in XML.
pub(super) fn iam(bytes: &[u8]) {
    static PROVIDER_AT: LazyLock<ProviderAt> = LazyLock::new(iam_provider);
    let provider_at = &*PROVIDER_AT;
    Script::of(bytes).play(First::Client, async move |address, wanted| {
        if let Err(error) = use_provider(&provider_at(address), &wanted).await {
            check(bytes, &error);
        }
    });
}

type ProviderAt = Box<dyn Fn(SocketAddr) -> IamProvider + Send + Sync>;

/// Returns what makes a provider for a server, with a configuration that takes long to read.
fn iam_provider() -> ProviderAt {
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    let mut options = Options::default();
    options.region = Some("us-east-1".to_owned());
    options.credentials = Some(Credentials::new("AKIAIOSFODNN7CALLER", format!("{CANARY}-0"), None));
    let config = runtime.block_on(options.sdk_config()).expect("a configuration");
    let connector = runtime.block_on(options.http_connector()).expect("a connector");
    Box::new(move |address| {
        let config = config.clone().into_builder().endpoint_url(format!("http://{address}")).build();
        IamProvider::from_toml("").expect("a description").with_config(config, connector.clone())
    })
}

/// Returns a description with plain HTTP, which only reaches the script's server.
fn plain(description: &str) -> String {
    description.replace("https://", "http://")
}

/// Does what a script wants.
async fn use_provider(provider: &dyn Provider, wanted: &str) -> Result<(), Error> {
    let secret = |key: &str| {
        let secret = format!(
            r#"{{"key_id":"{key}","key":"{CANARY}-1","secret_id":"{key}","client_id":"shop","client_secret":"{CANARY}-2",
                "basic":"","AccessKeyId":"{key}","SecretAccessKey":"{CANARY}-3"}}"#
        );
        Document::parse(&secret).expect("a secret")
    };
    let (current, former) = (secret("AKIAIOSFODNN7EXAMPLE"), secret("AKIAIOSFODNN7FORMER0"));
    let (what, _) = wanted.split_once(',').unwrap_or((wanted, ""));
    match what {
        "create" => provider.create(&current, "b1f0c1de-0000-4000-8000-000000000001").await.map(drop),
        "list" => provider.list(&current).await.map(drop),
        "revoke" => provider.revoke(&current, "AKIAIOSFODNN7FORMER0").await,
        "revoke former" => provider.revoke_former(&current, &former).await.map(drop),
        _ => provider.probe(&current).await.map(drop),
    }
}
