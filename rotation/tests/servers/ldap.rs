//! OpenLDAP, and the part of Active Directory that can be tested without one: OpenLDAP stores the bytes of its changes.

use std::collections::BTreeSet;
use std::io::Write;
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::sync::Arc;

use secretcache::{AWSCURRENT, AWSPENDING};
use secretcache_rotation::operate::RecoveryMethod;
use secretcache_rotation::targets::{Ldap, Route, Tls};
use secretcache_rotation::*;

use crate::support::{Address, Database, Kind, ServerTls, Store, context, run, secret, start, trust};
use crate::wire::{contains, overheard};

const APP: &str = "uid=app,ou=services,dc=example,dc=com";
const KEEPER: &str = "cn=keeper,dc=example,dc=com";
const STRANGER: &str = "cn=stranger,dc=example,dc=com";
const FIRST: &str = "the-first-one";

/// Returns a command-line client of the directory, logged in as the administrator.
fn client(address: &Address, program: &str) -> Command {
    let mut command = Command::new(program);
    let scheme = if address.ca_file.is_some() { "ldaps" } else { "ldap" };
    command.args(["-x", "-H", &format!("{scheme}://{}:{}", address.host, address.port)]);
    command.args(["-D", address.user, "-w", &address.password]);
    if let Some(ca_file) = &address.ca_file {
        command.env("LDAPTLS_CACERT", ca_file);
    }
    command
}

/// Creates or changes entries.
pub(crate) fn modify(address: &Address, ldif: &str) {
    let mut command = client(address, "ldapmodify");
    command.arg("-a").stdin(Stdio::piped()).stdout(Stdio::null());
    let mut running = command.spawn().unwrap();
    running.stdin.take().unwrap().write_all(ldif.as_bytes()).unwrap();
    assert!(running.wait().unwrap().success(), "{ldif}");
}

/// Returns every attribute of every entry, including operational ones, except for those that a password change affects.
fn everything(address: &Address) -> BTreeSet<String> {
    const EXPECTED: [&str; 5] =
        ["userPassword", "pwdChangedTime", "entryCSN", "modifyTimestamp", "modifiersName"];
    let mut command = client(address, "ldapsearch");
    command.args(["-LLL", "-o", "ldif-wrap=no", "-b", "dc=example,dc=com", "(objectClass=*)", "*", "+"]);
    let said = command.output().unwrap();
    let text = String::from_utf8(said.stdout).unwrap();
    assert!(text.contains("entryUUID") && text.contains("the shop's"), "{text}");
    let is_expected = |line: &&str| !EXPECTED.contains(&line.split(':').next().unwrap_or_default());
    // contextCSN is the server's clock.
    let lines = text.lines().filter(is_expected).filter(|line| !line.starts_with("contextCSN"));
    lines.map(str::to_owned).collect()
}

async fn server(tls: ServerTls) -> Database {
    let database = start(Kind::Ldap, tls);
    let entry = format!(
        "dn: {APP}\nobjectClass: account\nobjectClass: simpleSecurityObject\nobjectClass: user\nuid: app\n\
         description: the shop's\nuserPrincipalName: app@example.com\nuserPassword: {FIRST}\n"
    );
    run(&database.address, Kind::Ldap, &entry).await;
    database
}

fn app(address: &Address, password: &str, more: &str) -> Document {
    secret(address, APP, password, more)
}

fn administrator(address: &Address, user: &str) -> Document {
    let name = user.split(['=', ',']).nth(1).unwrap();
    secret(address, user, &format!("{name}-password"), "")
}

async fn probe(target: &Ldap, credential: &Document) -> Probe {
    target.probe(credential).await.unwrap()
}

#[tokio::test]
async fn a_single_user_gets_a_new_password_loses_the_old_and_nothing_else() {
    let database = server(ServerTls::Off).await;
    let address = &database.address;
    let before = everything(address);
    let target = Ldap::new(Tls::off());
    let store = Store::new(app(address, FIRST, ""), Some(administrator(address, KEEPER)));
    for master in [None, Some("master".to_owned())] {
        let former = store.value(AWSCURRENT).unwrap();
        let mut settings = Settings::default();
        settings.master_secret = master;
        store.rotate(&SingleUser { target: &target }, &settings).await.unwrap();
        assert_eq!(probe(&target, &store.value(AWSCURRENT).unwrap()).await, Probe::Accepted);
        assert_eq!(probe(&target, &former).await, Probe::Refused);
        assert_eq!(everything(address), before);
    }
}

