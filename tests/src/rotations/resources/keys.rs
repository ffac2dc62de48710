//! A provider of API keys: accounts with room for two keys of ours beside one of somebody else's.

use secretcache_rotation::{BoxFuture, Document};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::field;
use crate::provider::KeyProvider;
use crate::rotations::message::Protocol;
use crate::rotations::resource::Resource;

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
            let key = field(credential, "key")?;
            let talk = async {
                let mut stream = TcpStream::connect(("127.0.0.1", self.port())).await?;
                let request = format!("GET /me HTTP/1.1\r\nauthorization: Bearer {key}\r\n\r\n");
                stream.write_all(request.as_bytes()).await?;
                let mut answer = String::new();
                stream.read_to_string(&mut answer).await.map(|_| answer)
            };
            let answer = talk.await.map_err(|error: std::io::Error| error.to_string())?;
            Ok(answer.starts_with("HTTP/1.1 200"))
        })
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
