//! Users of a service with an HTTP interface, whose passwords an administrator sets.

use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secretcache_rotation::targets::{HttpTarget, Tls};
use secretcache_rotation::*;
use serde_json::{Value, json};

use crate::service::Service;
use crate::support::Store;

/// Starts a service with an administrator and a user `victim`, and returns it with the victim's password.
async fn service() -> (Service, Arc<Mutex<String>>) {
    let password = Arc::new(Mutex::new("victims-own".to_owned()));
    let held = Arc::clone(&password);
    let service = Service::start(move |request| {
        let admin = STANDARD.encode("admin:admin-password");
        let user = STANDARD.encode(format!("victim:{}", held.lock().unwrap()));
        let logs_in = |basic: &str| request.contains(&format!("authorization: Basic {basic}\r\n"));
        match request.split_once(' ') {
            Some((_, rest)) if rest.starts_with("/whoami") && (logs_in(&user) || logs_in(&admin)) => {
                (200, json!({}))
            }
            Some(("GET", _)) if logs_in(&admin) => (200, json!({})),
            Some(("PUT", _)) if logs_in(&admin) => {
                let body: Value = serde_json::from_str(request.split_once("\r\n\r\n").unwrap().1).unwrap();
                body["password"].as_str().unwrap().clone_into(&mut held.lock().unwrap());
                (204, json!(null))
            }
            _ => (401, json!({})),
        }
    })
    .await;
    (service, password)
}

/// Returns the description of the service on a port, whose test goes to `tested`.
fn description(tested: &str, port: u16) -> String {
    format!(
        r#"
        protocol = "http"
        auth = {{ basic = ["{{login.username}}", "{{login.password}}"] }}
        [test]
        url = "{tested}/whoami"
        auth = {{ basic = ["{{username}}", "{{password}}"] }}
        [user]
        url = "http://127.0.0.1:{port}/users/{{username}}"
        [[apply]]
        method = "PUT"
        url = "http://127.0.0.1:{port}/users/{{username}}"
        body = '{{"password": "{{password}}"}}'
        "#
    )
}

fn settings() -> Settings {
    let mut settings = Settings::default();
    settings.master_secret = Some("master".into());
    settings
}

/// Returns the secret of somebody who names a user that is not theirs, and a server of their own that accepts it.
fn forged(port: u16, evil: u16) -> Document {
    let text = format!(
        r#"{{"username":"victim","password":"a guess","host":"127.0.0.1","port":{port},"endpoint":"127.0.0.1","at":{evil}}}"#
    );
    Document::parse(&text).unwrap()
}

fn master(port: u16) -> Document {
    let text =
        format!(r#"{{"username":"admin","password":"admin-password","host":"127.0.0.1","port":{port}}}"#);
    Document::parse(&text).unwrap()
}

#[tokio::test]
async fn a_proof_at_a_server_that_the_secret_chooses_is_none() {
    let (service, password) = service().await;
    let evil = Service::start(|_| (200, json!({}))).await;
    for tested in ["http://{endpoint}:{at}", "http://{login.endpoint}:{login.at}"] {
        let target = HttpTarget::from_toml(&description(tested, service.port), Tls::off());
        if let Ok(target) = &target {
            let store = Store::new(forged(service.port, evil.port), Some(master(service.port)));
            drop(store.rotate(&SingleUser { target }, &settings()).await);
        }
        assert_eq!(*password.lock().unwrap(), "victims-own", "{tested}");
        let error = target.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Misconfigured);
        assert!(error.message().contains("[test]") && error.message().contains("{host}"), "{error}");
    }
}

#[tokio::test]
async fn a_proof_is_at_the_server_of_the_administrator() {
    let (service, password) = service().await;
    let evil = Service::start(|_| (200, json!({}))).await;
    for tested in ["http://{host}:{port}", "http://{login.host}:{login.port}"] {
        let target = HttpTarget::from_toml(&description(tested, service.port), Tls::off()).unwrap();
        let strategy = SingleUser { target: &target };
        let store = Store::new(forged(evil.port, evil.port), Some(master(service.port)));
        let error = store.rotate(&strategy, &settings()).await.unwrap_err();
        assert!(error.message().contains("another server"), "{error}");
        assert_eq!(*password.lock().unwrap(), "victims-own");

        let own = forged(service.port, evil.port).with("password", "victims-own").unwrap();
        let store = Store::new(own, Some(master(service.port)));
        store.rotate(&strategy, &settings()).await.unwrap();
        let new = store.value(secretcache::AWSCURRENT).unwrap().password().unwrap();
        assert_eq!(*password.lock().unwrap(), *new);
        "victims-own".clone_into(&mut password.lock().unwrap());
    }
}
