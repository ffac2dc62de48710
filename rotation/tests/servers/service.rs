//! An HTTP service whose answers a test writes.

use std::sync::{Arc, Mutex};

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A running service on the loopback interface. It stops with the runtime it was started on.
#[derive(Clone, Debug)]
pub(crate) struct Service {
    pub(crate) port: u16,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Service {
    /// Starts a service. `answer` takes a whole request, and returns the status and the body of the response.
    pub(crate) async fn start(answer: impl Fn(&str) -> (u16, Value) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let service = Self { port: listener.local_addr().unwrap().port(), heard: Arc::default() };
        let (heard, answer) = (Arc::clone(&service.heard), Arc::new(answer));
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (heard, answer) = (Arc::clone(&heard), Arc::clone(&answer));
                tokio::spawn(async move {
                    let request = read(&mut stream).await;
                    let (status, body) = answer(&request);
                    heard.lock().unwrap().push(request);
                    let body = body.to_string();
                    let head = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n\r\n", body.len());
                    let _ = stream.write_all(format!("{head}{body}").as_bytes()).await;
                });
            }
        });
        service
    }

    /// Returns the first line of each request so far.
    pub(crate) fn heard(&self) -> Vec<String> {
        let heard = self.heard.lock().unwrap();
        heard.iter().map(|request| request.lines().next().unwrap_or_default().to_owned()).collect()
    }
}

async fn read(stream: &mut TcpStream) -> String {
    let mut request = Vec::new();
    loop {
        let read = stream.read_buf(&mut request).await.unwrap_or(0);
        let text = String::from_utf8_lossy(&request).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            if body.len() >= length.and_then(|length| length.parse().ok()).unwrap_or(0) {
                return text;
            }
        }
        if read == 0 {
            return text;
        }
    }
}
