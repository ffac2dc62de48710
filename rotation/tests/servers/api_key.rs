//! Rotations of keys at a provider that is described in TOML. The tests start a small HTTP server as the provider.

use secretcache::{AWSCURRENT, AWSPENDING, AWSPREVIOUS};
use secretcache_rotation::operate::{Backend, RotationContext};
use secretcache_rotation::targets::{HttpProvider, Tls};
use secretcache_rotation::*;
use serde_json::json;

use crate::service::Service;
use crate::support::{KeyProvider, Store};

/// Starts a provider that allows two keys and has one, which was created manually.
async fn provider() -> (HttpProvider, KeyProvider) {
    let keys = KeyProvider::start(2).await.unwrap();
    keys.add("shop", "made by hand", "first");
    (HttpProvider::from_toml(&keys.description(keys.port), Tls::off()).unwrap(), keys)
}

fn first() -> Document {
    Document::parse(r#"{"key_id":"1","key":"first","owner":"checkout"}"#).unwrap()
}

#[tokio::test]
async fn keys_overlap_and_the_former_one_ends_with_the_next_rotation() {
    let (provider, keys) = provider().await;
    let store = Store::new(first(), None);
    let strategy = ApiKey { provider: &provider };
    for round in 0..4 {
        store.rotate(&strategy, &Settings::default()).await.unwrap();
        for label in [AWSCURRENT, AWSPREVIOUS] {
            assert_eq!(
                provider.probe(&store.value(label).unwrap()).await.unwrap(),
                Probe::Accepted,
                "{label}"
            );
        }
        assert_eq!(keys.keys().len(), 2, "round {round}");
    }
    assert_eq!(provider.probe(&first()).await.unwrap(), Probe::Refused);
    assert_eq!(*store.value(AWSCURRENT).unwrap().field("owner").unwrap(), "checkout");
}

#[tokio::test]
async fn an_orphan_is_neither_promoted_nor_in_the_way_for_long() {
    let (provider, keys) = provider().await;
    let store = Store::new(first(), None);
    let (strategy, settings) = (ApiKey { provider: &provider }, Settings::default());
    // A run that was killed after the provider created the key and before the key was stored.
    let token = store.runner(&strategy, &settings).find("s").await.unwrap().token;
    Provider::create(&provider, &first(), &token).await.unwrap();
    let error = store.rotate(&strategy, &settings).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Rejected);
    assert!(store.value(AWSPENDING).is_none());
    // The next rotation knows that no version can hold that key.
    store.runner(&strategy, &settings).rotate("s").await.unwrap();
    assert_eq!(provider.probe(&store.value(AWSCURRENT).unwrap()).await.unwrap(), Probe::Accepted);
    assert!(keys.keys().iter().all(|key| !key.name.ends_with(&token)));
}

/// Starts a provider with the secret's first key, one of another program of the same account, and one that somebody who
/// can write the secret has in an account of their own.
async fn provider_with_neighbours() -> (HttpProvider, KeyProvider) {
    let keys = KeyProvider::start(8).await.unwrap();
    keys.add("shop", "made by hand", "first");
    keys.add("shop", "somebody else's", "theirs");
    keys.add("trial", "an attacker's", "trial");
    (HttpProvider::from_toml(&keys.description(keys.port), Tls::off()).unwrap(), keys)
}

/// Stores a value that becomes `AWSPREVIOUS`, as anybody can who may write the secret.
fn with_previous(previous: &str) -> Store {
    let store = Store::new(Document::parse(previous).unwrap(), None);
    store.store_by_hand(first());
    store
}

