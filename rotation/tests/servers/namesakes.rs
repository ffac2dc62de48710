//! R6: a user name with accounts at several hosts, each with its own password.

use secretcache_rotation::operate::{Health, RecoveryMethod};
use secretcache_rotation::targets::{MySql, Tls};
use secretcache_rotation::*;

use crate::mariadb::admin;
use crate::support::{Kind, ServerTls, Store, context, run, secret, start};

#[tokio::test]
async fn r6_status_and_recovery_name_all_accounts_of_a_user_name() {
    for kind in [Kind::MariaDb, Kind::MySql] {
        let database = start(kind, ServerTls::Off);
        for statement in [
            "CREATE USER app@'%' IDENTIFIED BY 'first'",
            "CREATE USER app@'10.%' IDENTIFIED BY 'other'",
            "CREATE USER alone@'%' IDENTIFIED BY 'first'",
        ] {
            run(&database.address, kind, statement).await;
        }
        let target = MySql::new(Tls::off());
        let settings = Settings::default();
        // The user itself cannot see its other account, but an administrator can.
        for (user, sees) in [("app", true), ("alone", false)] {
            let first = secret(&database.address, user, "first", r#","masterarn":"master""#);
            let store = Store::new(first, Some(admin(&database.address)));
            let cx = context(&store, &settings, StrategyName::SingleUser, &target);
            let mut details = Details::default();
            details.state = store.describe("s").await.unwrap();
            let seen = cx.inspect(&details, "2026-11-23T00:00:00Z".parse().unwrap()).await.unwrap();
            let search = cx.search(RecoveryMethod::LabelsFollow).await.unwrap();
            if sees {
                assert_eq!(seen.verdict.health, Health::Ailing, "{kind:?}: {:?}", seen.verdict);
                for sentence in [&seen.verdict.sentence, &search.sentence] {
                    assert!(
                        sentence.contains("`app`@`%`") && sentence.contains("`app`@`10.%`"),
                        "{sentence}"
                    );
                }
                assert_eq!((seen.namesakes.len(), search.namesakes.len()), (2, 2));
            } else {
                assert_eq!(seen.verdict.health, Health::Good, "{kind:?}: {:?}", seen.verdict);
                assert!(search.namesakes.is_empty());
            }
        }
    }
}
