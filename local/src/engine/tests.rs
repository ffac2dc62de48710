//! Tests that reads do not wait for other requests.

use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use super::*;

const READ: Envelope<'static> = Envelope {
    target: Some("secretsmanager.GetSecretValue"),
    content_type: Some("application/x-amz-json-1.1"),
    authorization: None,
};

fn engine() -> Arc<Engine> {
    let engine = Engine::new(&Options::default(), Functions::default()).unwrap();
    let body =
        br#"{"Name":"db","SecretString":"one","ClientRequestToken":"11111111-1111-4111-8111-111111111111"}"#;
    engine.execute(engine.defaults.clone(), "CreateSecret", body).unwrap();
    // The first read of a day records the day, which is a change.
    engine.execute(engine.defaults.clone(), "GetSecretValue", br#"{"SecretId":"db"}"#).unwrap();
    Arc::new(engine)
}

/// Returns whether a read is answered while this thread holds a lock.
fn is_read_now(engine: &Arc<Engine>) -> bool {
    let (answered, answer) = channel();
    let engine = Arc::clone(engine);
    // A blocked read ends when this test does.
    let reading = move || {
        let reply = engine.try_read(&READ, br#"{"SecretId":"db"}"#);
        let _ = answered.send(reply.is_some_and(|reply| reply.is_ok()));
    };
    thread::Builder::new().spawn(reading).unwrap();
    answer.recv_timeout(Duration::from_secs(10)).unwrap_or(false)
}

#[test]
fn l6_a_listing_that_takes_its_time_holds_up_no_read() {
    let engine = engine();
    assert!(engine.with_store(|_, _| is_read_now(&engine)));
}

#[test]
fn l6_a_change_on_its_way_to_the_disk_holds_up_no_read() {
    let engine = engine();
    let _held = engine.writer();
    assert!(is_read_now(&engine));
}
