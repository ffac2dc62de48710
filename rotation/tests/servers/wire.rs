//! What a server, and anyone on the network path to it, can see.

use std::sync::{Arc, Mutex};

use secretcache::AWSCURRENT;
use secretcache_rotation::targets::{MySql, Postgres, Tls};
use secretcache_rotation::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::support::{Address, Kind, ServerTls, Store, secret, start, trust};

/// Everything that clients sent.
pub(crate) type Seen = Arc<Mutex<Vec<u8>>>;

/// Starts a proxy that records what clients send. Returns the server's address through the proxy, and the record.
pub(crate) async fn overheard(address: &Address) -> (Address, Seen) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (seen, server) = (Seen::default(), address.port);
    let through = Address { port: listener.local_addr().unwrap().port(), ..address.clone() };
    let note = Arc::clone(&seen);
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let note = Arc::clone(&note);
            tokio::spawn(async move {
                let upstream = TcpStream::connect(("127.0.0.1", server)).await.unwrap();
                let (mut from_client, mut to_client) = client.into_split();
                let (mut from_server, mut to_server) = upstream.into_split();
                tokio::spawn(async move { tokio::io::copy(&mut from_server, &mut to_client).await });
                let mut bytes = [0; 4096];
                while let Ok(read @ 1..) = from_client.read(&mut bytes).await {
                    note.lock().unwrap().extend_from_slice(&bytes[..read]);
                    if to_server.write_all(&bytes[..read]).await.is_err() {
                        break;
                    }
                }
            });
        }
    });
    (through, seen)
}

pub(crate) fn contains(seen: &Seen, text: &str) -> bool {
    seen.lock().unwrap().windows(text.len()).any(|window| window == text.as_bytes())
}

/// Rotates the administrator's own password without TLS. Returns what was sent, and the new password.
async fn rotate_in_the_clear(kind: Kind, target: &dyn Target) -> (Seen, String) {
    let database = start(kind, ServerTls::Off);
    let (through, seen) = overheard(&database.address).await;
    let store = Store::new(secret(&through, through.user, &through.password, ""), None);
    store.rotate(&SingleUser { target }, &Settings::default()).await.unwrap();
    let password = store.value(AWSCURRENT).unwrap().password().unwrap().to_string();
    assert!(!contains(&seen, &through.password), "the old password was sent");
    (seen, password)
}

#[tokio::test]
async fn postgres_never_sees_the_password_it_is_given() {
    let (seen, password) = rotate_in_the_clear(Kind::Postgres15, &Postgres::new(Tls::off())).await;
    assert!(contains(&seen, "PASSWORD 'SCRAM-SHA-256$"), "the proxy sees statements");
    assert!(!contains(&seen, &password));
}

#[tokio::test]
async fn mariadb_never_sees_the_password_it_is_given() {
    let (seen, password) = rotate_in_the_clear(Kind::MariaDb, &MySql::new(Tls::off())).await;
    assert!(contains(&seen, "SET PASSWORD = '*"), "the proxy sees statements");
    assert!(!contains(&seen, &password));
}

/// AWS's functions try TLS and, after any failure, log in again without it.
#[tokio::test]
async fn nothing_is_said_to_a_server_without_tls() {
    for (kind, is_postgres) in [(Kind::Postgres15, true), (Kind::MariaDb, false)] {
        let tls = trust(&start(Kind::Postgres15, ServerTls::On).address);
        let plain = start(kind, ServerTls::Off);
        let (through, seen) = overheard(&plain.address).await;
        let credential = secret(&through, through.user, &through.password, "");
        let (postgres, mysql) = (Postgres::new(tls.clone()), MySql::new(tls));
        let target: &dyn Target = if is_postgres { &postgres } else { &mysql };
        assert_eq!(target.probe(&credential).await.unwrap_err().kind(), ErrorKind::Unencrypted);
        assert!(!contains(&seen, through.user), "{kind:?} saw the user");
    }
}

/// The same if the server's certificate comes from an untrusted authority. AWS's functions then continue without TLS.
#[tokio::test]
async fn nothing_is_said_to_a_server_that_cannot_be_verified() {
    for (kind, is_postgres) in [(Kind::Postgres15, true), (Kind::MariaDb, false)] {
        let database = start(kind, ServerTls::On);
        let (through, seen) = overheard(&database.address).await;
        let credential = secret(&through, through.user, &through.password, "");
        let another = rcgen::generate_simple_self_signed(["elsewhere".to_owned()]).unwrap().cert.pem();
        let tls = Tls::with_authorities(&another).unwrap();
        let (postgres, mysql) = (Postgres::new(tls.clone()), MySql::new(tls));
        let target: &dyn Target = if is_postgres { &postgres } else { &mysql };
        let store = Store::new(credential, None);
        let error = store.rotate(&SingleUser { target }, &Settings::default()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Untrusted);
        assert!(!seen.lock().unwrap().is_empty(), "the proxy sees attempts");
        assert!(!contains(&seen, through.user), "{kind:?} saw the user");
    }
}

/// After a refused login over verified TLS, there is no second attempt without TLS. AWS's functions make one after any
/// failure.
#[tokio::test]
async fn a_refused_login_is_not_tried_again_without_tls() {
    for (kind, is_postgres) in [(Kind::Postgres15, true), (Kind::MariaDb, false)] {
        let database = start(kind, ServerTls::On);
        let (through, seen) = overheard(&database.address).await;
        let credential = secret(&through, through.user, "wrong", "");
        let tls = trust(&database.address);
        let (postgres, mysql) = (Postgres::new(tls.clone()), MySql::new(tls));
        let target: &dyn Target = if is_postgres { &postgres } else { &mysql };
        assert_eq!(target.probe(&credential).await.unwrap(), Probe::Refused);
        assert!(!seen.lock().unwrap().is_empty(), "the proxy sees the attempt");
        assert!(!contains(&seen, through.user), "{kind:?} saw the user in the clear");
    }
}
