//! Name, ARN and partial ARN of one secret share one entry; two secrets never do.

use secretcache::Selector;

use crate::timeline::{Read, Timeline, answer_of, outcome};

const ARN: &str = "arn:aws:secretsmanager:us-east-1:111122223333:secret:prod/db-AbCdEf";
const PARTIAL: &str = "arn:aws:secretsmanager:us-east-1:111122223333:secret:prod/db";

#[test]
fn after_a_read_by_name_the_arns_are_hits_too() {
    let time = Timeline::new();
    time.lead("prod/db").complete(answer_of(ARN, "v1", "one"), time.now);
    for id in ["prod/db", ARN, PARTIAL] {
        assert!(matches!(time.read(id), Read::Hit(value) if value == "one"), "{id}");
    }
    assert_eq!(time.cache.stats(time.now).secrets.len(), 1);
}

#[test]
fn whichever_id_comes_first_all_three_end_in_one_entry() {
    for order in [[ARN, "prod/db", PARTIAL], [PARTIAL, ARN, "prod/db"], ["prod/db", PARTIAL, ARN]] {
        let time = Timeline::new();
        for id in order {
            if let Read::Lead(permit, waiter) = time.read(id) {
                permit.complete(answer_of(ARN, "v1", "one"), time.now);
                assert_eq!(outcome(&waiter), Some(Ok("one".to_owned())));
            }
        }
        assert_eq!(time.cache.stats(time.now).secrets.len(), 1, "{order:?}");
        time.force(order[2]).complete(answer_of(ARN, "v2", "two"), time.now);
        for id in order {
            assert!(matches!(time.read(id), Read::Hit(value) if value == "two"), "{id} of {order:?}");
        }
    }
}

#[test]
fn requests_by_name_and_by_arn_at_the_same_time_answer_both_their_readers() {
    let time = Timeline::new();
    let Read::Lead(by_name, named) = time.read("prod/db") else { panic!("nobody leads") };
    let Read::Lead(by_arn, by_arn_waiter) = time.read(ARN) else { panic!("nobody leads") };
    by_name.complete(answer_of(ARN, "v1", "one"), time.now);
    assert_eq!(outcome(&named), Some(Ok("one".to_owned())));
    by_arn.complete(answer_of(ARN, "v1", "one"), time.now);
    assert_eq!(outcome(&by_arn_waiter), Some(Ok("one".to_owned())));
    for id in ["prod/db", ARN, PARTIAL] {
        assert!(matches!(time.read(id), Read::Hit(value) if value == "one"), "{id}");
    }
}

#[test]
fn a_slow_request_by_name_does_not_put_an_older_version_over_a_newer_one_had_by_arn() {
    let mut time = Timeline::new();
    let by_name = time.lead("prod/db");
    time.pass(1);
    // It began later and ended earlier, so it read the value after the rotation.
    time.lead(ARN).complete(answer_of(ARN, "v2", "two"), time.now);
    by_name.complete(answer_of(ARN, "v1", "one"), time.now);
    assert!(matches!(time.read(ARN), Read::Hit(value) if value == "two"), "the older answer won");
}

#[test]
fn forgetting_a_secret_by_one_id_forgets_it_by_all() {
    let time = Timeline::new();
    time.lead("prod/db").complete(answer_of(ARN, "v1", "one"), time.now);
    time.cache.invalidate(PARTIAL);
    for id in ["prod/db", ARN, PARTIAL] {
        assert!(time.cache.hit(id, Selector::CURRENT, time.now.coarse).is_none(), "{id}");
    }
}

#[test]
fn a_test_double_with_one_arn_for_everything_mixes_nothing_up() {
    let time = Timeline::new();
    let ids = ["prod/db", "other", "third", "prod/db2", "db"];
    for id in ids {
        time.lead(id).complete(answer_of(ARN, "v1", id), time.now);
    }
    for id in ids {
        assert!(matches!(time.read(id), Read::Hit(value) if value == id), "{id}");
    }
}

#[test]
fn a_name_that_ends_like_an_arn_is_not_taken_for_another_secret() {
    // The partial ARN of `prod/db-AbCdEf` is spelled like the full ARN of `prod/db`.
    let longer = format!("{ARN}-XyZ123");
    for order in [[0, 1], [1, 0]] {
        let time = Timeline::new();
        let secrets = [("prod/db", ARN, "short"), ("prod/db-AbCdEf", &*longer, "long")];
        for place in order {
            let (id, arn, value) = secrets[place];
            time.lead(id).complete(answer_of(arn, "v1", value), time.now);
        }
        for (id, _, value) in secrets {
            assert!(matches!(time.read(id), Read::Hit(held) if held == value), "{id} of {order:?}");
        }
    }
}

#[test]
fn a_secret_created_again_under_its_old_name_does_not_answer_for_the_old_arn() {
    let mut time = Timeline::new();
    time.lead("prod/db").complete(answer_of(ARN, "v1", "one"), time.now);
    time.pass(1);
    let renewed = format!("{PARTIAL}-ZyXwVu");
    time.force("prod/db").complete(answer_of(&renewed, "v2", "two"), time.now);
    assert!(matches!(time.read("prod/db"), Read::Hit(value) if value == "two"));
    assert!(!matches!(time.read(ARN), Read::Hit(value) if value == "two"), "another secret's value");
}

#[test]
fn replicas_in_two_regions_stay_apart() {
    let time = Timeline::new();
    let elsewhere = ARN.replace("us-east-1", "eu-west-1");
    time.lead(ARN).complete(answer_of(ARN, "v1", "here"), time.now);
    time.lead(&elsewhere).complete(answer_of(&elsewhere, "v1", "there"), time.now);
    assert!(matches!(time.read(ARN), Read::Hit(value) if value == "here"));
    assert!(matches!(time.read(&elsewhere), Read::Hit(value) if value == "there"));
}
