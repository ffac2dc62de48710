//! Parsers of input from a socket: requests to the local endpoint, and responses of Secrets Manager.

#![expect(clippy::disallowed_methods, reason = "the service that answers has threads of its own")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use secretcache::{Credentials, SecretCache};
use secretcache_local::{Extension, Options, Server};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::Runtime;

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
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let script = Arc::<Mutex<Script>>::default();
        let told = Arc::clone(&script);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let told = Arc::clone(&told);
                thread::spawn(move || while serve(&stream, &told).is_some() {});
            }
        });
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

/// Reads one request and answers it. `None` once the client has gone.
fn serve(mut stream: &TcpStream, script: &Mutex<Script>) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let (mut operation, mut length) = (0, 0);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
        let line = line.trim().to_ascii_lowercase();
        match line.split_once(": ") {
            Some(("x-amz-target", target)) if target.ends_with(".describesecret") => operation = 1,
            Some(("x-amz-target", target)) if target.contains(".batch") => operation = 2,
            Some(("content-length", digits)) => length = digits.parse().ok()?,
            None if line.is_empty() => break,
            _ => {}
        }
    }
    reader.read_exact(&mut vec![0; length]).ok()?;
    let (status, body) = script.lock().unwrap_or_else(PoisonError::into_inner).answer(operation);
    let mut response = format!(
        "HTTP/1.1 {status} -\r\nContent-Type: application/x-amz-json-1.1\r\nContent-Length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    response.extend_from_slice(&body);
    // In a single write: otherwise the kernel would wait for the client to acknowledge the first part.
    stream.write_all(&response).ok()
}

impl Script {
    fn answer(&self, operation: usize) -> (u16, Vec<u8>) {
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
