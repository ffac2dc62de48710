//! Rotations of keys at a provider that is described in TOML; here a small one that speaks HTTP.

use std::sync::{Arc, Mutex};

use secretcache::{AWSCURRENT, AWSPENDING, AWSPREVIOUS};
use secretcache_rotation::targets::{HttpProvider, Tls};
use secretcache_rotation::*;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::support::Store;

/// The provider's keys: id, name, value.
type Keys = Arc<Mutex<Vec<(u32, String, String)>>>;

/// A provider that allows two keys.
async fn provider() -> (HttpProvider, Keys) {
    let keys: Keys = Arc::new(Mutex::new(vec![(1, "made by hand".into(), "first".into())]));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let served = Arc::clone(&keys);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, Arc::clone(&served)));
        }
    });
    let authorization = r#"headers = { authorization = "Bearer {key}" }"#;
    let description = format!(
        r#"
        prefix = "checkout-"
        [create]
        method = "POST"
        url = "{url}/keys"
        {authorization}
        body = '{{"name": "{{tag}}"}}'
        limit_status = 409
        fields = {{ key_id = "/data/id", key = "/data/secret" }}
        [list]
        url = "{url}/keys"
        {authorization}
        items = "/data"
        id = "/id"
        name = "/name"
        [test]
        url = "{url}/me"
        {authorization}
        [revoke]
        method = "DELETE"
        url = "{url}/keys/{{id}}"
        {authorization}
        "#
    );
    (HttpProvider::from_toml(&description, Tls::off()).unwrap(), keys)
}

async fn serve(mut stream: TcpStream, keys: Keys) {
    let mut request = Vec::new();
    let text = loop {
        let mut bytes = [0; 1024];
        let read = stream.read(&mut bytes).await.unwrap_or(0);
        request.extend_from_slice(&bytes[..read]);
        let text = String::from_utf8_lossy(&request).into_owned();
        let is_whole = match text.split_once("\r\n\r\n") {
            Some((head, body)) if head.starts_with("POST") => body.ends_with('}'),
            whole => whole.is_some(),
        };
        if is_whole || read == 0 {
            break text;
        }
    };
    let (status, answer) = answer(&text, &mut keys.lock().unwrap());
    let answer = answer.to_string();
    let head = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n\r\n", answer.len());
    let _ = stream.write_all(format!("{head}{answer}").as_bytes()).await;
}

fn answer(request: &str, keys: &mut Vec<(u32, String, String)>) -> (u16, serde_json::Value) {
    let bearer = request.lines().find_map(|line| line.strip_prefix("authorization: Bearer "));
    if !keys.iter().any(|(_, _, value)| Some(value.as_str()) == bearer) {
        return (401, json!({ "error": format!("no such key: {bearer:?}") }));
    }
    let (method, path) = request.split_once(' ').unwrap();
    let path = path.split(' ').next().unwrap();
    match (method, path) {
        ("POST", _) if keys.len() == 2 => (409, json!({ "error": "two keys are enough" })),
        ("POST", _) => {
            let id = keys.iter().map(|(id, _, _)| id).max().unwrap() + 1;
            let body: serde_json::Value =
                serde_json::from_str(request.split_once("\r\n\r\n").unwrap().1).unwrap();
            keys.push((id, body["name"].as_str().unwrap().to_owned(), format!("canary-{id}")));
            (201, json!({ "data": { "id": id, "secret": format!("canary-{id}") } }))
        }
        ("DELETE", path) => {
            let id: u32 = path.rsplit('/').next().unwrap().parse().unwrap();
            keys.retain(|(known, _, _)| *known != id);
            (204, json!(null))
        }
        (_, "/keys") => {
            let list: Vec<_> = keys.iter().map(|(id, name, _)| json!({ "id": id, "name": name })).collect();
            (200, json!({ "data": list }))
        }
        _ => (200, json!({})),
    }
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
        assert_eq!(keys.lock().unwrap().len(), 2, "round {round}");
    }
    assert_eq!(provider.probe(&first()).await.unwrap(), Probe::Refused);
    assert_eq!(*store.value(AWSCURRENT).unwrap().field("owner").unwrap(), "checkout");
}

#[tokio::test]
async fn an_orphan_is_neither_promoted_nor_in_the_way_for_long() {
    let (provider, keys) = provider().await;
    let store = Store::new(first(), None);
    let (strategy, settings) = (ApiKey { provider: &provider }, Settings::default());
    // A run that was killed after the provider made the key and before it was stored.
    let token = store.runner(&strategy, &settings).find("s").await.unwrap().token;
    Provider::create(&provider, &first(), &token).await.unwrap();
    let error = store.rotate(&strategy, &settings).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Rejected);
    assert!(store.value(AWSPENDING).is_none());
    // The next rotation knows that no version can hold it.
    store.runner(&strategy, &settings).rotate("s").await.unwrap();
    assert_eq!(provider.probe(&store.value(AWSCURRENT).unwrap()).await.unwrap(), Probe::Accepted);
    assert!(keys.lock().unwrap().iter().all(|(_, name, _)| !name.ends_with(&token)));
}

#[tokio::test]
async fn keys_of_others_are_left_alone_and_errors_show_no_key() {
    let (provider, keys) = provider().await;
    keys.lock().unwrap().push((7, "somebody else's".into(), "theirs".into()));
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