#[tokio::test]
async fn naming_a_key_in_awsprevious_does_not_revoke_it() {
    for previous in [
        // Another program's key.
        r#"{"key_id":"2"}"#,
        r#"{"key_id":"2","key":"a guess"}"#,
        // Accepted keys, but not of this id.
        r#"{"key_id":"2","key":"first"}"#,
        r#"{"key_id":"2","key":"trial"}"#,
        // The key in use, which the provider also finds under this name.
        r#"{"key_id":"01"}"#,
        r#"{"key_id":"01","key":"first"}"#,
        r#"{"key_id":"02","key":"trial"}"#,
        // No key at all.
        r#"{"owner":"checkout"}"#,
    ] {
        let (provider, keys) = provider_with_neighbours().await;
        let store = with_previous(previous);
        store.rotate(&ApiKey { provider: &provider }, &Settings::default()).await.unwrap();
        let left: Vec<_> = keys.keys().into_iter().map(|key| key.id).collect();
        assert_eq!(left, [1, 2, 3, 4], "{previous}");
    }
}

#[tokio::test]
async fn a_segment_of_a_path_is_never_a_step_up() {
    for id in [".", ".."] {
        let (provider, keys) = provider_with_neighbours().await;
        let error = provider.revoke(&first(), id).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Misconfigured, "{id}: {error}");
        // An accepted key, so that only its id is in the way.
        let store = with_previous(&format!(r#"{{"key_id":"{id}","key":"theirs"}}"#));
        let error = store.rotate(&ApiKey { provider: &provider }, &Settings::default()).await.unwrap_err();
        assert!(error.message().contains("revoke it yourself"), "{error}");
        assert_eq!(keys.keys().len(), 3, "{id}");
    }
}

#[tokio::test]
async fn revoking_the_previous_key_at_once_needs_the_same_proof() {
    let mut settings = Settings::default();
    settings.test_attempts = 1;
    for previous in [r#"{"key_id":"2","key":"first"}"#, r#"{"key_id":"2","key":"trial"}"#] {
        let (provider, keys) = provider_with_neighbours().await;
        let store = with_previous(previous);
        let (strategy, backend) = (StrategyName::ApiKey, Backend::Provider(&provider));
        let context = RotationContext {
            store: &store,
            pause: &store,
            settings: &settings,
            secret_id: "s",
            strategy,
            backend,
        };
        let error = context.revoke_previous().await.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Refused | ErrorKind::Misconfigured), "{error}");
        assert_eq!(keys.keys().len(), 3, "{previous}");
    }
}

#[tokio::test]
async fn a_former_key_that_somebody_deleted_is_not_in_the_way() {
    let (provider, keys) = provider().await;
    let store = Store::new(first(), None);
    let strategy = ApiKey { provider: &provider };
    store.rotate(&strategy, &Settings::default()).await.unwrap();
    provider.revoke(&first(), "1").await.unwrap();
    store.rotate(&strategy, &Settings::default()).await.unwrap();
    assert_eq!(keys.keys().len(), 2);
}

#[tokio::test]
async fn a_former_key_that_may_not_end_itself_is_named() {
    let service = Service::start(|request| match request {
        _ if request.starts_with("POST") => (201, json!({ "data": { "id": 2, "secret": "second" } })),
        _ if request.starts_with("DELETE") => (403, json!({})),
        _ => (200, json!({ "data": [] })),
    })
    .await;
    let keys = KeyProvider::start(2).await.unwrap();
    let provider = HttpProvider::from_toml(&keys.description(service.port), Tls::off()).unwrap();
    let store = Store::new(first(), None);
    let strategy = ApiKey { provider: &provider };
    store.rotate(&strategy, &Settings::default()).await.unwrap();
    let error = store.rotate(&strategy, &Settings::default()).await.unwrap_err();
    assert!(error.message().contains("revoke") && error.message().contains("AWSPREVIOUS"), "{error}");
}

