//! What servers say whose users' passwords rotate: databases, caches, directories.

use std::net::SocketAddr;
use std::sync::LazyLock;

use secretcache_rotation::targets::{Ldap, MySql, Postgres, Redis, Statements, Tls};
use secretcache_rotation::{Change, Document, Error, Lock, Requirements, Target};

use super::script::{First, Here, Script};

/// PostgreSQL, and poolers before it.
pub(super) fn postgres(bytes: &[u8]) {
    talk(bytes, First::Client, "app", |wanted, tls, address| match wanted.contains("statements") {
        true => Box::new(statements("postgres", tls).via(Here::route(address))),
        false => Box::new(Postgres::new(tls).via(Here::route(address))),
    });
}

/// MySQL and MariaDB.
pub(super) fn mysql(bytes: &[u8]) {
    talk(bytes, First::Server, "app", |wanted, tls, address| match wanted.contains("statements") {
        true => Box::new(statements("mysql", tls).via(Here::route(address))),
        false => Box::new(MySql::new(tls).via(Here::route(address))),
    });
}

/// Redis and Valkey.
pub(super) fn redis(bytes: &[u8]) {
    talk(bytes, First::Client, "app", |_, tls, address| Box::new(Redis::new(tls).via(Here::route(address))));
}

/// LDAP directories.
pub(super) fn ldap(bytes: &[u8]) {
    let user = |wanted: &str| if wanted.contains("by name") { "app@example.com" } else { DN };
    let wanted = Script::of(bytes).wanted;
    talk(bytes, First::Client, user(&wanted), |wanted, tls, address| {
        let new = if wanted.contains("active directory") { Ldap::active_directory } else { Ldap::new };
        Box::new(new(tls).via(Here::route(address)))
    });
}

const DN: &str = "cn=app,dc=example,dc=com";

/// An operator's statements, which ask the server the least.
fn statements(protocol: &str, tls: Tls) -> Statements {
    let description = format!(
        r#"
        protocol = "{protocol}"
        apply = ["ALTER USER {{username:identifier}} PASSWORD {{password:literal}}"]
        probe = ["SELECT 1"]

        [accounts]
        exists = "SELECT 1 FROM users WHERE name = {{username:literal}}"
        is_ours = "SELECT 1 FROM users WHERE name = {{username:literal}} AND mark = {{mark:literal}}"
        create = ["CREATE USER {{username:identifier}}"]
        reconcile = ["GRANT readers TO {{username:identifier}}"]
        missing = "SELECT name FROM rights WHERE user = {{reference.username:literal}}"
        "#
    );
    Statements::from_toml(&description, tls).expect("a description")
}

/// The credentials of a rotation.
pub(super) struct Users {
    admin: Document,
    app: Document,
    /// The same user with its next password.
    next: Document,
    /// The second of two users that take turns.
    second: Document,
}

/// Part of every password.
pub(super) const CANARY: &str = "canary";

impl Users {
    pub(super) fn new(user: &str) -> Self {
        let of = |user: &str, password: &str| {
            let secret = format!(
                r#"{{"host":"db.example.com","username":"{user}","password":"{CANARY}-{password}",
                    "replicas":"10.0.0.7:6379","starttls":"true"}}"#
            );
            Document::parse(&secret).expect("a secret")
        };
        Self {
            admin: of(&user.replacen("app", "admin", 1), "0"),
            app: of(user, "1"),
            next: of(user, "2"),
            second: of(&user.replacen("app", "app_clone", 1), "3"),
        }
    }
}

/// Plays a script to a target.
fn talk(
    bytes: &[u8],
    first: First,
    user: &str,
    target: impl FnOnce(&str, Tls, SocketAddr) -> Box<dyn Target>,
) {
    static TRUST: LazyLock<Tls> = LazyLock::new(|| {
        let authority = rcgen::generate_simple_self_signed(["db.example.com".to_owned()]);
        Tls::with_authorities(&authority.expect("a certificate").cert.pem()).expect("an authority")
    });
    let users = Users::new(user);
    Script::of(bytes).play(first, async move |address, wanted| {
        let tls = if wanted.contains("over TLS") { TRUST.clone() } else { Tls::off() };
        let target = target(&wanted, tls, address);
        if let Err(error) = use_target(&*target, &users, &wanted).await {
            check(bytes, &error);
        }
    });
}

/// Checks that an error shows no password, unless the server said it, and that nothing hangs: the server always speaks
/// or hangs up.
pub(super) fn check(said: &[u8], error: &Error) {
    let shown = format!("{error:?} {}", error.in_full());
    let is_said = said.windows(CANARY.len()).any(|part| part == CANARY.as_bytes());
    assert!(is_said || !shown.contains(CANARY), "an error shows a password");
    assert!(!shown.contains("took longer than"), "a wait that nothing ends: {shown}");
}

/// Does what a script wants.
pub(super) async fn use_target(target: &dyn Target, users: &Users, wanted: &str) -> Result<(), Error> {
    let Users { admin, app, next, second } = users;
    let change = Change { login: app, credential: next, keep: None };
    let (what, _) = wanted.split_once(',').unwrap_or((wanted, ""));
    if let Some(accounts) = target.accounts() {
        let mark = "secretcache:prod/db";
        match what {
            "status" => return accounts.user_status(admin, second, mark).await.map(drop),
            "ensure" => return accounts.ensure(admin, app, second, mark).await,
            "reconcile" => return accounts.reconcile(admin, app, second, mark).await,
            "mark" => return accounts.mark(admin, second, mark).await,
            "unshared" => return accounts.unshared_objects(admin, app, second).await.map(drop),
            "share" => return accounts.share_ownership(admin, app, second).await,
            "names" => return accounts.depends_on_name(admin, app, second).await.map(drop),
            "missing" => return accounts.missing(admin, app, second).await.map(drop),
            _ => {}
        }
    }
    match what {
        "change" => target.apply(change).await.map(drop),
        "add" => target.apply(Change { keep: Some(app), ..change }).await.map(drop),
        "change as admin" => target.apply(Change { login: admin, ..change }).await.map(drop),
        "change under lock" => match target.lock(app, "prod/db").await? {
            Lock::Held(guard) => target.apply_and_unlock(change, Some(guard)).await.map(drop),
            _ => Ok(()),
        },
        "namesakes" => target.namesakes(admin, app).await.map(drop),
        "diagnose" => target.diagnose(Requirements::new(app, app)).await.map(drop),
        "diagnose two" => {
            let requirements = Requirements { other: Some(second), ..Requirements::new(admin, app) };
            target.diagnose(requirements).await.map(drop)
        }
        _ => target.probe(app).await.map(drop),
    }
}
