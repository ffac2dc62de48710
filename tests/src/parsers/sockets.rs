//! Parsers of input from a socket: requests to the local endpoint, and responses of Secrets Manager.

use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;

use secretcache::{Credentials, SecretCache};
use secretcache_local::{Extension, Options, Server};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::Runtime;

use super::service;

/// The bytes that a program, or a web page, sends to the local endpoint on one connection.
pub(super) fn request(bytes: &[u8]) {
    static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().expect("threads"));
    RUNTIME.block_on(async {
        let extension = Some(Extension { port: 0, token: None });
        let options = Options { port: 0, control: true, extension, ..Options::default() };
        let server = Server::bind(options).await.expect("a free port");
        let address = server.address();
        let serving = tokio::spawn(server.serve());
        let talk = async {
            let mut stream = tokio::net::TcpStream::connect(address).await?;
            stream.write_all(bytes).await?;
            stream.shutdown().await?;
            stream.read_to_end(&mut Vec::new()).await
        };
        // Some requests wait by design.
        let _ = tokio::time::timeout(Duration::from_millis(200), talk).await;
        serving.abort();
    });
}

/// Responses of the service to a cache: the first line has the status, then follow the bodies for `GetSecretValue`,
/// `DescribeSecret` and `BatchGetSecretValue`, separated by lines with `--`. `{id}` is replaced by the requested id.
pub(super) fn answer(bytes: &[u8]) {
    static SERVICE: LazyLock<(Service, SecretCache)> = LazyLock::new(|| {
        let service = Service::start();
        let cache = SecretCache::builder()
            .endpoint_url(&service.url)
            .region("us-east-1")
            .credentials(Credentials::new("AKIDEXAMPLE", "key", None))
            .timeout(Duration::from_millis(500))
            .max_size(16)
            .build()
            .expect("a cache");
        (service, cache)
    });
    let (service, cache) = &*SERVICE;
    let id = service.will_say(bytes);
    if let Ok(secret) = cache.get(&id).wait() {
        let _ = (secret.string(), secret.field("password"));
    }
    let _ = cache.refresh_wait(&id);
    let _ = cache.get(&id).stage("AWSPREVIOUS").wait();
    let other = format!("{id}-other");
    let _ = cache.prefetch_wait([other.as_str(), id.as_str()]);
    cache.invalidate(&id);
}

/// A Secrets Manager with scripted responses.
struct Service {
    url: String,
    script: Arc<Mutex<Script>>,
}

#[derive(Default)]
struct Script {
    /// Each script is for a new secret, so that earlier failures have no effect.
    number: u64,
    bytes: Vec<u8>,
}

impl Service {
    fn start() -> Self {
        let script = Arc::<Mutex<Script>>::default();
        let shared = Arc::clone(&script);
        let url =
            service::start(move |name| shared.lock().unwrap_or_else(PoisonError::into_inner).answer(name));
        Self { url, script }
    }

    /// Sets the responses, and returns the id of the secret that they are for.
    fn will_say(&self, bytes: &[u8]) -> String {
        let mut script = self.script.lock().unwrap_or_else(PoisonError::into_inner);
        *script = Script { number: script.number + 1, bytes: bytes.to_vec() };
        id(script.number)
    }
}

fn id(number: u64) -> String {
    format!("prod/secret-{number}")
}

impl Script {
    fn answer(&self, operation: &str) -> (u16, Vec<u8>) {
        let operation = match operation {
            "DescribeSecret" => 1,
            "BatchGetSecretValue" => 2,
            _ => 0,
        };
        let mut lines = self.bytes.split(|byte| *byte == b'\n');
        let status = lines.next().and_then(|line| str::from_utf8(line).ok()?.parse().ok());
        // Other statuses are retried, which is slow and parses the same.
        let status = status.filter(|status| (400..500).contains(status)).unwrap_or(200);
        let lines: Vec<&[u8]> = lines.collect();
        let mut bodies = lines.split(|line| line == b"--");
        let first = bodies.next().unwrap_or_default();
        let body = if operation == 0 { first } else { bodies.nth(operation - 1).unwrap_or(first) };
        (status, with_id(&body.join(&b'\n'), &id(self.number)))
    }
}

fn with_id(mut body: &[u8], id: &str) -> Vec<u8> {
    let mut whole = Vec::new();
    while let Some(place) = body.windows(4).position(|window| window == b"{id}") {
        whole.extend_from_slice(&body[..place]);
        whole.extend_from_slice(id.as_bytes());
        body = &body[place + 4..];
    }
    whole.extend_from_slice(body);
    whole
}
