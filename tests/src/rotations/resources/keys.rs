//! A provider of API keys: accounts with room for two of our keys, next to one that belongs to someone else.

use secretcache_rotation::{BoxFuture, Document};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::field;
use crate::provider::{KeyProvider, PREFIX};
use crate::rotations::message::Protocol;
use crate::rotations::resource::{Bare, Resource};

#[derive(Debug)]
pub(in crate::rotations) struct Keys {
    provider: KeyProvider,
}

impl Keys {
    pub(in crate::rotations) async fn start() -> Result<Self, String> {
        let provider = KeyProvider::start(3).await?;
        provider.add("billing", "nightly", "theirs");
        Ok(Self { provider })
    }
}

impl Keys {
    async fn send(&self, request: &str, login: &Document, body: &str) -> Result<String, String> {
        let key = field(login, "key")?;
        let request = format!("{request} HTTP/1.1\r\nauthorization: Bearer {key}\r\n\r\n{body}");
        let talk = async {
            let mut stream = TcpStream::connect(("127.0.0.1", self.port())).await?;
            stream.write_all(request.as_bytes()).await?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.map(|_| answer)
        };
        talk.await.map_err(|error: std::io::Error| error.to_string())
    }
}

impl Resource for Keys {
    fn protocol(&self) -> Protocol {
        Protocol::Http
    }

    fn port(&self) -> u16 {
        self.provider.port
    }

    fn prepare<'a>(&'a self, user: &'a str, _: u16) -> BoxFuture<'a, Result<String, String>> {
        Box::pin(async move {
            self.provider.add(user, "the console's", &format!("theirs-{user}"));
            let id = self.provider.add(user, "made by hand", &format!("first-{user}"));
            Ok(format!(r#"{{"key_id":"{id}","key":"first-{user}"}}"#))
        })
    }

    fn works<'a>(&'a self, credential: &'a Document) -> BoxFuture<'a, Result<bool, String>> {
        Box::pin(async move {
            let answer = self.send("GET /me", credential, "").await?;
            Ok(answer.starts_with("HTTP/1.1 200"))
        })
    }

    fn make<'a>(
        &'a self,
        current: &'a Document,
        previous: Option<&'a Document>,
    ) -> BoxFuture<'a, Result<Option<Document>, String>> {
        Box::pin(async move {
            if let Some(previous) = previous {
                let request = format!("DELETE /keys/{}", field(previous, "key_id")?);
                self.send(&request, current, "").await?;
            }
            let answer = self.send("POST /keys", current, &format!(r#"{{"name":"{PREFIX}bare"}}"#)).await?;
            let body = answer.split("\r\n\r\n").nth(1).unwrap_or_default();
            let body: serde_json::Value = serde_json::from_str(body).map_err(|error| error.to_string())?;
            let key = body["data"]["secret"].as_str().ok_or(answer.as_str())?;
            let made = current.with("key_id", &body["data"]["id"].to_string());
            made.and_then(|made| made.with("key", key)).map(Some).map_err(|error| error.to_string())
        })
    }

    /// A key works as soon as it is made.
    fn change<'a>(&'a self, _: Bare<'a>) -> BoxFuture<'a, Result<(), String>> {
        Box::pin(async { Ok(()) })
    }

    fn others(&self) -> BoxFuture<'_, Result<Vec<String>, String>> {
        Box::pin(async {
            let keys = self.provider.keys().into_iter();
            Ok(keys.filter(|key| key.value.starts_with("theirs")).map(|key| format!("{key:?}")).collect())
        })
    }

    fn description(&self, port: u16) -> Option<String> {
        Some(self.provider.description(port))
    }
}
