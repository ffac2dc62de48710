//! Every form of field that repeats a credential, and fields that only look like one.

use super::*;

const DISTINCTIVE: &str = "fI7st;{}Pass=%w#rd";
const NEW: &str = "n3w P'ss\\w=r;d&{?#";

fn secret(password: &str, more: &[(&str, &str)]) -> Document {
    let text = r#"{"engine":"postgres","host":"db.example","port":5432,"username":"app","dbname":"app"}"#;
    let document = Document::parse(text).unwrap().with("password", password).unwrap();
    more.iter().fold(document, |document, (name, value)| document.with(name, value).unwrap())
}

fn encoded(text: &str) -> String {
    let mut encoded = String::new();
    percent::encode(text, &mut encoded);
    encoded
}

fn basic(user: &str, password: &str) -> String {
    STANDARD.encode(format!("{user}:{password}"))
}

/// The new value of one field when the credential changes; `None` if it is left alone.
fn followed(password: &str, user: &str, name: &str, value: &str) -> Result<Option<String>, ErrorKind> {
    let current = secret(password, &[(name, value)]);
    let next = current.with("password", NEW).unwrap().with("username", user).unwrap();
    let followed = follow(&current, next).map_err(|error| {
        assert!(!error.message().contains(password), "{error}");
        error.kind()
    })?;
    verify(&current, &followed).unwrap();
    let text = followed.field(name).unwrap().to_string();
    Ok((text != value).then_some(text))
}

#[test]
fn every_known_form_is_made_anew() {
    let (old, new) = (encoded(DISTINCTIVE), encoded(NEW));
    for (name, value, wanted) in [
        (
            "url",
            format!("postgres://app:{old}@db.example:5432/app?a=b#c"),
            format!("postgres://app_clone:{new}@db.example:5432/app?a=b#c"),
        ),
        // An unusual spelling: only the reserved characters are encoded.
        (
            "DATABASE_URL",
            "postgresql+psycopg://app:fI7st;{}Pass=%25w%23rd@elsewhere/".to_owned(),
            format!("postgresql+psycopg://app_clone:{new}@elsewhere/"),
        ),
        ("redis", format!("rediss://:{old}@db.example"), format!("rediss://:{new}@db.example")),
        (
            "jdbc",
            format!("jdbc:postgresql://db.example/app?user=app&password={old}&ssl=true"),
            format!("jdbc:postgresql://db.example/app?user=app_clone&password={new}&ssl=true"),
        ),
        ("basic", basic("app", DISTINCTIVE), basic("app_clone", NEW)),
        (
            "authorization",
            format!("Basic {}", basic("app", DISTINCTIVE)),
            format!("Basic {}", basic("app_clone", NEW)),
        ),
        ("PGPASSWORD", DISTINCTIVE.to_owned(), NEW.to_owned()),
        ("copy", DISTINCTIVE.to_owned(), NEW.to_owned()),
        ("PGUSER", "app".to_owned(), "app_clone".to_owned()),
        (
            "dsn",
            format!("host=db.example dbname=app  user=app password={DISTINCTIVE}"),
            format!(
                "host=db.example dbname=app user=app_clone password='{}'",
                NEW.replace('\\', "\\\\").replace('\'', "\\'")
            ),
        ),
        (
            "dsn",
            format!("password = '{DISTINCTIVE}' application_name='my app'"),
            format!(
                "password='{}' application_name='my app'",
                NEW.replace('\\', "\\\\").replace('\'', "\\'")
            ),
        ),
    ] {
        assert_eq!(followed(DISTINCTIVE, "app_clone", name, &value), Ok(Some(wanted)), "{name}");
    }
}

#[test]
fn a_form_that_is_not_understood_is_refused() {
    for value in [
        format!("Server=db;Uid=app;Pwd={DISTINCTIVE};"),
        format!("postgres://app:{DISTINCTIVE}@db.example/app"),
        format!(r#"{{"datasource": {{"password": "{DISTINCTIVE}"}}}}"#),
        format!("sqlserver://db;user=app;password={}", encoded(DISTINCTIVE)),
        STANDARD.encode(format!("{{{DISTINCTIVE}}}")),
        format!("postgres://app:{0}@db.example/?also={0}", encoded(DISTINCTIVE)),
    ] {
        assert_eq!(followed(DISTINCTIVE, "app", "config", &value), Err(ErrorKind::Misconfigured), "{value}");
    }
    // Neither quoting nor nesting hides it.
    let nested =
        r#"{"host":"db","username":"app","password":"q\"uo-Te8","more":{"a":["x",{"b":"q\"uo-Te8"}]}}"#;
    let current = Document::parse(nested).unwrap();
    let error = follow(&current, current.with("password", NEW).unwrap()).unwrap_err();
    assert!(error.message().contains("\"more\"") && !error.message().contains("uo-Te8"), "{error}");
}

#[test]
fn a_word_that_is_a_password_by_chance_is_left_alone_where_it_is_none() {
    for (name, value) in [
        ("schema", "postgres"),
        ("note", "the postgres of the shop"),
        ("replica", "postgres.internal"),
        ("url", "https://postgres.example/?q=postgres"),
    ] {
        assert_eq!(followed("postgres", "app", name, value), Ok(None), "{name}");
    }
    let made = followed("postgres", "app", "url", "postgres://app:postgres@db.example/postgres").unwrap();
    assert_eq!(made, Some(format!("postgres://app:{}@db.example/postgres", encoded(NEW))));
    assert_eq!(followed("postgres", "app", "db_password", "postgres"), Ok(Some(NEW.to_owned())));
    assert_eq!(followed("postgres", "app", "net", "Server=x;Pwd=postgres"), Err(ErrorKind::Misconfigured));
    assert_eq!(
        followed("postgres", "app", "json", r#"{"password":"postgres"}"#),
        Err(ErrorKind::Misconfigured)
    );
}

#[test]
fn what_others_use_is_none_of_a_rotations_business() {
    for value in [
        "postgres://billing:t0p-Secret@db.example/app",
        "postgres://app:t0p-Secret@other.example/app",
        "https://example.com/app",
        "app",
        "",
    ] {
        assert_eq!(followed(DISTINCTIVE, "app", "other", value), Ok(None), "{value}");
    }
    // A stale credential of the same user at the same server is updated too.
    let stale = followed(DISTINCTIVE, "app", "url", "postgres://app:older@DB.example:5432/app").unwrap();
    assert_eq!(stale, Some(format!("postgres://app:{}@DB.example:5432/app", encoded(NEW))));
}

#[test]
fn a_new_version_with_a_stale_field_is_rejected() {
    let url = |password: &str| format!("postgres://app:{}@db.example/app", encoded(password));
    let current = secret(DISTINCTIVE, &[("url", &url(DISTINCTIVE)), ("basic", &basic("app", DISTINCTIVE))]);
    let next = current.with("password", NEW).unwrap();
    let rejected = |next: &Document| verify(&current, next).unwrap_err().kind() == ErrorKind::Rejected;
    assert!(rejected(&next));
    let half = next.with("url", &url(NEW)).unwrap();
    assert!(rejected(&half));
    assert!(rejected(&half.with("basic", "").unwrap()));
    verify(&current, &half.with("basic", &basic("app", NEW)).unwrap()).unwrap();
    // An unusual spelling of the new password is accepted.
    let loose = half
        .with("basic", &basic("app", NEW))
        .unwrap()
        .with("url", &format!("postgres://app:{}@db.example/app", encoded(NEW).replace("%27", "'")));
    verify(&current, &loose.unwrap()).unwrap();
    assert_eq!(names(&current, "app"), ["url", "basic"]);
}
