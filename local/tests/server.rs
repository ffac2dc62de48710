//! The server in-process, over plain HTTP.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use secretcache_local::{Effect, EventName, Fault, Handle, Options, Server, StartError};
use serde_json::{Value, json};

/// A running server, which stops at the end of the test.
struct Running {
    address: SocketAddr,
    handle: Handle,
    runtime: tokio::runtime::Runtime,
}

impl Running {
    fn start(options: Options) -> Self {
        Self::try_start(options).unwrap()
    }

    fn try_start(options: Options) -> Result<Self, StartError> {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let server = runtime.block_on(Server::bind(Options { port: 0, control: true, ..options }))?;
        let (address, handle) = (server.address(), server.handle());
        runtime.spawn(server.serve());
        Ok(Self { address, handle, runtime })
    }

    fn fault(&self, effect: Effect) -> u64 {
        self.handle.add_fault(Fault { times: Some(1), effect: Some(effect), ..Fault::default() })
    }

    /// Sends a request on a new connection. Returns status and body, or the error of the connection.
    fn send(&self, request: &str) -> std::io::Result<(u16, String)> {
        let mut stream = TcpStream::connect(self.address)?;
        stream.set_read_timeout(Some(Duration::from_millis(500)))?;
        stream.write_all(request.as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        Ok((status, body.to_owned()))
    }

    fn try_call(&self, operation: &str, parameters: &Value) -> std::io::Result<(u16, String)> {
        let body = parameters.to_string();
        self.send(&format!(
            "POST / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/x-amz-json-1.1\r\n\
             X-Amz-Target: secretsmanager.{operation}\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        ))
    }

    fn call(&self, operation: &str, parameters: Value) -> (u16, Value) {
        let (status, body) = self.try_call(operation, &parameters).unwrap();
        (status, serde_json::from_str(&body).unwrap_or(Value::String(body)))
    }

    fn create(&self, name: &str, value: &str) {
        let token = format!("{value:0>36}");
        let made = json!({"Name": name, "SecretString": value, "ClientRequestToken": token});
        assert_eq!(self.call("CreateSecret", made).0, 200);
    }

    fn put(&self, name: &str, value: &str) -> (u16, Value) {
        let token = format!("{value:0>36}");
        self.call(
            "PutSecretValue",
            json!({"SecretId": name, "SecretString": value, "ClientRequestToken": token}),
        )
    }

    fn get(&self, name: &str) -> Value {
        self.call("GetSecretValue", json!({"SecretId": name})).1["SecretString"].take()
    }
}

/// A temporary folder for a test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("secretcache-local-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn data(&self) -> PathBuf {
        self.0.join("data.jsonl")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn keeping(path: &Path) -> Options {
    Options { data: Some(path.to_owned()), ..Options::default() }
}

#[test]
fn requests_that_are_not_for_it() {
    let server = Running::start(Options::default());
    let (status, page) =
        server.send("GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    assert!(status == 200 && page.contains("for development"));
    assert_eq!(
        server.send("GET /nope HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap().0,
        404
    );
    let large = json!({"Name": "a", "SecretString": "x".repeat(2 * 1024 * 1024)});
    let (status, refusal) = server.try_call("CreateSecret", &large).unwrap();
    assert!(status == 400 && refusal.contains("ValidationException"), "{refusal}");
    let huge = "x".repeat(9 * 1024 * 1024);
    let oversize = server.try_call("CreateSecret", &json!({"Name": "a", "SecretString": huge}));
    // The response is sent before the request has been read, so the reset that follows can discard it.
    assert!(oversize.map_or(true, |(status, _)| status == 413));
    let bad_chunk = "POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n";
    assert_eq!(server.send(bad_chunk).unwrap().0, 400);
    server.create("still-there", "one");
}

#[test]
fn without_control_there_is_no_control_path() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let server = runtime.block_on(Server::bind(Options { port: 0, ..Options::default() })).unwrap();
    let running = Running { address: server.address(), handle: server.handle(), runtime };
    running.runtime.spawn(server.serve());
    let request = "GET /_control/calls HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    assert_eq!(running.send(request).unwrap().0, 404);
}

#[test]
fn effects() {
    let server = Running::start(Options::default());
    server.create("db", "one");
    let get = json!({"SecretId": "db"});

    server.fault(Effect::Throttle);
    assert_eq!(server.call("GetSecretValue", get.clone()).1["__type"], "ThrottlingException");
    server.fault(Effect::Deny);
    assert_eq!(server.call("GetSecretValue", get.clone()).1["__type"], "AccessDeniedException");
    server.fault(Effect::Error {
        r#type: "DecryptionFailure".into(),
        message: "key disabled".into(),
        status: 400,
    });
    let answer = server.call("GetSecretValue", get.clone());
    assert_eq!(answer, (400, json!({"__type": "DecryptionFailure", "Message": "key disabled"})));
    server.fault(Effect::Malformed);
    let (status, body) = server.call("GetSecretValue", get.clone());
    assert!(status == 200 && body.is_string(), "{body}");
    server.fault(Effect::Reset);
    let reset = server.try_call("GetSecretValue", &get).unwrap_err();
    assert_eq!(reset.kind(), std::io::ErrorKind::ConnectionReset);
    server.fault(Effect::Hang);
    let hung = server.try_call("GetSecretValue", &get).unwrap_err();
    assert!(matches!(hung.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut), "{hung}");

    assert_eq!(server.get("db"), "one", "each fault affected one request");
    let calls = &server.handle.calls()["GetSecretValue"];
    let expected = [
        "AccessDeniedException",
        "DecryptionFailure",
        "ThrottlingException",
        "hang",
        "malformed",
        "ok",
        "reset",
    ];
    assert_eq!(calls.keys().map(String::as_str).collect::<Vec<_>>(), expected);
}

#[test]
fn a_lost_acknowledgement_takes_effect_and_a_lost_request_does_not() {
    let server = Running::start(Options::default());
    server.create("db", "one");
    server.fault(Effect::Reset);
    let put = |value: &str| json!({"SecretId": "db", "SecretString": value, "ClientRequestToken": format!("{value:0>36}")});
    server.try_call("PutSecretValue", &put("two")).unwrap_err();
    assert_eq!(server.get("db"), "one");
    server.handle.clear_faults();
    let lost = Fault { times: Some(1), effect: Some(Effect::Reset), applied: true, ..Fault::default() };
    server.handle.add_fault(lost);
    server.try_call("PutSecretValue", &put("two")).unwrap_err();
    assert_eq!(server.get("db"), "two");
}

#[test]
fn reads_can_be_stale_and_writes_never_are() {
    let server = Running::start(Options::default());
    server.create("db", "one");
    server.handle.advance(Duration::from_secs(60));
    server.put("db", "two");
    let stale =
        server.handle.add_fault(Fault { effect: Some(Effect::Stale { seconds: 30.0 }), ..Fault::default() });
    assert_eq!(server.get("db"), "one");
    assert_eq!(server.put("db", "three").0, 200);
    assert!(server.handle.remove_fault(stale));
    assert_eq!(server.get("db"), "three");
}

#[test]
fn the_clock_moves_deletions() {
    let server = Running::start(Options::default());
    server.create("db", "one");
    server.call("DeleteSecret", json!({"SecretId": "db", "RecoveryWindowInDays": 7}));
    server.handle.advance(Duration::from_secs(8 * 86_400));
    assert_eq!(server.call("DescribeSecret", json!({"SecretId": "db"})).0, 400);
}

#[test]
fn a_port_in_use_is_reported() {
    let server = Running::start(Options::default());
    let again = Options { port: server.address.port(), ..Options::default() };
    let error = server.runtime.block_on(Server::bind(again)).err().unwrap();
    assert!(
        matches!(error, StartError::PortInUse { .. }) && error.to_string().contains("choose another port")
    );
}

#[test]
fn the_data_file_keeps_everything() {
    let folder = Folder::new("keeps");
    let server = Running::start(keeping(&folder.data()));
    server.create("db", "one");
    server.put("db", "two");
    let binary = json!({"Name": "bin", "SecretBinary": "AAH/", "ClientRequestToken": "0".repeat(36)});
    server.call("CreateSecret", binary);
    server.create("gone", "deleted-value");
    server.call("DeleteSecret", json!({"SecretId": "gone", "ForceDeleteWithoutRecovery": true}));
    // Reads record the day of access. Read once now, so that later reads change nothing.
    for parameters in [
        json!({"SecretId": "db"}),
        json!({"SecretId": "db", "VersionStage": "AWSPREVIOUS"}),
        json!({"SecretId": "bin"}),
    ] {
        assert_eq!(server.call("GetSecretValue", parameters).0, 200);
    }
    let before = server.call("ListSecrets", json!({})).1;
    let versions = server.call("ListSecretVersionIds", json!({"SecretId": "db"})).1;
    drop(server);

    for _ in 0..2 {
        let server = Running::start(keeping(&folder.data()));
        assert_eq!(server.call("ListSecrets", json!({})).1, before);
        assert_eq!(server.call("ListSecretVersionIds", json!({"SecretId": "db"})).1, versions);
        assert_eq!(server.get("db"), "two");
        let previous = json!({"SecretId": "db", "VersionStage": "AWSPREVIOUS"});
        assert_eq!(server.call("GetSecretValue", previous).1["SecretString"], "one");
        assert_eq!(server.call("GetSecretValue", json!({"SecretId": "bin"})).1["SecretBinary"], "AAH/");
    }
    let text = std::fs::read_to_string(folder.data()).unwrap();
    assert!(!text.contains("deleted-value"), "deleted values are removed from the file at the next start");
    assert_eq!(text.matches("\"two\"").count(), 1, "a value is written once");
}

#[cfg(unix)]
#[test]
fn the_data_file_is_private_even_if_it_was_not() {
    use std::os::unix::fs::PermissionsExt;
    let folder = Folder::new("private");
    std::fs::write(folder.data(), "").unwrap();
    std::fs::set_permissions(folder.data(), std::fs::Permissions::from_mode(0o644)).unwrap();
    drop(Running::start(keeping(&folder.data())));
    assert_eq!(std::fs::metadata(folder.data()).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_torn_last_line_is_dropped_and_damage_elsewhere_is_refused() {
    let folder = Folder::new("torn");
    let server = Running::start(keeping(&folder.data()));
    server.create("db", "one");
    server.put("db", "two");
    drop(server);
    let whole = std::fs::read(folder.data()).unwrap();
    let lines: Vec<usize> = (0..whole.len()).filter(|i| whole[*i] == b'\n').map(|i| i + 1).collect();
    let near_an_end = |cut: &usize| lines.iter().any(|end| cut.abs_diff(*end) < 2);
    for cut in (0..=whole.len()).filter(|cut| near_an_end(cut) || cut % 50 == 0) {
        std::fs::write(folder.data(), &whole[..cut]).unwrap();
        let value = Running::start(keeping(&folder.data())).get("db");
        let expected = match lines.iter().filter(|end| **end <= cut).count() {
            3 => json!("two"),
            2 => json!("one"),
            _ => Value::Null,
        };
        assert_eq!(value, expected, "cut at {cut} of {lines:?}");
    }
    let mut damaged = whole.clone();
    damaged[whole.iter().position(|b| *b == b'\n').unwrap() + 5] = b'!';
    std::fs::write(folder.data(), &damaged).unwrap();
    let error = Running::try_start(keeping(&folder.data())).err().unwrap().to_string();
    assert!(error.contains("line 2 is not a record") && error.contains("data.jsonl"), "{error}");
    assert_eq!(std::fs::read(folder.data()).unwrap(), damaged, "the file is unchanged");
    std::fs::write(folder.data(), "something else entirely").unwrap();
    assert!(Running::try_start(keeping(&folder.data())).is_err());
}

#[test]
fn a_data_file_serves_one_server() {
    let folder = Folder::new("one");
    let server = Running::start(keeping(&folder.data()));
    server.create("db", "one");
    let error = Running::try_start(keeping(&folder.data())).err().unwrap().to_string();
    assert!(error.contains("in use by another process"), "{error}");
    server.put("db", "two");
    drop(server);
    assert_eq!(Running::start(keeping(&folder.data())).get("db"), "two");
}

#[test]
fn a_data_file_that_cannot_be_made_is_reported() {
    let error = Running::try_start(keeping(Path::new("/nonexistent/folder/file"))).err().unwrap().to_string();
    assert!(error.contains("/nonexistent/folder/file"), "{error}");
}

#[test]
fn the_handle_reports_what_happens_to_rotations() {
    let server = Running::start(Options::default());
    // An address reserved for documentation, so it is not on this machine.
    server.create("db", r#"{"host":"192.0.2.7","username":"app","password":"canary"}"#);
    let function =
        "arn:aws:lambda:us-east-1:111122223333:function:SecretsManagerRDSPostgreSQLRotationSingleUser";
    let token = "11111111-1111-4111-8111-111111111111";
    let rotate = json!({"SecretId": "db", "RotationLambdaARN": function, "ClientRequestToken": token});
    assert_eq!(server.call("RotateSecret", rotate).0, 200);
    let reported = async {
        while server.handle.events().len() < 2 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    server.runtime.block_on(async { tokio::time::timeout(Duration::from_secs(30), reported).await }).unwrap();
    let events = server.handle.events();
    assert_eq!([events[0].event, events[1].event], [EventName::RotationStarted, EventName::RotationFailed]);
    assert_eq!(events[1].version_id, token);
    let text = format!("{} {:?}", events[1], events[1]);
    assert!(text.contains("--allow-host 192.0.2.7") && !text.contains("canary"), "{text}");
}
