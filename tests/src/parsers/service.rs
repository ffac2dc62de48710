//! An HTTP service of AWS whose answers a parser's bytes decide.

#![expect(clippy::disallowed_methods, reason = "the service has threads of its own")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

/// Starts a service, and returns its URL. `answer` gets the name of an operation, and returns the status and the body of
/// the response.
pub(super) fn start(answer: impl Fn(&str) -> (u16, Vec<u8>) + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let answer = Arc::new(answer);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let answer = Arc::clone(&answer);
            thread::spawn(move || while serve(&stream, &*answer).is_some() {});
        }
    });
    url
}

/// Reads one request and answers it. `None` once the client has gone.
fn serve(mut stream: &TcpStream, answer: &impl Fn(&str) -> (u16, Vec<u8>)) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let mut first = String::new();
    reader.read_line(&mut first).ok().filter(|read| *read > 0)?;
    let (mut operation, mut length) = (None, 0);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
        let line = line.trim();
        let Some((name, value)) = line.split_once(": ") else {
            if line.is_empty() {
                break;
            }
            continue;
        };
        match name.to_ascii_lowercase().as_str() {
            "x-amz-target" => operation = value.rsplit('.').next().map(str::to_owned),
            "content-length" => length = value.parse().ok()?,
            _ => {}
        }
    }
    let mut form = vec![0; length];
    reader.read_exact(&mut form).ok()?;
    let form = String::from_utf8_lossy(&form);
    // The three protocols name the operation in a header, in the form, and by the path.
    let in_form = || form.split('&').find_map(|pair| pair.strip_prefix("Action=")).map(str::to_owned);
    let operation = operation.or_else(in_form).unwrap_or(first);
    let (status, body) = answer(&operation);
    let mut response = format!(
        "HTTP/1.1 {status} -\r\nContent-Type: application/x-amz-json-1.1\r\nContent-Length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    response.extend_from_slice(&body);
    // In a single write: otherwise the kernel would wait for the client to acknowledge the first part.
    stream.write_all(&response).ok()
}