#[tokio::test]
async fn a_password_that_the_policy_rejects_and_a_change_that_is_not_allowed_leave_all_as_it_was() {
    let database = server(ServerTls::Off).await;
    let address = &database.address;
    let before = everything(address);
    let target = Ldap::new(Tls::off());
    let mut short = Settings::default();
    short.password.length = 8;
    let stranger = Some(administrator(address, STRANGER));
    for (more, master, settings) in
        [("", None, &short), (r#","masterarn":"master""#, stranger, &Settings::default())]
    {
        let store = Store::new(app(address, FIRST, more), master);
        let rotated = store.rotate(&SingleUser { target: &target }, settings).await;
        let error = rotated.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Rejected, "{error}");
        assert!(store.value(AWSPENDING).is_none(), "{error}");
        assert_eq!(probe(&target, &app(address, FIRST, "")).await, Probe::Accepted);
        assert_eq!(everything(address), before);
    }
}

#[tokio::test]
async fn a_login_without_a_password_proves_nothing() {
    let database = server(ServerTls::Off).await;
    let target = Ldap::new(Tls::off());
    for empty in [secret(&database.address, APP, "", ""), secret(&database.address, "", FIRST, "")] {
        assert_eq!(target.probe(&empty).await.unwrap_err().kind(), ErrorKind::Misconfigured);
    }
    assert_eq!(
        target.accepts(&secret(&database.address, "app", FIRST, "")).unwrap_err().kind(),
        ErrorKind::Rejected
    );
}

#[tokio::test]
async fn a_password_changed_by_hand_is_healed_by_an_administrator_only_when_a_person_says_so() {
    let database = server(ServerTls::Off).await;
    let address = &database.address;
    let target = Ldap::new(Tls::off());
    let wrong = app(address, "a-wrong-one-by-hand", r#","masterarn":"master""#);
    let store = Store::new(wrong.clone(), Some(administrator(address, KEEPER)));
    let settings = Settings::default();
    let refused = store.rotate(&SingleUser { target: &target }, &settings).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Refused, "{refused}");
    let cx = context(&store, &settings, StrategyName::SingleUser, &target);
    let recovery = cx.search(RecoveryMethod::Administrator).await.unwrap();
    cx.carry_out(&recovery, &Unobserved).await.unwrap();
    assert_eq!(probe(&target, &wrong).await, Probe::Accepted);
}

#[tokio::test]
async fn the_dry_run_reports_what_a_directory_shows() {
    let database = server(ServerTls::Off).await;
    let address = &database.address;
    let login = administrator(address, KEEPER);
    let (known, unknown) = (app(address, FIRST, ""), secret(address, "uid=gone,dc=example,dc=com", "x", ""));
    let target = Ldap::new(Tls::off());
    let seen = target.diagnose(Requirements::new(&login, &known)).await.unwrap();
    assert_eq!((seen.server.as_str(), seen.findings.len()), ("OpenLDAP", 0), "{seen:?}");
    assert!(seen.warnings[0].contains("does not say beforehand"), "{seen:?}");
    let seen = target.diagnose(Requirements::new(&login, &unknown)).await.unwrap();
    assert!(seen.findings[0].problem.contains("cannot find the entry"), "{seen:?}");
    let seen = Ldap::active_directory(Tls::off()).diagnose(Requirements::new(&known, &known)).await.unwrap();
    assert!(seen.findings[0].problem.contains("not Active Directory"), "{seen:?}");
}

/// A route that maps every server to one address.
#[derive(Debug)]
struct At(SocketAddr);

impl Route for At {
    fn addresses<'a>(&'a self, _: &'a str, _: u16) -> BoxFuture<'a, Result<Vec<SocketAddr>, Error>> {
        Box::pin(async { Ok(vec![self.0]) })
    }
}

#[tokio::test]
async fn the_server_is_verified_before_anything_is_said() {
    let database = server(ServerTls::On).await;
    let (through, seen) = overheard(&database.address).await;
    let tls = trust(&database.address);
    let current = app(&through, FIRST, "");
    assert_eq!(probe(&Ldap::new(tls.clone()), &current).await, Probe::Accepted);
    // The second listener supports StartTLS.
    let second = SocketAddr::from(([127, 0, 0, 2], database.address.port));
    let later = Ldap::new(tls.clone()).via(Arc::new(At(second)));
    assert_eq!(probe(&later, &current.with("starttls", "true").unwrap()).await, Probe::Accepted);
    let store = Store::new(app(&through, FIRST, r#","starttls":true"#), None);
    store.rotate(&SingleUser { target: &later }, &Settings::default()).await.unwrap();

    let stranger = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let doubting = Tls::with_authorities(&stranger.cert.pem()).unwrap();
    for (target, more, kind) in [
        (Ldap::new(doubting.clone()), "", ErrorKind::Untrusted),
        (Ldap::new(doubting).via(Arc::new(At(second))), r#","starttls":true"#, ErrorKind::Untrusted),
        // The server does not support StartTLS on this port.
        (Ldap::new(tls), r#","starttls":true"#, ErrorKind::Unavailable),
    ] {
        let error = target.probe(&app(&through, FIRST, more)).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
    }
    assert!(!contains(&seen, FIRST) && !contains(&seen, "uid=app"));
}

#[tokio::test]
async fn no_administrator_goes_where_the_applications_secret_points() {
    let database = server(ServerTls::Off).await;
    let (theirs, seen) = overheard(&database.address).await;
    let bare = format!(r#"{{"username":"{KEEPER}","password":"keeper-password"}}"#);
    let store =
        Store::new(app(&theirs, FIRST, r#","masterarn":"master""#), Some(Document::parse(&bare).unwrap()));
    let target = Ldap::new(Tls::off());
    let settings = Settings::default();
    let error = store.rotate(&SingleUser { target: &target }, &settings).await.unwrap_err();
    assert!(error.message().contains("--master-host"), "{error}");
    let cx = context(&store, &settings, StrategyName::SingleUser, &target);
    drop(cx.forecast(None, None).await);
    for method in [RecoveryMethod::LabelsFollow, RecoveryMethod::Administrator] {
        drop(cx.search(method).await);
    }
    assert!(contains(&seen, "uid=app") && !contains(&seen, "keeper"));
}

/// Returns the directory's value of `unicodePwd`, Active Directory's attribute, in Base64.
fn unicode_password(address: &Address) -> String {
    let mut command = client(address, "ldapsearch");
    command.args(["-LLL", "-o", "ldif-wrap=no", "-b", APP, "-s", "base", "unicodePwd"]);
    let text = String::from_utf8(command.output().unwrap().stdout).unwrap();
    text.lines().find_map(|line| line.strip_prefix("unicodePwd:: ")).unwrap_or_default().to_owned()
}

#[tokio::test]
async fn active_directorys_changes_have_its_form() {
    let database = server(ServerTls::Off).await;
    let address = &database.address;
    let target = Ldap::active_directory(Tls::off());
    let (own, admin) = (app(address, FIRST, ""), administrator(address, KEEPER));
    let by_name = own.with("username", "app@example.com").unwrap();
    target.accepts(&by_name).unwrap();
    // The quoted passwords as UTF-16, such as `"pä"`.
    for (login, credential, shown) in [
        (&admin, by_name.with("password", "pä").unwrap(), "IgBwAOQAIgA="),
        (&admin, own.with("password", FIRST).unwrap(), "IgB0AGgAZQAtAGYAaQByAHMAdAAtAG8AbgBlACIA"),
        (&own, own.with("password", "next").unwrap(), "IgBuAGUAeAB0ACIA"),
    ] {
        let change = Change { login, credential: &credential, keep: None };
        assert_eq!(target.apply(change).await.unwrap(), Applied::Done);
        assert_eq!(unicode_password(address), shown);
    }
    // A user that makes the change itself must send the right current password.
    let credential = own.with("password", "another").unwrap();
    let error = target.apply(Change { login: &own, credential: &credential, keep: None }).await.unwrap_err();
    assert!(
        unicode_password(address) == "IgBuAGUAeAB0ACIA" && !error.message().contains("another"),
        "{error}"
    );
    let unknown = own.with("username", "*@example.com").unwrap();
    let error = target.apply(Change { login: &admin, credential: &unknown, keep: None }).await.unwrap_err();
    assert!(error.message().starts_with("0 entries"), "{error}");
}
