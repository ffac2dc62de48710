//! Who decides what: the server that an administrator logs in to, with or without TLS (S1), and the objects that its
//! sessions find (S2).

use jiff::Timestamp;
use secretcache::{AWSCURRENT, AWSPENDING};
use secretcache_rotation::operate::{Backend, RecoveryMethod, RecoveryPlan};
use secretcache_rotation::targets::{Ldap, MySql, Postgres, Redis, Statements, Tls};
use secretcache_rotation::*;

use crate::postgres::{admin, session, session_in};
use crate::support::{Address, Database, Kind, ServerTls, Store, context, run, secret, start, trust};
use crate::wire::{Seen, contains, overheard};

const TOML: &str =
    "protocol = \"postgres\"\napply = [\"ALTER ROLE {username:identifier} PASSWORD {password:scram}\"]\n";

fn target(kind: Kind, tls: Tls) -> Box<dyn Target> {
    match kind {
        Kind::MariaDb | Kind::MySql => Box::new(MySql::new(tls)),
        Kind::Redis => Box::new(Redis::new(tls)),
        Kind::Ldap => Box::new(Ldap::new(tls)),
        _ => Box::new(Postgres::new(tls)),
    }
}

/// The administrator's name and password, which appear nowhere else in the traffic.
const KEEPER: (&str, &str) = ("thekeeper", "the-keepers-own-password");

/// Starts a server with the user `app` and a separate administrator. Returns it with the administrator's address.
async fn server(kind: Kind, tls: ServerTls) -> (Database, Address) {
    let database = start(kind, tls);
    let (user, password) = KEEPER;
    let statements = match kind {
        Kind::MariaDb | Kind::MySql => vec![
            "CREATE USER app@'%' IDENTIFIED BY 'first'".to_owned(),
            format!("CREATE USER {user}@'%' IDENTIFIED BY '{password}'"),
            format!("GRANT ALL ON *.* TO {user}@'%' WITH GRANT OPTION"),
        ],
        Kind::Redis => vec![
            "ACL SETUSER app on >first ~app* +@all -@admin".to_owned(),
            format!("ACL SETUSER {user} on >{password} ~* &* +@all"),
        ],
        _ => vec![
            "CREATE ROLE app LOGIN PASSWORD 'first'".to_owned(),
            format!("CREATE ROLE {user} SUPERUSER LOGIN PASSWORD '{password}'"),
        ],
    };
    for statement in statements {
        run(&database.address, kind, &statement).await;
    }
    let keeper = Address { user, password: password.to_owned(), ..database.address.clone() };
    (database, keeper)
}

