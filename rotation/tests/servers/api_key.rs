//! Rotations of keys at a provider that is described in TOML. The tests start a small HTTP server as the provider.

use secretcache::{AWSCURRENT, AWSPENDING, AWSPREVIOUS};
use secretcache_rotation::targets::{HttpProvider, Tls};
use secretcache_rotation::*;

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
