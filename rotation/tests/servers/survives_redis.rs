//! Everything about a user survives its rotations on Redis: flags, commands, keys, channels, selectors, and everything
//! else in `ACL GETUSER`, before, after, and after a restart. Only the passwords differ.

use secretcache_rotation::targets::{Redis, Tls};
use secretcache_rotation::*;

use crate::redis_kept::Server;
use crate::support::Store;

/// Returns what the server reports about a user, without the passwords, which are hashes.
fn about(server: &Server, user: &str) -> String {
    let said = server.say(&["ACL", "GETUSER", user]);
    assert!(said.contains("selectors") && said.contains("~c:*"), "{said}");
    let is_hash = |line: &&str| line.len() == 64 && line.chars().all(|c| c.is_ascii_hexdigit());
    let line = |line: &str| {
        let mut words: Vec<_> = line.split(' ').collect();
        // The order in which Redis lists rules about commands can change with a restart.
        if line.contains("@all") {
            words.sort_unstable();
        }
        words.join(" ")
    };
    said.lines().filter(|line| !is_hash(line)).map(line).collect::<Vec<_>>().join("\n")
}

/// Returns the rules of all other users, without what Redis adds when it reads them from a file.
fn others(server: &Server) -> Vec<String> {
    let users = server.say(&["ACL", "LIST"]);
    let lines = users.lines().filter(|line| !line.starts_with("user app "));
    lines.map(|line| line.replace(" sanitize-payload", "")).collect()
}

#[tokio::test]
async fn everything_about_a_user_survives_at_redis() {
    const RULES: &str = "on >first sanitize-payload %R~a:* %W~b:* &news.* -@all +@read +acl +config|rewrite +role -acl|deluser (~c:* +get) (~d:* +set)";
    let target = Redis::new(Tls::off());
    let app = format!("user app {RULES}");
    let in_conf = ["requirepass rootpw", "user billing on >theirs >second ~* +@all", &app];
    for lines in [&in_conf[..], &["aclfile users.acl"]] {
        let mut server = Server::start(&format!("survives-{}", lines.len()), lines, &[]).await;
        if lines.len() == 1 {
            for user in ["billing on >theirs >second ~* +@all", &format!("app {RULES}")] {
                let words: Vec<_> = ["ACL", "SETUSER"].into_iter().chain(in_words(user)).collect();
                assert_eq!(server.say(&words).trim(), "OK");
            }
        }
        let (before, theirs) = (about(&server, "app"), others(&server));
        assert_eq!(theirs.len(), 2, "{theirs:?}");
        let by = |more: &str| server.secret("app", "first").with("team", more).unwrap();
        let own = Store::new(by("own"), None);
        let first = by("administrator").with("masterarn", "master").unwrap();
        let administered = Store::new(first, Some(server.secret("default", "rootpw")));
        for store in [&own, &administered] {
            for strategy in
                [&SingleUser { target: &target } as &dyn Strategy, &DualPassword { target: &target }]
            {
                for _ in 0..2 {
                    store.rotate(strategy, &Settings::default()).await.unwrap();
                    assert_eq!(about(&server, "app"), before, "{}", strategy.name());
                    assert_eq!(others(&server), theirs);
                }
            }
            server.say(&["ACL", "SETUSER", "app", "resetpass", ">first"]);
        }
        server.say(&["ACL", "SAVE"]);
        server.say(&["CONFIG", "REWRITE"]);
        server.restart().await;
        assert_eq!(about(&server, "app"), before);
        assert_eq!(others(&server), theirs);
    }
}

/// Splits rules into words. A selector is one word.
fn in_words(rules: &str) -> Vec<&str> {
    let (plain, selectors) = rules.split_at(rules.find('(').unwrap_or(rules.len()));
    let selectors = selectors.split_inclusive(')').map(str::trim).filter(|selector| !selector.is_empty());
    plain.split_whitespace().chain(selectors).collect()
}