/// Returns a master secret with only a name and a password, like those that RDS manages.
fn bare() -> Document {
    let (user, password) = KEEPER;
    Document::parse(&format!(r#"{{"username":"{user}","password":"{password}"}}"#)).unwrap()
}

/// Runs everything that can be run on a secret, and ignores the results.
pub(crate) async fn everything(
    store: &Store,
    settings: &Settings,
    strategy: StrategyName,
    target: &dyn Target,
) {
    let cx = context(store, settings, strategy, target);
    let mut details = Details::default();
    details.name = "s".into();
    details.state = store.describe("s").await.unwrap();
    drop(cx.forecast(Some(strategy), None).await);
    drop(cx.forecast(None, None).await);
    drop(cx.inspect(&details, Timestamp::UNIX_EPOCH).await);
    drop(store.rotate(cx.backend.strategy(strategy).as_ref(), settings).await);
    drop(store.steps(cx.backend.strategy(strategy).as_ref(), settings, &[Step::SetSecret]).await);
    drop(store.runner(cx.backend.strategy(strategy).as_ref(), settings).revert("s").await);
    for method in [RecoveryMethod::LabelsFollow, RecoveryMethod::Administrator] {
        if let Ok(found) = cx.search(method).await {
            drop(cx.carry_out(&found, &Unobserved).await);
        }
    }
    if let Ok(adoption) = cx.inspect_adoption(&details, true).await {
        drop(cx.adopt(&details, &adoption).await);
    }
    drop(cx.revoke_previous().await);
}

fn strategies(kind: Kind) -> Vec<StrategyName> {
    match kind {
        Kind::Redis => vec![StrategyName::SingleUser, StrategyName::DualPassword],
        Kind::Postgres15 | Kind::Postgres16 | Kind::Postgres18 => {
            vec![StrategyName::SingleUser, StrategyName::AlternatingUsers]
        }
        _ => vec![StrategyName::SingleUser, StrategyName::AlternatingUsers, StrategyName::DualPassword],
    }
}

fn saw_keeper(seen: &Seen) -> bool {
    // A salted response to a challenge hides the password, but not the name.
    contains(seen, KEEPER.0) || contains(seen, KEEPER.1)
}

/// That stays true until someone changes it, so there is no retry.
#[tokio::test]
async fn a_server_without_tls_is_called_so() {
    let authority = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    for kind in [Kind::Postgres15, Kind::Postgres18, Kind::MariaDb] {
        let database = start(kind, ServerTls::Off);
        let target = target(kind, Tls::with_authorities(&authority.cert.pem()).unwrap());
        let error = target.probe(&secret(&database.address, "app", "first", "")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unencrypted, "{kind:?}: {error:?}");
        assert!(!error.kind().is_worth_retrying());
    }
}

/// The application's secret names an attacker's listener. It forwards everything, so the application's own credential
/// works there as on the server.
#[tokio::test]
async fn no_administrator_goes_where_the_applications_secret_points() {
    for kind in [Kind::Postgres15, Kind::MariaDb, Kind::MySql, Kind::Redis] {
        let (_database, keeper) = server(kind, ServerTls::Off).await;
        for strategy in strategies(kind) {
            for (password, way) in [("first", "its credential works"), ("wrong", "it does not")] {
                let (theirs, seen) = overheard(&keeper).await;
                let more = r#","masterarn":"master","ssl":false"#;
                let store = Store::new(secret(&theirs, "app", password, more), Some(bare()));
                let (target, settings) = (target(kind, Tls::off()), Settings::default());
                everything(&store, &settings, strategy, target.as_ref()).await;
                assert!(contains(&seen, "app"), "{kind:?} {strategy:?}: the listener is asked");
                assert!(!saw_keeper(&seen), "{kind:?} {strategy:?}, {way}");
                let cx = context(&store, &settings, strategy, target.as_ref());
                let rotated = store.rotate(cx.backend.strategy(strategy).as_ref(), &settings).await;
                let error = rotated.unwrap_err();
                let is_explained = password == "wrong"
                    || error.message().contains("\"host\"") && error.message().contains("--master-host");
                assert!(is_explained, "{kind:?} {strategy:?}: {error}");
            }
        }
    }
}

/// The same with an attacker's port on the administrator's own host.
#[tokio::test]
async fn no_administrator_goes_to_the_port_that_the_applications_secret_names() {
    let (database, keeper) = server(Kind::Postgres15, ServerTls::Off).await;
    let (theirs, seen) = overheard(&keeper).await;
    let master = bare().with("engine", "postgres").unwrap().with("host", "127.0.0.1").unwrap();
    let app = |address| secret(address, "app", "first", r#","masterarn":"master""#);
    let store = Store::new(app(&theirs), Some(master.clone()));
    let (target, settings) = (Postgres::new(Tls::off()), Settings::default());
    everything(&store, &settings, StrategyName::AlternatingUsers, &target).await;
    assert!(!saw_keeper(&seen));
    let error = store.rotate(&AlternatingUsers { target: &target }, &settings).await.unwrap_err();
    assert!(error.message().contains("\"port\""), "{error}");

    // The operator can name the server instead.
    let mut settings = Settings::default();
    settings.master_host = Some(format!("127.0.0.1:{}", database.address.port).parse().unwrap());
    let store = Store::new(app(&database.address), Some(master.with("host", "elsewhere.example").unwrap()));
    store.rotate(&AlternatingUsers { target: &target }, &settings).await.unwrap();
}

/// The operator's TLS settings apply to administrators, whatever the application's secret says.
#[tokio::test]
async fn the_applications_secret_cannot_take_tls_from_an_administrator() {
    for kind in [Kind::Postgres15, Kind::MariaDb] {
        let (database, _) = server(kind, ServerTls::On).await;
        let (theirs, seen) = overheard(&database.address).await;
        let master = secret(&theirs, KEEPER.0, KEEPER.1, "");
        let app = secret(&theirs, "app", "first", r#","masterarn":"master","ssl":"false""#);
        let store = Store::new(app, Some(master));
        let (target, settings) = (target(kind, trust(&database.address)), Settings::default());
        for strategy in strategies(kind) {
            everything(&store, &settings, strategy, target.as_ref()).await;
        }
        assert!(contains(&seen, "app"), "{kind:?}: the application's own login is its own affair");
        assert!(!saw_keeper(&seen), "{kind:?}");
    }
}

/// The application's secret can require TLS even if the master secret does not.
#[tokio::test]
async fn the_applications_secret_can_ask_for_tls() {
    let (database, _) = server(Kind::Postgres15, ServerTls::On).await;
    let (theirs, seen) = overheard(&database.address).await;
    let master = secret(&theirs, KEEPER.0, KEEPER.1, r#","ssl":false"#);
    let app = secret(&theirs, "app", "first", r#","masterarn":"master","ssl":true"#);
    let target = Postgres::new(trust(&database.address));
    let store = Store::new(app, Some(master));
    store.rotate(&AlternatingUsers { target: &target }, &Settings::default()).await.unwrap();
    assert!(!saw_keeper(&seen));
}

/// The same with an operator's own statements.
#[tokio::test]
async fn statements_run_where_the_administrator_belongs() {
    let (_database, keeper) = server(Kind::Postgres15, ServerTls::Off).await;
    let (theirs, seen) = overheard(&keeper).await;
    let store = Store::new(secret(&theirs, "app", "first", r#","masterarn":"master""#), Some(bare()));
    let target = Statements::from_toml(TOML, Tls::off()).unwrap();
    everything(&store, &Settings::default(), StrategyName::SingleUser, &target).await;
    assert!(contains(&seen, "app") && !saw_keeper(&seen));
}

/// Someone with write access to the secret stores another user's name in it during a rotation.
#[tokio::test]
async fn no_administrator_changes_a_user_whose_credential_was_never_proven() {
    let (database, _) = server(Kind::Postgres15, ServerTls::Off).await;
    let root = session(&admin(&database.address)).await.unwrap();
    root.batch_execute("CREATE ROLE victim SUPERUSER LOGIN PASSWORD 'theirs'").await.unwrap();
    let (target, settings) = (Postgres::new(Tls::off()), Settings::default());
    let victim = secret(&database.address, "victim", "chosen", r#","masterarn":"master""#);
    for strategy in strategies(Kind::Postgres15) {
        for first in ["app", "victim"] {
            let start = victim.with("username", first).unwrap();
            let store = Store::new(start, Some(admin(&database.address)));
            let strategy = Backend::Target(&target).strategy(strategy);
            drop(store.steps(strategy.as_ref(), &settings, &[Step::CreateSecret]).await);
            store.store_by_hand(victim.clone());
            drop(store.resume(strategy.as_ref(), &settings).await);
            drop(store.runner(strategy.as_ref(), &settings).revert("s").await);
            drop(store.rotate(strategy.as_ref(), &settings).await);
            assert!(session(&victim).await.is_err(), "{strategy:?} {first}");
        }
    }
    assert!(session(&victim.with("password", "theirs").unwrap()).await.is_ok());
}

/// Someone with write access to the secret stores another user's name in it, and then the original one again. The other
/// user is then in `AWSPREVIOUS`, like the second of two alternating users. No command accepts that as proof.
#[tokio::test]
async fn naming_a_user_in_awsprevious_does_not_make_it_the_secrets_own() {
    for kind in [Kind::Postgres15, Kind::Postgres18, Kind::MariaDb, Kind::MySql] {
        let (database, keeper) = server(kind, ServerTls::Off).await;
        let make = match kind {
            Kind::MariaDb | Kind::MySql => "CREATE USER victim@'%' IDENTIFIED BY 'theirs'",
            _ => "CREATE ROLE victim SUPERUSER LOGIN PASSWORD 'theirs'",
        };
        run(&database.address, kind, make).await;
        let (target, settings) = (target(kind, Tls::off()), Settings::default());
        let app = secret(&database.address, "app", "first", r#","masterarn":"master""#);
        let victim = app.with("username", "victim").unwrap();
        let theirs = victim.with("password", "theirs").unwrap();
        let store = || {
            let keeper = secret(&keeper, keeper.user, &keeper.password, "");
            let store = Store::new(victim.with("password", "chosen").unwrap(), Some(keeper));
            store.store_by_hand(app.clone());
            store
        };
        let attacked = store();
        let cx = context(&attacked, &settings, StrategyName::AlternatingUsers, target.as_ref());
        let forecast = cx.forecast(Some(StrategyName::AlternatingUsers), None).await.unwrap();
        assert!(
            forecast.findings[0].problem.contains("was not created for this secret"),
            "{kind:?} {forecast:?}"
        );
        let strategy = cx.backend.strategy(StrategyName::AlternatingUsers);
        let refused = attacked.rotate(strategy.as_ref(), &settings).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::NotOurs, "{kind:?} {refused}");
        everything(&store(), &settings, StrategyName::AlternatingUsers, target.as_ref()).await;
        // Stored in AWSPENDING instead: the label is removed, so that the next rotation starts fresh.
        let planted = Store::new(app.clone(), Some(secret(&keeper, keeper.user, &keeper.password, "")));
        let chosen = victim.with("password", "chosen").unwrap();
        let pending = Pending { secret_id: "s", token: "planted", document: &chosen, rotation_token: None };
        planted.put_pending(pending).await.unwrap();
        planted.resume(strategy.as_ref(), &settings).await.unwrap_err();
        assert!(planted.value(AWSPENDING).is_none(), "{kind:?}");
        assert_eq!(target.probe(&theirs).await.unwrap(), Probe::Accepted, "{kind:?}");
        // Once a version logs in as the user, the user counts as the secret's own.
        let own = store();
        own.store_by_hand(theirs.clone());
        own.store_by_hand(app.clone());
        own.rotate(strategy.as_ref(), &settings).await.unwrap();
        assert_eq!(own.value(AWSCURRENT).unwrap().username().unwrap().as_str(), "victim", "{kind:?}");
    }
}

/// If the secret's password never logged in, nothing that runs automatically sets it on the server. Neither does a
/// command, unless that is its explicit purpose.
#[tokio::test]
async fn only_the_operator_has_a_password_set_that_nobody_proved() {
    for kind in [Kind::Postgres18, Kind::MariaDb, Kind::MySql, Kind::Redis] {
        let (database, keeper) = server(kind, ServerTls::Off).await;
        let (target, settings) = (target(kind, Tls::off()), Settings::default());
        let keeper = secret(&keeper, keeper.user, &keeper.password, "");
        let proven = secret(&database.address, "app", "first", r#","masterarn":"master""#);
        let unproven = proven.with("password", "chosen").unwrap();
        let store = Store::new(unproven.clone(), Some(keeper.clone()));
        let cx = context(&store, &settings, StrategyName::SingleUser, target.as_ref());
        let strategy = cx.backend.strategy(StrategyName::SingleUser);
        store.rotate(strategy.as_ref(), &settings).await.unwrap_err();
        drop(store.runner(strategy.as_ref(), &settings).revert("s").await);
        for method in [RecoveryMethod::LabelsFollow, RecoveryMethod::ResourceFollows] {
            let found = cx.search(method).await.unwrap();
            assert_eq!(found.plan, RecoveryPlan::Impossible, "{kind:?} {method:?}");
            cx.carry_out(&found, &Unobserved).await.unwrap_err();
        }
        assert_eq!(target.probe(&proven).await.unwrap(), Probe::Accepted, "{kind:?}");
        let found = cx.search(RecoveryMethod::Administrator).await.unwrap();
        assert_eq!(found.plan, RecoveryPlan::GiveCurrentByAdministrator, "{kind:?}");
        cx.carry_out(&found, &Unobserved).await.unwrap();
        assert_eq!(target.probe(&unproven).await.unwrap(), Probe::Accepted, "{kind:?}");
        assert_eq!(target.probe(&proven).await.unwrap(), Probe::Refused, "{kind:?}");
        assert_eq!(
            target.probe(&keeper).await.unwrap(),
            Probe::Accepted,
            "{kind:?}: it changed somebody else"
        );
    }
}

/// Objects that the application's user can create in its database, as traps for an administrator's session.
const OVERLOADS: &str = "
CREATE FUNCTION public.gain() RETURNS void LANGUAGE plpgsql SET search_path TO pg_catalog AS $$ BEGIN
    IF pg_catalog.current_setting('is_superuser') = 'on' THEN EXECUTE 'ALTER ROLE app SUPERUSER'; END IF;
    IF session_user::text <> 'app' AND session_user::text <> 'app_clone' THEN
        EXECUTE 'CREATE ROLE trapped'; END IF;
    EXCEPTION WHEN duplicate_object OR insufficient_privilege THEN NULL; END $$;
CREATE FUNCTION public.trap(name, text) RETURNS bool LANGUAGE plpgsql AS $$ BEGIN PERFORM public.gain(); RETURN true; END $$;
CREATE FUNCTION public.trap(name, name) RETURNS bool LANGUAGE plpgsql AS $$ BEGIN PERFORM public.gain(); RETURN true; END $$;
CREATE FUNCTION public.trap(text, text) RETURNS bool LANGUAGE plpgsql AS $$ BEGIN PERFORM public.gain(); RETURN true; END $$;
CREATE FUNCTION public.trap(oid, oid) RETURNS bool LANGUAGE plpgsql AS $$ BEGIN PERFORM public.gain(); RETURN true; END $$;
CREATE FUNCTION public.trap(\"char\", \"char\") RETURNS bool LANGUAGE plpgsql AS $$ BEGIN PERFORM public.gain(); RETURN true; END $$;
CREATE OPERATOR public.= (LEFTARG = name, RIGHTARG = text, FUNCTION = public.trap);
CREATE OPERATOR public.= (LEFTARG = name, RIGHTARG = name, FUNCTION = public.trap);
CREATE OPERATOR public.= (LEFTARG = text, RIGHTARG = text, FUNCTION = public.trap);
CREATE OPERATOR public.= (LEFTARG = oid, RIGHTARG = oid, FUNCTION = public.trap);
CREATE OPERATOR public.= (LEFTARG = \"char\", RIGHTARG = \"char\", FUNCTION = public.trap);
CREATE OPERATOR public.!~ (LEFTARG = name, RIGHTARG = text, FUNCTION = public.trap);
CREATE OPERATOR public.!~ (LEFTARG = name, RIGHTARG = name, FUNCTION = public.trap);
CREATE OPERATOR public.<> (LEFTARG = oid, RIGHTARG = oid, FUNCTION = public.trap);
CREATE OPERATOR public.<> (LEFTARG = name, RIGHTARG = name, FUNCTION = public.trap);
CREATE FUNCTION public.strpos(text, name) RETURNS int LANGUAGE plpgsql AS $$ BEGIN PERFORM public.gain(); RETURN 1; END $$;
CREATE FUNCTION public.quote_ident(name) RETURNS text LANGUAGE plpgsql AS $$ BEGIN PERFORM public.gain(); RETURN $1::text; END $$;
CREATE FUNCTION public.pg_has_role(oid, oid, text) RETURNS bool LANGUAGE plpgsql AS $$ BEGIN PERFORM public.gain(); RETURN true; END $$;
CREATE FUNCTION public.pg_has_role(name, name, text) RETURNS bool LANGUAGE plpgsql AS $$ BEGIN PERFORM public.gain(); RETURN true; END $$;
CREATE FUNCTION public.shobj_description(oid, text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN PERFORM public.gain(); RETURN NULL; END $$;
CREATE FUNCTION public.hashtextextended(text, int) RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN PERFORM public.gain(); RETURN 1; END $$;
CREATE FUNCTION public.pg_describe_object(oid, oid, int) RETURNS text LANGUAGE plpgsql AS $$ BEGIN PERFORM public.gain(); RETURN 'x'; END $$;
CREATE FUNCTION public.has_table_privilege(oid, oid, name) RETURNS bool LANGUAGE plpgsql AS $$ BEGIN PERFORM public.gain(); RETURN true; END $$;
CREATE TABLE public.pg_roles (rolname name, oid oid); CREATE TABLE public.pg_db_role_setting (setrole oid);
ALTER ROLE app SET search_path TO public, pg_catalog";

/// Starts a server with an application's user that set traps in two databases. The settings of those databases put the
/// traps first in the search path.
async fn trapped(kind: Kind, admin_is_super: bool) -> (Database, tokio_postgres::Client, Store) {
    let database = start(kind, ServerTls::Off);
    let root = session(&admin(&database.address)).await.unwrap();
    for statement in [
        "CREATE ROLE app LOGIN PASSWORD 'first'",
        "CREATE ROLE keeper LOGIN CREATEROLE PASSWORD 'admin'",
        "CREATE DATABASE app_one OWNER app",
        "CREATE DATABASE app_two OWNER app",
    ] {
        root.batch_execute(statement).await.unwrap();
    }
    if kind != Kind::Postgres15 {
        root.batch_execute("GRANT app TO keeper WITH ADMIN OPTION").await.unwrap();
    }
    let app = secret(&database.address, "app", "first", r#","dbname":"app_one","masterarn":"master""#);
    for name in ["app_one", "app_two"] {
        let client = session_in(&app, name).await.unwrap();
        client.batch_execute(OVERLOADS).await.unwrap();
        let ours = format!("ALTER DATABASE {name} SET search_path TO public, pg_catalog");
        client.batch_execute(&ours).await.unwrap();
        client.batch_execute("CREATE TABLE public.mine (id int)").await.unwrap();
    }
    let master = if admin_is_super {
        admin(&database.address)
    } else {
        secret(&database.address, "keeper", "admin", "")
    };
    (database, root, Store::new(app, Some(master)))
}

async fn nothing_of_the_users_runs(kind: Kind) {
    for admin_is_super in [true, false] {
        let (_database, root, store) = trapped(kind, admin_is_super).await;
        let (target, settings) = (Postgres::new(Tls::off()), Settings::default());
        let cx = context(&store, &settings, StrategyName::AlternatingUsers, &target);
        let forecast = cx.forecast(Some(StrategyName::AlternatingUsers), None).await.unwrap();
        assert!(forecast.findings.is_empty(), "{:?}", forecast.findings);
        for round in 0..2 {
            // Objects that the second user owns itself, so that the administrator visits both databases.
            store.rotate(&AlternatingUsers { target: &target }, &settings).await.unwrap();
            let current = store.value(secretcache::AWSCURRENT).unwrap();
            for name in ["app_one", "app_two"] {
                let client = session_in(&current, name).await.unwrap();
                let made = format!(
                    "SET ROLE NONE; CREATE SCHEMA made_{round}; CREATE TABLE made_{round}.t (id int)"
                );
                client.batch_execute(&made).await.unwrap();
            }
        }
        for strategy in strategies(kind) {
            everything(&store, &settings, strategy, &target).await;
        }
        let gained = "SELECT count(*) FROM pg_roles WHERE rolname = 'trapped' OR rolname LIKE 'app%' AND (rolsuper OR rolcreaterole)";
        let gained: i64 = root.query_one(gained, &[]).await.unwrap().get(0);
        assert_eq!(gained, 0, "{kind:?}, superuser: {admin_is_super}");
    }
}

#[tokio::test]
async fn no_session_of_an_administrator_finds_what_a_user_made_at_postgres_15() {
    nothing_of_the_users_runs(Kind::Postgres15).await;
}

#[tokio::test]
async fn no_session_of_an_administrator_finds_what_a_user_made_at_postgres_18() {
    nothing_of_the_users_runs(Kind::Postgres18).await;
}

/// The traps work: a session without the pinned search path falls into them.
#[tokio::test]
async fn a_session_that_finds_what_a_user_made_is_lost() {
    let (database, root, _store) = trapped(Kind::Postgres15, true).await;
    let careless = session_in(&admin(&database.address), "app_one").await.unwrap();
    careless.batch_execute("SELECT 1 FROM pg_catalog.pg_roles WHERE rolname = 'app'::text").await.unwrap();
    let gained = "SELECT rolsuper FROM pg_roles WHERE rolname = 'app'";
    assert!(root.query_one(gained, &[]).await.unwrap().get::<_, bool>(0));
}
