//! Rotations on a real Redis.

use crate::redis_kept::Server;
use crate::support::{Kind, ServerTls, Store, secret, start, trust};
use secretcache::{AWSCURRENT, AWSPENDING, AWSPREVIOUS};
use secretcache_rotation::targets::{Redis, Tls};
use secretcache_rotation::*;

#[tokio::test]
async fn two_passwords_leave_no_window() {
    let database = start(Kind::Redis, ServerTls::Off);
    let first = secret(&database.address, database.address.user, &database.address.password, "");
    let store = Store::new(first.clone(), None);
    let target = Redis::new(Tls::off());
    let strategy = DualPassword { target: &target };
    for _ in 0..3 {
        store
            .steps(&strategy, &Settings::default(), &[Step::CreateSecret, Step::SetSecret, Step::SetSecret])
            .await
            .unwrap();
        for label in [AWSCURRENT, AWSPENDING] {
            assert_eq!(target.probe(&store.value(label).unwrap()).await.unwrap(), Probe::Accepted, "{label}");
        }
        store.rotate(&strategy, &Settings::default()).await.unwrap();
        let previous = store.value(AWSPREVIOUS).unwrap();
        assert_eq!(target.probe(&previous).await.unwrap(), Probe::Accepted);
    }
    assert_eq!(target.probe(&first).await.unwrap(), Probe::Refused);
}

#[tokio::test]
async fn a_single_user_gets_a_new_password_and_loses_the_old() {
    let database = start(Kind::Redis, ServerTls::Off);
    let first = secret(&database.address, database.address.user, &database.address.password, "");
    let store = Store::new(first.clone(), None);
    let target = Redis::new(Tls::off());
    store.rotate(&SingleUser { target: &target }, &Settings::default()).await.unwrap();
    assert_eq!(target.probe(&store.value(AWSCURRENT).unwrap()).await.unwrap(), Probe::Accepted);
    assert_eq!(target.probe(&first).await.unwrap(), Probe::Refused);
}

#[tokio::test]
async fn users_of_redis_cannot_alternate() {
    let database = start(Kind::Redis, ServerTls::Off);
    let more = r#","masterarn":"master""#;
    let first = secret(&database.address, database.address.user, &database.address.password, more);
    let store = Store::new(first.clone(), Some(first));
    let target = Redis::new(Tls::off());
    let error = store.rotate(&AlternatingUsers { target: &target }, &Settings::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(store.value(AWSPENDING).is_none());
}

#[tokio::test]
async fn a_server_that_cannot_be_verified_gets_no_password() {
    let database = start(Kind::Redis, ServerTls::On);
    let admin = secret(&database.address, database.address.user, &database.address.password, "");
    let verified = Redis::new(trust(&database.address));
    assert_eq!(verified.probe(&admin).await.unwrap(), Probe::Accepted);
    assert_eq!(verified.probe(&admin.with("password", "wrong").unwrap()).await.unwrap(), Probe::Refused);
    let another = rcgen::generate_simple_self_signed(["elsewhere".to_owned()]).unwrap().cert.pem();
    let unverified = Redis::new(Tls::with_authorities(&another).unwrap());
    assert_eq!(unverified.probe(&admin).await.unwrap_err().kind(), ErrorKind::Untrusted);
}

/// Someone who can write the secret names a user whom the server lets in with any password, and plants a version, so that
/// nothing is checked before one is stored.
#[tokio::test]
async fn a_user_who_needs_no_password_is_not_the_secrets_own() {
    let usual = ["requirepass rootpw", "user victim on nopass ~* &* +@all"];
    for rights in ["+@all", "+@all -acl +acl|setuser +acl|save"] {
        let keeper = format!("user keeper on >keeperpw ~* &* {rights}");
        let server = Server::start("open", &[&usual[..], &[&keeper]].concat(), &[]).await;
        let before = server.say(&["ACL", "LIST"]);
        let target = Redis::new(Tls::off());
        let chosen = server.secret("victim", "chosen");
        for current in [chosen.with("masterarn", "master").unwrap(), chosen] {
            let store = || Store::new(current.clone(), Some(server.secret("keeper", "keeperpw")));
            let document = current.with("password", "another").unwrap();
            let settings = Settings::default();
            for strategy in
                [&SingleUser { target: &target } as &dyn Strategy, &DualPassword { target: &target }]
            {
                let (rotated, planted) = (store(), store());
                let pending =
                    Pending { secret_id: "s", token: "planted", document: &document, rotation_token: None };
                planted.put_pending(pending).await.unwrap();
                for attempt in
                    [rotated.rotate(strategy, &settings).await, planted.resume(strategy, &settings).await]
                {
                    let error = attempt.unwrap_err();
                    assert!(error.message().contains("needs no password"), "{rights}: {error}");
                    assert!(!error.kind().is_worth_retrying(), "{rights}: {error:?}");
                }
                drop(planted.runner(strategy, &settings).revert("s").await);
            }
            assert_eq!(server.say(&["ACL", "LIST"]), before, "{rights}");
        }
    }
}
