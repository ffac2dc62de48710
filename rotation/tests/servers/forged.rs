//! Somebody between a rotation and its server, or in the server's place, who answers as they please.

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use secretcache::AWSPENDING;
use secretcache_rotation::operate::Backend;
use secretcache_rotation::targets::{Postgres, Tls};
use secretcache_rotation::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_postgres::Client;

use crate::support::{Address, Kind, ServerTls, Store, secret, start, trust};

/// What a forger answers to a query.
#[derive(Clone, Copy)]
enum Rows {
    /// One row with the text `t`: what a rotation expects when it takes its lock.
    Expected,
    /// One row without any column.
    WithoutColumns,
    /// One row whose only column is null.
    Null,
}

/// Listens in a PostgreSQL server's place: asks everybody who does not use TLS for a password, and accepts any, or only
/// one. Whoever asks for TLS is passed on to the server behind it, if there is one.
async fn forger(behind: Option<u16>, accepts: Option<&'static str>, rows: Rows) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut first = [0; 8];
                client.peek(&mut first).await.unwrap();
                // The code of SSLRequest.
                if first[4..] == [4, 210, 22, 47] {
                    let mut server = TcpStream::connect(("127.0.0.1", behind.unwrap())).await.unwrap();
                    drop(tokio::io::copy_bidirectional(&mut client, &mut server).await);
                } else {
                    answer(client, accepts, rows).await;
                }
            });
        }
    });
    port
}

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap().to_be_bytes();
    [&[kind], &length[..], body].concat()
}

/// Plays the server in one session. The messages are described in "Message Formats" of PostgreSQL's manual.
async fn answer(mut client: TcpStream, accepts: Option<&str>, rows: Rows) {
    let text_column =
        [&b"\0\x01t\0\0\0\0\0\0\0"[..], &25u32.to_be_bytes(), b"\xff\xff\xff\xff\xff\xff\0\0"].concat();
    let (columns, row): (&[u8], &[u8]) = match rows {
        Rows::Expected => (&text_column, b"\0\x01\0\0\0\x01t"),
        Rows::WithoutColumns => (b"\0\0", b"\0\0"),
        Rows::Null => (&text_column, b"\0\x01\xff\xff\xff\xff"),
    };
    let table = [message(b'T', columns), message(b'D', row), message(b'C', b"SELECT 1\0")].concat();
    let ready = message(b'Z', b"T");
    let mut is_startup = true;
    loop {
        let kind = if is_startup { b'S' } else { client.read_u8().await.unwrap_or(b'X') };
        let Ok(length) = client.read_u32().await else { return };
        let mut body = vec![0; usize::try_from(length).unwrap() - 4];
        client.read_exact(&mut body).await.unwrap();
        let said = match kind {
            b'S' if is_startup => message(b'R', &[0, 0, 0, 3]),
            b'p' if accepts.is_some_and(|password| body != [password.as_bytes(), b"\0"].concat()) => {
                message(b'E', b"SFATAL\0VFATAL\0C28P01\0Mpassword authentication failed\0\0")
            }
            b'p' => [message(b'R', &[0; 4]), message(b'K', &[0; 8]), message(b'Z', b"I")].concat(),
            b'Q' => [&table[..], &ready].concat(),
            b'P' => message(b'1', b""),
            b'B' => message(b'2', b""),
            b'D' => [message(b't', b"\0\0"), message(b'T', columns)].concat(),
            b'E' => [message(b'D', row), message(b'C', b"SELECT 1\0")].concat(),
            b'S' => ready.clone(),
            _ => return,
        };
        is_startup = false;
        if client.write_all(&said).await.is_err() {
            return;
        }
    }
}

/// Returns what the server stores of everybody's password.
async fn passwords(root: &Client) -> String {
    let stored =
        "SELECT string_agg((rolname, rolsuper, rolpassword)::text, ',' ORDER BY rolname) FROM pg_authid";
    root.query_one(stored, &[]).await.unwrap().get(0)
}

