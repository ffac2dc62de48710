//! Situations on Redis, each on a server with its own configuration.

use std::fmt::Write;
use std::time::Duration;

use secretcache_rotation::StrategyName::{AlternatingUsers, DualPassword};

use super::Administrator::{Keeper, Super};
use super::Expected::{Refused, RefusedForNow};
use super::{Resource, Situation, USUAL, Way, one};
use crate::redis_kept::Server;
use crate::support::{Address, Kind, run};

/// Returns every rule of every user.
pub(super) async fn snapshot(address: &Address) -> String {
    let list = |command: &str| {
        let mut client = std::process::Command::new("redis-cli");
        client.args(["-p", &address.port.to_string(), "--no-auth-warning", "--user", address.user]);
        let output = client.env("REDISCLI_AUTH", &address.password).args([command, "LIST"]).output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    // Some rows hide ACL by renaming it to HIDDEN.
    list("ACL") + &list("HIDDEN")
}

/// Tries every row.
pub(super) async fn all() {
    let mut problems = String::new();
    for (number, row) in RESOURCE.rows.iter().enumerate() {
        let (app, keeper) = (format!("u{number}"), format!("k{number}"));
        let named = |text: &str| text.replace("APP", &app).replace("KEEPER", &keeper);
        let lines = |lines: &[&str]| -> Vec<String> {
            ["requirepass rootpw", "repl-diskless-sync-delay 0"]
                .iter()
                .chain(lines)
                .map(|line| named(line))
                .collect()
        };
        let (own, of_replica) = match row.way {
            Way::Direct => (Some(vec!["aclfile users.acl".to_owned()]), None),
            Way::File(own) => (Some(lines(own)), None),
            Way::WithReplica(of_replica) | Way::AtReplica(of_replica) => {
                (Some(lines(&[USER])), Some(lines(of_replica)))
            }
            Way::Fileless => (None, None),
            other => unreachable!("{other:?} does not apply to Redis"),
        };
        let server = match own {
            Some(own) => start(&format!("row-{number}"), &own).await,
            None => Server::start(&format!("row-{number}"), &[], &["--requirepass", "rootpw"]).await,
        };
        let replica = match of_replica {
            Some(mut lines) => {
                lines.push(format!("replicaof 127.0.0.1 {}", server.port));
                lines.push("masterauth rootpw".to_owned());
                let replica = start(&format!("row-{number}-replica"), &lines).await;
                while !server.say(&["ROLE"]).contains(&replica.port.to_string()) {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                Some(replica)
            }
            None => None,
        };
        let at = replica.as_ref().filter(|_| matches!(row.way, Way::AtReplica(_))).unwrap_or(&server);
        let is_default = row.what.contains("`requirepass`");
        let address = Address {
            kind: Kind::Redis.name(),
            host: "127.0.0.1".into(),
            port: at.port,
            user: "default",
            password: if is_default { "first".into() } else { "rootpw".into() },
            database: None,
            ca_file: None,
        };
        for statement in row.prepare {
            run(&address, Kind::Redis, &named(statement)).await;
        }
        let app = if is_default { "default" } else { &app };
        let place =
            replica.as_ref().map_or_else(String::new, |replica| format!("127.0.0.1:{}", replica.port));
        // Leaked: a test process is short-lived.
        let row = &Situation { fields: row.fields.replace("REPLICA", &place).leak(), ..*row };
        if let Err(problem) = one(&address, &address, Kind::Redis, row, app, &keeper).await {
            let _ = writeln!(problems, "{}, {:?}: {problem}", row.what, row.strategy);
        }
    }
    assert!(problems.is_empty(), "{problems}");
}

async fn start(name: &str, lines: &[String]) -> Server {
    let lines: Vec<_> = lines.iter().map(String::as_str).collect();
    Server::start(name, &lines, &[]).await
}

/// The user, for a configuration file.
const USER: &str = "user APP on >first ~APP:* &* +@all -flushall";
/// The command that creates the user, for a server with an ACL file.
const MADE: &str = "ACL SETUSER APP on >first ~APP:* &* +@all -flushall";
const HELPLESS: &str = "ACL SETUSER APP on >first ~APP:* +@all -acl";
/// The field that names the replica.
const NAMED: &str = r#","replicas":"REPLICA""#;
const KEEPER: &str = "ACL SETUSER KEEPER on >keeper +@all";

pub(crate) const RESOURCE: Resource = Resource {
    name: "Redis 7",
    make_user: "",
    rows: &[
        Situation { what: "a user in the ACL file (`aclfile`)", prepare: &[MADE], ..USUAL },
        Situation {
            what: "a user in the ACL file (`aclfile`)",
            strategy: DualPassword,
            prepare: &[MADE],
            ..USUAL
        },
        Situation {
            what: "a user in the ACL file, an administrator",
            administrator: Super,
            prepare: &[HELPLESS],
            ..USUAL
        },
        Situation {
            what: "a user in the ACL file, an administrator",
            strategy: DualPassword,
            administrator: Super,
            prepare: &[HELPLESS],
            ..USUAL
        },
        Situation { what: "a user in `redis.conf`", way: Way::File(&[USER]), ..USUAL },
        Situation {
            what: "a user in `redis.conf`",
            strategy: DualPassword,
            way: Way::File(&[USER]),
            ..USUAL
        },
        Situation { what: "the user of `requirepass`", way: Way::File(&["requirepass first"]), ..USUAL },
        Situation {
            what: "the user of `requirepass`",
            strategy: DualPassword,
            way: Way::File(&["requirepass first"]),
            ..USUAL
        },
        Situation {
            what: "a server without a configuration file or ACL file",
            prepare: &[MADE],
            way: Way::Fileless,
            warns: Some("a restart forgets"),
            ..USUAL
        },
        Situation {
            what: "the user cannot change passwords",
            prepare: &[HELPLESS],
            expected: Refused("cannot change passwords"),
            ..USUAL
        },
        Situation {
            what: "the user cannot change passwords",
            strategy: DualPassword,
            prepare: &[HELPLESS],
            expected: Refused("cannot change passwords"),
            ..USUAL
        },
        Situation {
            what: "the user cannot save the ACL file",
            prepare: &["ACL SETUSER APP on >first ~* +@all -acl|save"],
            expected: Refused("lost when Redis restarts"),
            ..USUAL
        },
        Situation {
            what: "the user cannot write the configuration file",
            prepare: &["ACL SETUSER APP on >first ~* +@all -config"],
            way: Way::File(&[]),
            expected: Refused("lost when Redis restarts"),
            ..USUAL
        },
        Situation {
            what: "an administrator that cannot change passwords",
            administrator: Keeper,
            prepare: &[HELPLESS, "ACL SETUSER KEEPER on >keeper +@all -acl|setuser"],
            expected: Refused("cannot change passwords"),
            ..USUAL
        },
        Situation {
            what: "an administrator that cannot save the ACL file",
            administrator: Keeper,
            prepare: &[HELPLESS, "ACL SETUSER KEEPER on >keeper +@all -acl|save"],
            expected: Refused("lost when Redis restarts"),
            ..USUAL
        },
        Situation {
            what: "an administrator whose password is wrong",
            administrator: Keeper,
            prepare: &[MADE, "ACL SETUSER KEEPER on >another +@all"],
            expected: RefusedForNow("refuses the administrator's credential"),
            ..USUAL
        },
        Situation {
            what: "an administrator with limited rights",
            administrator: Keeper,
            prepare: &[HELPLESS, KEEPER],
            ..USUAL
        },
        Situation {
            what: "a user that is `off`",
            administrator: Super,
            prepare: &["ACL SETUSER APP off >first ~* +@all"],
            expected: RefusedForNow("refuses AWSCURRENT"),
            ..USUAL
        },
        Situation {
            what: "a user that needs no password (`nopass`)",
            prepare: &["ACL SETUSER APP on nopass ~* +@all"],
            expected: Refused("needs no password"),
            ..USUAL
        },
        Situation {
            what: "a user that has other passwords too",
            prepare: &["ACL SETUSER APP on >first >second >third ~* +@all"],
            warns: Some("all except the secret's own stop working with the rotation"),
            ..USUAL
        },
        Situation {
            what: "a user with selectors, and patterns of keys and channels",
            prepare: &["ACL SETUSER APP on >first %R~a:* %W~b:* &news.* +@all (~c:* +get) (~d:* +set)"],
            ..USUAL
        },
        Situation {
            what: "the user cannot list replicas",
            prepare: &["ACL SETUSER APP on >first ~* +@all -role"],
            warns: Some("cannot list replicas"),
            ..USUAL
        },
        Situation {
            what: "a replica with the same user",
            fields: NAMED,
            way: Way::WithReplica(&[USER]),
            ..USUAL
        },
        Situation {
            what: "a replica with the same user",
            strategy: DualPassword,
            fields: NAMED,
            way: Way::WithReplica(&[USER]),
            ..USUAL
        },
        Situation {
            what: "a replica that the secret does not name",
            way: Way::WithReplica(&[USER]),
            expected: Refused("replicas that nobody named"),
            ..USUAL
        },
        Situation {
            what: "a replica without the user",
            fields: NAMED,
            way: Way::WithReplica(&[]),
            expected: Refused("refuses the user"),
            ..USUAL
        },
        Situation {
            what: "a replica where the user cannot save the ACL file",
            fields: NAMED,
            way: Way::WithReplica(&["user APP on >first ~* +@all -config"]),
            expected: Refused("lost when Redis restarts"),
            ..USUAL
        },
        Situation {
            what: "a replica as the secret's host",
            way: Way::AtReplica(&[USER]),
            expected: Refused("is a replica of"),
            ..USUAL
        },
        Situation {
            what: "a server that hides `ACL`, as hosted servers do",
            way: Way::File(&["rename-command ACL HIDDEN", USER]),
            expected: Refused("through the services' own API"),
            ..USUAL
        },
        Situation {
            what: "two users",
            strategy: AlternatingUsers,
            administrator: Super,
            prepare: &[MADE],
            expected: Refused("users of this resource cannot alternate"),
            ..USUAL
        },
    ],
};
