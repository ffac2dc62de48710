//! A minimal provider of API keys over HTTP: accounts with a few keys each.

use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A key and the account it belongs to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Key {
    /// The account.
    pub account: String,
    /// The key's id.
    pub id: usize,
    /// The name it was created with.
    pub name: String,
    /// The secret value, shown only once.
    pub value: String,
}

/// A running provider. It stops with the runtime it was started on.
#[derive(Clone, Debug)]
pub struct KeyProvider {
    /// The port it listens on, on the loopback interface.
    pub port: u16,
    keys: Arc<Mutex<Vec<Key>>>,
}

impl KeyProvider {
    /// Starts a provider that allows `limit` keys per account.
    ///
    /// # Errors
    ///
    /// If no port is free.
    pub async fn start(limit: usize) -> Result<Self, String> {
        let listener =
            TcpListener::bind("127.0.0.1:0").await.map_err(|error| format!("no port is free: {error}"))?;
        let port = listener.local_addr().map_err(|error| error.to_string())?.port();
        let provider = Self { port, keys: Arc::default() };
        let served = provider.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(served.clone().serve(stream, limit));
            }
        });
        Ok(provider)
    }

    /// Adds a key directly, not over HTTP, and returns its id.
    pub fn add(&self, account: &str, name: &str, value: &str) -> usize {
        self.with(|keys| {
            let id = keys.iter().map(|key| key.id).max().unwrap_or(0) + 1;
            let (account, name, value) = (account.to_owned(), name.to_owned(), value.to_owned());
            keys.push(Key { account, id, name, value });
            id
        })
    }

    /// Returns all keys.
    pub fn keys(&self) -> Vec<Key> {
        self.with(|keys| keys.clone())
    }

    /// Returns the description of the provider for rotations, with requests sent to `port`.
    pub fn description(&self, port: u16) -> String {
        let url = format!("http://127.0.0.1:{port}");
        let headers = r#"headers = { authorization = "Bearer {key}" }"#;
        format!(
            r#"
            prefix = "{PREFIX}"
            [create]
            method = "POST"
            url = "{url}/keys"
            {headers}
            body = '{{"name": "{{tag}}"}}'
            limit_status = 409
            fields = {{ key_id = "/data/id", key = "/data/secret" }}
            [list]
            url = "{url}/keys"
            {headers}
            items = "/data"
            id = "/id"
            name = "/name"
            [test]
            url = "{url}/me"
            {headers}
            [revoke]
            method = "DELETE"
            url = "{url}/keys/{{id}}"
            {headers}
            "#
        )
    }

    fn with<T>(&self, look: impl FnOnce(&mut Vec<Key>) -> T) -> T {
        look(&mut self.keys.lock().unwrap_or_else(PoisonError::into_inner))
    }

    async fn serve(self, mut stream: TcpStream, limit: usize) {
        let mut request = Vec::new();
        let text = loop {
            let read = stream.read_buf(&mut request).await.unwrap_or(0);
            let text = String::from_utf8_lossy(&request).into_owned();
            let is_whole = match text.split_once("\r\n\r\n") {
                Some((head, body)) if head.starts_with("POST") => body.ends_with('}'),
                whole => whole.is_some(),
            };
            if is_whole || read == 0 {
                break text;
            }
        };
        let (status, answer) = self.answer(&text, limit).unwrap_or((400, json!({})));
        let answer = answer.to_string();
        let head = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n\r\n", answer.len());
        let _ = stream.write_all(format!("{head}{answer}").as_bytes()).await;
    }

    fn answer(&self, request: &str, limit: usize) -> Option<(u16, Value)> {
        let bearer = request.lines().find_map(|line| line.strip_prefix("authorization: Bearer "));
        let keys = self.keys();
        let Some(login) = keys.iter().find(|key| Some(key.value.as_str()) == bearer) else {
            return Some((401, json!({ "error": format!("no such key: {bearer:?}") })));
        };
        let own = || keys.iter().filter(|key| key.account == login.account);
        let (method, rest) = request.split_once(' ')?;
        let path = rest.split(' ').next()?;
        Some(match (method, path) {
            ("POST", _) if own().count() >= limit => (409, json!({ "error": "that is enough" })),
            ("POST", _) => {
                let body: Value = serde_json::from_str(request.split_once("\r\n\r\n")?.1).ok()?;
                let value = format!("canary-{}-{}", login.account, keys.last()?.id + 1);
                let id = self.add(&login.account, body["name"].as_str()?, &value);
                (201, json!({ "data": { "id": id, "secret": value } }))
            }
            ("DELETE", path) => {
                let id: usize = path.rsplit('/').next()?.parse().ok()?;
                self.with(|keys| keys.retain(|key| key.id != id || key.account != login.account));
                (204, json!(null))
            }
            (_, "/keys") => {
                let list: Vec<_> = own().map(|key| json!({ "id": key.id, "name": key.name })).collect();
                (200, json!({ "data": list }))
            }
            _ => (200, json!({})),
        })
    }
}

/// The prefix of the names of keys that rotations create.
pub const PREFIX: &str = "checkout-";