/// The application's secret names another user, and turns TLS off, so that somebody on the network can accept its login.
/// The administrator, who uses TLS, must not act on such a proof.
#[tokio::test]
async fn a_login_that_anybody_on_the_network_could_accept_proves_nothing_to_an_administrator() {
    let database = start(Kind::Postgres15, ServerTls::On);
    let root = over_tls(&database.address).await;
    let users =
        "CREATE ROLE app LOGIN PASSWORD 'first'; CREATE ROLE victim SUPERUSER LOGIN PASSWORD 'theirs'";
    root.batch_execute(users).await.unwrap();
    let on_path = forger(Some(database.address.port), None, Rows::Expected).await;
    let through = Address { port: on_path, ..database.address.clone() };
    let master = secret(&through, through.user, &through.password, "");
    let target = Postgres::new(trust(&database.address));
    let before = passwords(&root).await;
    for strategy in [StrategyName::SingleUser, StrategyName::AlternatingUsers] {
        let strategy = Backend::Target(&target).strategy(strategy);
        let chosen = secret(&through, "victim", "chosen", r#","masterarn":"master","ssl":false"#);
        assert_eq!(target.probe(&chosen).await.unwrap(), Probe::Accepted, "the forger is asked");
        let store = Store::new(chosen.clone(), Some(master.clone()));
        let error = store.rotate(strategy.as_ref(), &Settings::default()).await.err();
        assert!(passwords(&root).await == before, "{strategy:?}: a user was changed");
        let error = error.expect("a rotation that nothing was proven for");
        assert_eq!(error.kind(), ErrorKind::Misconfigured, "{error:?}");
        assert!(error.message().contains("with TLS"), "{error}");
        assert!(store.value(AWSPENDING).is_none(), "{strategy:?}");

        // The same in later steps, for a value that was planted in AWSPENDING.
        let second = chosen.with("username", "victim_clone").unwrap();
        for planted in [&chosen.with("password", "other").unwrap(), &second] {
            let store = Store::new(chosen.clone(), Some(master.clone()));
            let pending =
                Pending { secret_id: "s", token: "planted", document: planted, rotation_token: None };
            store.put_pending(pending).await.unwrap();
            store.resume(strategy.as_ref(), &Settings::default()).await.unwrap_err();
            drop(store.runner(strategy.as_ref(), &Settings::default()).revert("s").await);
            assert!(passwords(&root).await == before, "{strategy:?}: a user was changed");
        }
    }
    let app = secret(&through, "app", "first", r#","masterarn":"master""#);
    for ssl in ["", r#","ssl":false"#] {
        let chosen = secret(&through, "victim", "chosen", r#","masterarn":"master","ssl":false"#);
        let store = Store::new(chosen, Some(master.clone()));
        store.store_by_hand(secret(&through, "app", "first", &format!(r#","masterarn":"master"{ssl}"#)));
        let strategy = AlternatingUsers { target: &target };
        let error = store.rotate(&strategy, &Settings::default()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotOurs, "{error:?}");
        assert!(passwords(&root).await == before, "a user was changed");
    }

    // Neither the current nor the new password logs in, only one that was current once. That is when a rotation that is
    // taken back asks the administrator.
    let on_path = forger(Some(database.address.port), Some("older"), Rows::Expected).await;
    let there = Address { port: on_path, ..database.address.clone() };
    let chosen = secret(&there, "victim", "chosen", r#","masterarn":"master","ssl":false"#);
    let store = Store::new(
        chosen.with("password", "older").unwrap(),
        Some(secret(&there, there.user, &there.password, "")),
    );
    store.store_by_hand(chosen.clone());
    let planted = chosen.with("password", "other").unwrap();
    let pending = Pending { secret_id: "s", token: "planted", document: &planted, rotation_token: None };
    store.put_pending(pending).await.unwrap();
    let strategy = SingleUser { target: &target };
    let error = store.runner(&strategy, &Settings::default()).revert("s").await.unwrap_err();
    assert!(passwords(&root).await == before, "a user was changed");
    assert_eq!(error.kind(), ErrorKind::Misconfigured, "{error:?}");

    // A login that works with TLS is a proof, although the secret asks for none.
    let store = Store::new(app.with("ssl", "false").unwrap(), Some(master));
    for strategy in [StrategyName::SingleUser, StrategyName::AlternatingUsers] {
        let strategy = Backend::Target(&target).strategy(strategy);
        store.rotate(strategy.as_ref(), &Settings::default()).await.unwrap();
    }
}

async fn over_tls(address: &Address) -> Client {
    let file = address.ca_file.as_ref().unwrap();
    let mut roots = rustls::RootCertStore::empty();
    let certificates = std::fs::read(file).unwrap();
    for certificate in CertificateDer::pem_slice_iter(&certificates) {
        roots.add(certificate.unwrap()).unwrap();
    }
    let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let mut login = tokio_postgres::Config::new();
    login.host(&address.host).port(address.port).user(address.user).password(&address.password);
    login.dbname("postgres");
    let tls = tokio_postgres_rustls::MakeRustlsConnect::new(config);
    let (client, connection) = login.connect(tls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// What a server answers decides about the rotation of its own secret only.
#[tokio::test]
async fn a_server_that_sends_other_columns_than_postgresql_is_an_error_and_no_panic() {
    for rows in [Rows::WithoutColumns, Rows::Null] {
        let port = forger(None, None, rows).await;
        let server = Address {
            kind: "postgres-15",
            host: "127.0.0.1".into(),
            port,
            user: "app",
            password: "first".into(),
            database: None,
            ca_file: None,
        };
        let (app, other) = (secret(&server, "app", "first", ""), secret(&server, "app_clone", "second", ""));
        let admin = secret(&server, "postgres", "admin", "");
        let target = Postgres::new(Tls::off());
        let accounts = target.accounts().unwrap();
        assert_eq!(target.probe(&app).await.unwrap(), Probe::Accepted);
        let with_other = Requirements { other: Some(&other), ..Requirements::new(&admin, &app) };
        let change = Change { login: &admin, credential: &other, keep: None };
        let errors = [
            target.diagnose(Requirements::new(&app, &app)).await.err(),
            target.diagnose(with_other).await.err(),
            target.apply(change).await.err(),
            accounts.reconcile(&admin, &app, &other, "mark").await.err(),
            accounts.missing(&admin, &app, &other).await.err(),
            accounts.unshared_objects(&admin, &app, &other).await.err(),
            accounts.share_ownership(&admin, &app, &other).await.err(),
            accounts.depends_on_name(&admin, &app, &other).await.err(),
        ];
        for (place, error) in errors.into_iter().enumerate() {
            let error = error.unwrap_or_else(|| panic!("{place}: it was understood"));
            assert_eq!(error.kind(), ErrorKind::Unsupported, "{place}: {error:?}");
            assert!(error.message().contains("other columns"), "{place}: {error}");
        }
        let none = matches!(rows, Rows::Null);
        assert_eq!(
            accounts.user_status(&admin, &other, "mark").await.is_ok(),
            none,
            "null is an answer here"
        );
        assert_eq!(matches!(target.lock(&app, "s").await, Ok(Lock::Held(_))), none, "waited for");
    }
}
