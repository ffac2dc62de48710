//! R13: fields that contain the password (a connection URL, a header, a copy) are updated with it and tested.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secretcache::{AWSCURRENT, AWSPENDING};
use secretcache_rotation::targets::{MySql, Postgres, Redis, Tls};
use secretcache_rotation::*;

use crate::support::{Address, Kind, ServerTls, Store, run, secret, start};

/// Returns the user and the password of a URL whose password is percent-encoded.
fn of_url(url: &str) -> (String, String) {
    let (who, _) = url.split_once("://").unwrap().1.split_once('@').unwrap();
    let (user, code) = who.split_once(':').unwrap();
    let (mut password, mut rest) = (String::new(), code);
    while let Some(c) = rest.chars().next() {
        if c == '%' {
            password.push(char::from(u8::from_str_radix(&rest[1..3], 16).unwrap()));
            rest = &rest[3..];
        } else {
            password.push(c);
            rest = &rest[1..];
        }
    }
    (user.to_owned(), password)
}

async fn every_field_logs_in(target: &dyn Target, value: &Document) {
    let basic = STANDARD.decode(value.field("basic").unwrap().as_bytes()).unwrap();
    let basic = String::from_utf8(basic).unwrap();
    let (user, password) = basic.split_once(':').unwrap();
    let copy = (value.username().unwrap().to_string(), value.field("APP_PASSWORD").unwrap().to_string());
    let all = [of_url(&value.field("url").unwrap()), (user.to_owned(), password.to_owned()), copy];
    for (user, password) in all {
        let login = value.with("username", &user).unwrap().with("password", &password).unwrap();
        assert_eq!(target.probe(&login).await.unwrap(), Probe::Accepted, "{user}");
    }
}

fn dependent(address: &Address, user: &str, scheme: &str, more: &str) -> Document {
    let basic = STANDARD.encode(format!("{user}:first"));
    let more = format!(
        r#","url":"{scheme}://{user}:first@127.0.0.1/x?a=b","basic":"{basic}","APP_PASSWORD":"first"{more}"#
    );
    secret(address, user, "first", &more)
}

#[tokio::test]
async fn r13_every_field_made_of_the_credential_follows_and_is_proven() {
    let postgres = start(Kind::Postgres16, ServerTls::Off);
    let maria = start(Kind::MariaDb, ServerTls::Off);
    let redis = start(Kind::Redis, ServerTls::Off);
    run(&postgres.address, Kind::Postgres16, "CREATE ROLE app LOGIN PASSWORD 'first'").await;
    run(&maria.address, Kind::MariaDb, "CREATE USER app@'%' IDENTIFIED BY 'first'").await;
    run(&redis.address, Kind::Redis, "ACL SETUSER app on >first ~* +@all").await;
    let admin = |address: &Address| secret(address, address.user, &address.password, "");
    let master = r#","masterarn":"master""#;
    let (at_postgres, at_maria, at_redis) =
        (Postgres::new(Tls::off()), MySql::new(Tls::off()), Redis::new(Tls::off()));
    let cases: [(&dyn Target, &dyn Strategy, &Address, &str); 3] = [
        (&at_postgres, &AlternatingUsers { target: &at_postgres }, &postgres.address, "postgres"),
        (&at_maria, &DualPassword { target: &at_maria }, &maria.address, "mysql"),
        (&at_redis, &SingleUser { target: &at_redis }, &redis.address, "rediss"),
    ];
    for (target, strategy, address, scheme) in cases {
        let store = Store::new(dependent(address, "app", scheme, master), Some(admin(address)));
        for _ in 0..2 {
            store.rotate(strategy, &Settings::default()).await.unwrap();
            every_field_logs_in(target, &store.value(AWSCURRENT).unwrap()).await;
        }
    }
}

#[tokio::test]
async fn r13_a_new_version_with_a_stale_field_is_refused_and_the_current_one_works() {
    let database = start(Kind::Postgres16, ServerTls::Off);
    let target = Postgres::new(Tls::off());
    let strategy = SingleUser { target: &target };
    // The database has the new password already if another function set it.
    for is_set in [false, true] {
        let user = if is_set { "set" } else { "unset" };
        run(&database.address, Kind::Postgres16, &format!("CREATE ROLE {user} LOGIN PASSWORD 'first'")).await;
        let first = dependent(&database.address, user, "postgres", "");
        let store = Store::new(first.clone(), None);
        let token = derive_token("arn", "first", 0);
        // Like AWS's functions, which change the password and no other field.
        let stale = first.with("password", "second").unwrap();
        let pending = Pending { secret_id: "s", token: &token, document: &stale, rotation_token: None };
        store.put_pending(pending).await.unwrap();
        if is_set {
            run(&database.address, Kind::Postgres16, &format!("ALTER ROLE {user} PASSWORD 'second'")).await;
        }
        let step = if is_set { Step::TestSecret } else { Step::SetSecret };
        let error = store.steps(&strategy, &Settings::default(), &[step]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Rejected, "{error}");
        assert!(error.message().contains("\"url\""), "{error}");
        assert!(store.value(AWSPENDING).is_none());
        assert_eq!(target.probe(&first).await.unwrap(), Probe::Accepted);
        assert_eq!(target.probe(&stale).await.unwrap(), Probe::Refused);
    }
}