#[tokio::test]
async fn a_former_key_is_not_revoked_with_other_rights_than_its_own() {
    let (_, keys) = provider_with_neighbours().await;
    // The last request is that to revoke a key.
    let description = keys.description(keys.port);
    let (start, end) = description.rsplit_once("Bearer {key}").unwrap();
    let description = format!("{start}Bearer theirs{end}");
    let provider = HttpProvider::from_toml(&description, Tls::off()).unwrap();
    let store = with_previous(r#"{"key_id":"2","key":"trial"}"#);
    let error = store.rotate(&ApiKey { provider: &provider }, &Settings::default()).await.unwrap_err();
    assert!(error.message().contains("[revoke]"), "{error}");
    assert_eq!(keys.keys().len(), 3);
}

#[tokio::test]
async fn a_url_in_an_answer_is_no_template() {
    let service = Service::start(|request| match request.lines().next().unwrap_or_default() {
        line if line.contains("more") => (200, json!({ "data": [] })),
        _ => (200, json!({ "data": [], "next": "/keys?more={key}" })),
    })
    .await;
    let keys = KeyProvider::start(2).await.unwrap();
    let description = keys.description(service.port);
    let description = description.replace("items =", "next = { pointer = \"/next\" }\n items =");
    let provider = HttpProvider::from_toml(&description, Tls::off()).unwrap();
    let login = Document::parse(r#"{"key_id":"1","key":"canary-key"}"#).unwrap();
    provider.list(&login).await.unwrap();
    let heard = service.heard();
    assert_eq!(heard, ["GET /keys HTTP/1.1", "GET /keys?more={key} HTTP/1.1"]);
}

#[tokio::test]
async fn a_next_page_is_at_the_host_that_was_asked() {
    let service = Service::start(|request| match request.lines().next().unwrap_or_default() {
        line if line.contains("more") => (200, json!({ "data": [] })),
        _ => (200, json!({ "data": [], "next": "/keys?more=https://elsewhere.example/" })),
    })
    .await;
    let keys = KeyProvider::start(2).await.unwrap();
    let description = keys.description(service.port).replace("127.0.0.1", "{host}");
    let description = description.replace("items =", "next = { pointer = \"/next\" }\n items =");
    let provider = HttpProvider::from_toml(&description, Tls::off()).unwrap();
    provider.list(&first().with("host", "127.0.0.1").unwrap()).await.unwrap();
    assert_eq!(service.heard().len(), 2);
    let elsewhere =
        Service::start(|_| (200, json!({ "data": [], "next": "https://elsewhere.example/" }))).await;
    let provider = HttpProvider::from_toml(
        &description.replace(&service.port.to_string(), &elsewhere.port.to_string()),
        Tls::off(),
    );
    let error = provider.unwrap().list(&first().with("host", "127.0.0.1").unwrap()).await.unwrap_err();
    assert!(error.message().contains("another address"), "{error}");
}

#[tokio::test]
async fn keys_of_others_are_left_alone_and_errors_show_no_key() {
    let (provider, keys) = provider().await;
    keys.add("shop", "somebody else's", "theirs");
    assert_eq!(provider.list(&first()).await.unwrap(), []);
    let error = Provider::create(&provider, &first(), "t").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LimitReached);
    let dead = first().with("key", "canary-dead").unwrap();
    let error = provider.list(&dead).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused);
    assert!(!format!("{error} {error:?}").contains("canary"));
}

#[test]
fn a_description_that_could_do_harm_is_refused() {
    let description = |prefix, fields| {
        let request = "url = \"https://api.example/\"\n";
        format!(
            "prefix = \"{prefix}\"\n[create]\n{request}fields = {{ {fields} = \"/id\" }}\n\
             [list]\n{request}items = \"\"\nid = \"/id\"\nname = \"/name\"\n[test]\n{request}[revoke]\n{request}"
        )
    };
    HttpProvider::from_toml(&description("ours-", "key_id"), Tls::off()).unwrap();
    for (prefix, fields, why) in [("", "key_id", "prefix"), ("ours-", "key", "new key's id")] {
        let error = HttpProvider::from_toml(&description(prefix, fields), Tls::off()).unwrap_err();
        assert!(error.message().contains(why), "{error}");
    }
}
