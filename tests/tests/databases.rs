//! The database servers that other tests rely on: they start, refuse wrong passwords, and stop when they should.

use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use secretcache_tests::databases::{Database, Kind, Tls};

/// `Database::start` itself checks that the server accepts its password and refuses another.
fn starts_and_stops(kind: Kind, tls: Tls) {
    let database = Database::start(kind, tls).unwrap_or_else(|problem| panic!("{problem}"));
    let port = database.address.port;
    assert!(accepts(port));
    assert_eq!(database.address.ca_file.is_some(), tls == Tls::On);
    drop(database);
    assert!(!accepts(port), "the server outlived its fixture");
}

/// Checks whether the port accepts connections.
fn accepts(port: u16) -> bool {
    TcpStream::connect(("127.0.0.1", port)).is_ok()
}

#[test]
fn postgres_15_refuses_a_wrong_password() {
    starts_and_stops(Kind::Postgres15, Tls::Off);
}

#[test]
fn postgres_16_refuses_a_wrong_password() {
    starts_and_stops(Kind::Postgres16, Tls::Off);
}

#[test]
fn postgres_18_refuses_a_wrong_password() {
    starts_and_stops(Kind::Postgres18, Tls::Off);
}

#[test]
fn mariadb_refuses_a_wrong_password() {
    starts_and_stops(Kind::MariaDb, Tls::Off);
}

#[test]
fn mysql_refuses_a_wrong_password() {
    starts_and_stops(Kind::MySql, Tls::Off);
}

#[test]
fn redis_refuses_a_wrong_password() {
    starts_and_stops(Kind::Redis, Tls::Off);
}

#[test]
fn openldap_refuses_a_wrong_password() {
    starts_and_stops(Kind::Ldap, Tls::Off);
}

#[test]
fn debians_servers_speak_tls_with_an_authority_of_its_own() {
    for kind in [Kind::Postgres15, Kind::MariaDb, Kind::MySql, Kind::Redis, Kind::Ldap] {
        starts_and_stops(kind, Tls::On);
    }
    for kind in [Kind::Postgres16, Kind::Postgres18] {
        let problem = Database::start(kind, Tls::On).unwrap_err();
        assert!(problem.contains("without TLS"), "{problem}");
    }
}

#[test]
fn a_test_that_panics_leaves_no_server_behind() {
    let panicked = thread::scope(|scope| {
        scope
            .spawn(|| {
                let database = Database::start(Kind::Redis, Tls::Off).unwrap();
                std::panic::resume_unwind(Box::new(database.address.port));
            })
            .join()
    });
    assert!(!accepts(*panicked.unwrap_err().downcast::<u16>().unwrap()));
}

#[test]
fn a_server_outlives_the_thread_that_started_it_but_not_the_process() {
    let database = thread::scope(|scope| {
        scope.spawn(|| Database::start(Kind::Redis, Tls::Off).unwrap()).join().unwrap()
    });
    assert!(accepts(database.address.port));

    let (mut program, port) = start_program();
    program.kill().unwrap();
    program.wait().unwrap();
    let is_gone = (0..600).any(|_| {
        thread::park_timeout(Duration::from_millis(100));
        !accepts(port)
    });
    assert!(is_gone, "the server outlived the process that started it");
    // A killed process cannot clean up.
    let folder = std::env::temp_dir().join(format!("secretcache-redis-{}-0", program.id()));
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn the_program_stops_its_server_when_its_input_ends() {
    let (mut program, port) = start_program();
    assert!(accepts(port));
    drop(program.stdin.take());
    assert!(program.wait().unwrap().success());
    assert!(!accepts(port));
}

fn start_program() -> (std::process::Child, u16) {
    let mut program = Command::new(env!("CARGO_BIN_EXE_secretcache-databases"))
        .arg("redis")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(program.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let address: serde_json::Value = serde_json::from_str(&line).unwrap();
    let port = address["port"].as_u64().and_then(|port| u16::try_from(port).ok()).unwrap();
    (program, port)
}
