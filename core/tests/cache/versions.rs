//! Several versions of one secret: each has its own entry, and one description confirms all of them.

use std::time::Duration;

use secretcache::host::{Answer, Operation};
use secretcache::{AWSPENDING, AWSPREVIOUS, Fetched, Selector};

use crate::timeline::{Read, TTL, Timeline, answer, described};

const ID_1: &str = "11111111-1111-1111-1111-111111111111";
const ID_2: &str = "22222222-2222-2222-2222-222222222222";

#[test]
fn stages_and_version_ids_do_not_get_in_each_others_way() {
    let time = Timeline::new();
    let selectors =
        [Selector::CURRENT, Selector::stage(AWSPENDING), Selector::stage("blue"), Selector::version_id(ID_1)];
    for selector in selectors {
        let value = selector.to_string();
        time.lead_version("db", selector).complete(answer("v", &value), time.now);
    }
    for selector in selectors {
        let hit = time.cache.hit("db", selector, time.now.coarse).unwrap();
        assert_eq!(hit.string().unwrap(), selector.to_string());
    }
}

#[test]
fn the_label_awscurrent_is_the_default() {
    let time = Timeline::new();
    time.fill("db", "v1", "one");
    assert!(matches!(time.read_version("db", Selector::stage("AWSCURRENT")), Read::Hit(_)));
}

#[test]
fn one_description_confirms_every_version_that_kept_its_label() {
    let mut time = Timeline::new();
    let (pending, previous) = (Selector::stage(AWSPENDING), Selector::stage(AWSPREVIOUS));
    time.fill("db", ID_1, "one");
    time.lead_version("db", pending).complete(answer(ID_2, "two"), time.now);
    time.lead_version("db", previous).complete(answer("v0", "zero"), time.now);
    time.pass(TTL);
    let Read::Due(_, permit) = time.read("db") else { panic!("no permit granted") };
    let description = described(&[(ID_1, "AWSCURRENT"), (ID_2, AWSPENDING), ("v1", AWSPREVIOUS)]);
    permit.complete(Ok(Answer::unchanged().with_description(description)), time.now);

    assert!(matches!(time.read_version("db", pending), Read::Hit(value) if value == "two"));
    // The label is known to have moved, so the value is no longer fresh, whatever its age.
    let Read::Due(_, permit) = time.read_version("db", previous) else { panic!("served as fresh") };
    permit.complete(answer("v1", "moved"), time.now);
    assert!(matches!(time.read_version("db", previous), Read::Hit(value) if value == "moved"));
}

#[test]
fn a_confirmed_version_shows_the_labels_it_has_now() {
    let mut time = Timeline::new();
    let with_stages = |stages: &[&str]| {
        let mut fetched = Fetched::string(ID_1, "one");
        fetched.version_stages = stages.iter().map(|stage| (*stage).to_owned()).collect();
        Ok(Answer::value(fetched))
    };
    time.lead("db").complete(with_stages(&["AWSCURRENT"]), time.now);
    time.lead_version("db", Selector::stage(AWSPENDING)).complete(answer(ID_2, "two"), time.now);
    time.pass(TTL);
    let description = || {
        let mut description = described(&[(ID_2, AWSPENDING)]);
        description.versions.push((ID_1.to_owned(), vec!["AWSCURRENT".into(), "blue".into()]));
        description
    };
    let labels = |time: &Timeline| {
        let hit = time.cache.peek("db", Selector::CURRENT, time.now).unwrap();
        hit.version_stages().to_vec()
    };
    // The labels change by the version's own refresh, and by that of another version.
    let Read::Due(_, permit) = time.read("db") else { panic!("no permit granted") };
    permit.complete(Ok(Answer::unchanged().with_description(description())), time.now);
    assert_eq!(labels(&time), ["AWSCURRENT", "blue"]);

    time.force("db").complete(with_stages(&["AWSCURRENT"]), time.now);
    time.pass(TTL);
    let Read::Due(_, permit) = time.read_version("db", Selector::stage(AWSPENDING)) else {
        panic!("no permit granted")
    };
    permit.complete(Ok(Answer::unchanged().with_description(description())), time.now);
    assert_eq!(labels(&time), ["AWSCURRENT", "blue"]);
}

#[test]
fn a_version_held_for_another_label_is_offered_instead_of_being_fetched_again() {
    let time = Timeline::new();
    let pending = Selector::stage(AWSPENDING);
    time.lead_version("db", pending).complete(answer(ID_2, "two"), time.now);
    let permit = time.lead("db");
    assert_eq!(permit.held(ID_2).unwrap().string().unwrap(), "two");
    assert!(permit.held(ID_1).is_none());
}

#[test]
fn a_description_that_is_still_fresh_is_offered_for_other_versions() {
    let mut time = Timeline::new();
    let description = described(&[(ID_1, "AWSCURRENT"), (ID_2, AWSPENDING)]);
    let first = Ok(Answer::value(Fetched::string(ID_1, "one")).with_description(description));
    time.lead("db").complete(first, time.now);
    time.pass(TTL / 2 - 1);
    let permit = time.lead_version("db", Selector::stage(AWSPENDING));
    assert_eq!(permit.description().unwrap().version_with_stage(AWSPENDING), Some(ID_2));
    drop(permit);
    time.pass(TTL);
    assert!(time.lead_version("db", Selector::stage(AWSPENDING)).description().is_none());
}

#[test]
fn a_denied_description_is_asked_for_once_an_hour_at_most() {
    let mut time = Timeline::new();
    let permit = time.lead("db");
    assert!(permit.may_describe());
    let value = Answer::value(Fetched::string(ID_1, "one"));
    permit.complete(Ok(value.describe_denied()), time.now);
    let mut asked = 0;
    for _ in 0..40 {
        time.pass(TTL);
        let Read::Due(_, permit) = time.read("db") else { panic!("no permit granted") };
        let denied = permit.may_describe();
        asked += u32::from(denied);
        time.cache.count_call(Operation::GetSecretValue);
        let value = Answer::value(Fetched::string(ID_1, "one"));
        permit.complete(Ok(if denied { value.describe_denied() } else { value }), time.now);
    }
    assert_eq!(asked, 1, "40 refreshes in {:?}", Duration::from_secs(40 * TTL));
    for _ in 0..7 * 86_400 / TTL {
        time.pass(TTL);
        let Read::Due(_, permit) = time.read("db") else { panic!("no permit granted") };
        let denied = permit.may_describe();
        asked += u32::from(denied);
        let value = Answer::value(Fetched::string(ID_1, "one"));
        permit.complete(Ok(if denied { value.describe_denied() } else { value }), time.now);
    }
    assert!(asked < 8, "and ever more rarely: {asked} times in a week");
}

#[test]
fn ten_versions_of_a_secret_are_kept_and_the_current_one_always() {
    let time = Timeline::new();
    time.fill("db", "v0", "current");
    for number in 0..50 {
        let stage = format!("stage-{number}");
        time.lead_version("db", Selector::stage(&stage)).complete(answer("v", &stage), time.now);
    }
    assert_eq!(time.cache.stats(time.now).secrets.len(), 10);
    assert!(matches!(time.read("db"), Read::Hit(value) if value == "current"));
    assert!(matches!(time.read_version("db", Selector::stage("stage-49")), Read::Hit(_)));
    assert!(matches!(time.read_version("db", Selector::stage("stage-0")), Read::Lead(..)));
}
