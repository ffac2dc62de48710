//! The dry run predicts what a rotation does. A table lists situations on real servers, with the results of the dry run
//! and of the rotation.
//!
//! After a dry run without findings, the rotation must succeed. After one with a finding, the rotation must be refused,
//! change nothing and leave no `AWSPENDING`. `docs/dry-run.md` shows the same rows, and a test compares the two.
//!
//! The rows include R1 (`SET role`), R2 (PgBouncer), R4 to R6 (plugins, password history, two accounts), R7 (one
//! session), R8 (MD5), R9 (password plugins), and R10 (what a server would refuse).

mod mysql;
mod postgres;
mod redis;

use std::fmt::Write;

use secretcache::{AWSCURRENT, AWSPENDING};
use secretcache_rotation::targets::{MySql, Postgres, Redis, Tls};
use secretcache_rotation::*;

use crate::support::{Address, Kind, Pooler, ServerTls, Store, context, run, secret, start};

/// One situation. In statements, `APP` is the application's user, `CLONE` the second user, and `KEEPER` an
/// administrator with limited privileges.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Situation {
    /// The description, as on the page.
    pub(crate) what: &'static str,
    pub(crate) strategy: StrategyName,
    pub(crate) administrator: Administrator,
    /// A suffix of the user's name.
    pub(crate) name: &'static str,
    /// Statements to run first, as the superuser, once the user exists.
    pub(crate) prepare: &'static [&'static str],
    /// Statements to run afterwards, if the situation changed the server itself.
    pub(crate) undo: &'static [&'static str],
    pub(crate) expected: Expected,
    /// Additional fields of the secret.
    pub(crate) fields: &'static str,
    /// Text that a warning of the dry run contains.
    pub(crate) warns: Option<&'static str>,
    /// How the server is set up and reached.
    pub(crate) way: Way,
    /// The servers that the situation applies to; empty means all of the resource's.
    pub(crate) only: &'static [Kind],
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Administrator {
    None,
    /// The superuser.
    Super,
    /// `KEEPER`, which `prepare` creates.
    Keeper,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Expected {
    /// The dry run finds nothing, and the rotation succeeds.
    Succeeds,
    /// The dry run finds a problem with this text, and the rotation is refused permanently.
    Refused(&'static str),
    /// The dry run finds a problem with this text, and the rotation is refused, but retrying it can succeed.
    RefusedForNow(&'static str),
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Way {
    Direct,
    /// Through a pooler in transaction mode, with this many sessions on the server.
    Pooled(u32),
    /// A standby of PostgreSQL.
    AtStandby,
    /// Redis with these lines in its configuration file.
    File(&'static [&'static str]),
    /// Redis without a configuration file.
    Fileless,
    /// Redis with a replica that has these lines in its configuration file.
    WithReplica(&'static [&'static str]),
    /// A Redis replica with these lines in its configuration file.
    AtReplica(&'static [&'static str]),
}

/// The values that most rows share.
pub(crate) const USUAL: Situation = Situation {
    what: "",
    strategy: StrategyName::SingleUser,
    administrator: Administrator::None,
    name: "",
    prepare: &[],
    undo: &[],
    expected: Expected::Succeeds,
    fields: "",
    warns: None,
    way: Way::Direct,
    only: &[],
};

/// A kind of resource: the statement that creates its users, and its rows of the table.
pub(crate) struct Resource {
    pub(crate) name: &'static str,
    pub(crate) make_user: &'static str,
    pub(crate) rows: &'static [Situation],
}

fn target(kind: Kind) -> Box<dyn Target> {
    match kind {
        Kind::MariaDb | Kind::MySql => Box::new(MySql::new(Tls::off())),
        Kind::Redis => Box::new(Redis::new(Tls::off())),
        _ => Box::new(Postgres::new(Tls::off())),
    }
}

/// Returns everything about users that a server stores, as one text.
async fn snapshot(address: &Address, kind: Kind) -> String {
    match kind {
        Kind::Postgres15 | Kind::Postgres16 | Kind::Postgres18 => postgres::snapshot(address).await,
        Kind::MariaDb | Kind::MySql => mysql::snapshot(address, kind).await,
        Kind::Redis => redis::snapshot(address).await,
        Kind::Ldap => unreachable!("a directory does not say in advance what it will refuse"),
    }
}

/// Tries every row on a server.
pub(crate) async fn all(kind: Kind, resource: &Resource) {
    let database = start(kind, ServerTls::Off);
    let mut problems = String::new();
    let rows = resource.rows.iter().filter(|row| row.only.is_empty() || row.only.contains(&kind));
    for (number, row) in rows.enumerate() {
        let app = format!("u{number}{}", row.name);
        let names = [("CLONE", format!("{app}_clone")), ("APP", app), ("KEEPER", format!("k{number}"))];
        let named = |statement: &str| {
            names.iter().fold(statement.to_owned(), |text, (name, is)| text.replace(name, is))
        };
        for statement in [resource.make_user].iter().chain(row.prepare) {
            run(&database.address, kind, &named(statement)).await;
        }
        let (mut pooler, mut standby) = (None, None);
        let address = match row.way {
            Way::Direct => &database.address,
            Way::Pooled(sessions) => {
                &pooler.insert(Pooler::start(&database.address, sessions).unwrap()).address
            }
            Way::AtStandby => &standby.insert(database.standby(kind).unwrap()).address,
            other => unreachable!("{other:?} is a way to Redis"),
        };
        let outcome = one(address, &database.address, kind, row, &names[1].1, &names[2].1).await;
        if let Err(problem) = outcome {
            let _ = writeln!(problems, "{kind:?}, {}: {problem}", row.what);
        }
        drop((pooler, standby));
        for statement in row.undo {
            run(&database.address, kind, &named(statement)).await;
        }
    }
    assert!(problems.is_empty(), "{problems}");
}

async fn one(
    address: &Address,
    server: &Address,
    kind: Kind,
    row: &Situation,
    app: &str,
    keeper: &str,
) -> Result<(), String> {
    let master = match row.administrator {
        Administrator::None => None,
        Administrator::Super => Some(secret(address, address.user, &address.password, "")),
        Administrator::Keeper => Some(secret(address, keeper, "keeper", "")),
    };
    let more = if master.is_some() { r#","masterarn":"master""# } else { "" };
    let fields = format!("{more}{}", row.fields.replace("APP", app));
    let store = Store::new(secret(address, app, "first", &fields), master);
    let (target, mut settings) = (target(kind), Settings::default());
    settings.test_attempts = 2;
    let cx = context(&store, &settings, row.strategy, target.as_ref());
    let before = snapshot(server, kind).await;
    assert!(before.contains(app), "the snapshot shows the user: {before}");
    let forecast =
        cx.forecast(Some(row.strategy), None).await.map_err(|error| format!("forecast: {error}"))?;
    let found: Vec<_> = forecast.findings.iter().map(|finding| finding.problem.as_str()).collect();
    if let Some(words) = row.warns
        && !forecast.warnings.iter().any(|warning| warning.contains(words))
    {
        return Err(format!("no warning of {words:?}: {:?}", forecast.warnings));
    }
    if before != snapshot(server, kind).await {
        return Err("the dry run changed something".into());
    }
    let strategy = cx.backend.strategy(row.strategy);
    let outcome = store.runner(strategy.as_ref(), &settings).rotate("s").await;
    let words = match row.expected {
        Expected::Succeeds if !found.is_empty() => return Err(format!("the dry run found {found:?}")),
        Expected::Succeeds => {
            outcome.map_err(|error| format!("the dry run found nothing, but: {error}"))?;
            let current = store.value(AWSCURRENT).ok_or("no AWSCURRENT")?;
            return match target.probe(&current).await {
                Ok(Probe::Accepted) if store.value(AWSPENDING).is_none() => Ok(()),
                answer => Err(format!("after success: {answer:?}")),
            };
        }
        Expected::Refused(words) | Expected::RefusedForNow(words) => words,
    };
    if !found.iter().any(|problem| problem.contains(words)) {
        return Err(format!("the dry run found {found:?}"));
    }
    let Err(error) = outcome else { return Err("a problem was found, but the rotation succeeded".into()) };
    let for_now = matches!(row.expected, Expected::RefusedForNow(_));
    if error.kind().is_worth_retrying() != for_now {
        return Err(format!("wrong kind of refusal: {error:?}"));
    }
    if store.value(AWSPENDING).is_some() && !for_now {
        return Err(format!("AWSPENDING is left: {error}"));
    }
    if before != snapshot(server, kind).await {
        return Err(format!("refused, but something changed: {error}"));
    }
    Ok(())
}

#[tokio::test]
async fn what_the_dry_run_says_of_postgres_15_comes_true() {
    all(Kind::Postgres15, &postgres::RESOURCE).await;
}

#[tokio::test]
async fn what_the_dry_run_says_of_postgres_16_comes_true() {
    all(Kind::Postgres16, &postgres::RESOURCE).await;
}

#[tokio::test]
async fn what_the_dry_run_says_of_postgres_18_comes_true() {
    all(Kind::Postgres18, &postgres::RESOURCE).await;
}

#[tokio::test]
async fn what_the_dry_run_says_of_mariadb_comes_true() {
    all(Kind::MariaDb, &mysql::RESOURCE).await;
}

#[tokio::test]
async fn what_the_dry_run_says_of_mysql_comes_true() {
    all(Kind::MySql, &mysql::RESOURCE).await;
}

#[tokio::test]
async fn what_the_dry_run_says_of_redis_comes_true() {
    redis::all().await;
}

/// Compares the table on the page.
#[test]
fn the_page_shows_the_same_rows() {
    let page = include_str!("../../../docs/dry-run.md");
    let mut wanted = String::new();
    for resource in [&postgres::RESOURCE, &mysql::RESOURCE, &redis::RESOURCE] {
        let _ = writeln!(
            wanted,
            "## {}\n\n| situation | strategy | dry run | rotation |\n|---|---|---|---|",
            resource.name
        );
        for row in resource.rows {
            let (says, does) = match row.expected {
                Expected::Succeeds => ("no obstacle".to_owned(), "succeeds"),
                Expected::Refused(words) => (format!("\"… {words} …\""), "refused; nothing changes"),
                Expected::RefusedForNow(words) => (format!("\"… {words} …\""), "not yet; nothing changes"),
            };
            let warning = row.warns.map_or_else(String::new, |words| format!("; warns: \"… {words} …\""));
            let _ = writeln!(wanted, "| {} | {} | {says}{warning} | {does} |", row.what, row.strategy.name());
        }
        wanted.push('\n');
    }
    assert!(
        page.ends_with(wanted.trim_end()) || page.contains(wanted.trim_end()),
        "docs/dry-run.md must hold:\n{wanted}"
    );
}
