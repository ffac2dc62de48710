//! The administrator's credential, and the server it may be sent to.

use secretcache::Selector;

use crate::document::Document;
use crate::error::{Error, ErrorKind};
use crate::resource::Resource;
use crate::settings::Settings;
use crate::store::SecretStore;

/// Returns `credential` with TLS as the stronger one says, if its own is weaker; `None` if it is not.
///
/// Anyone on the network can accept a login that is made without TLS. So before an administrator acts for a user, the
/// user's login is proven with the administrator's TLS, whatever the application's secret says.
pub(crate) fn with_tls_of(stronger: &Document, credential: &Document) -> Result<Option<Document>, Error> {
    let is_weaker = says_ssl(credential, "false") && !says_ssl(stronger, "false")
        || says_ssl(stronger, "true") && !says_ssl(credential, "true");
    if !is_weaker {
        return Ok(None);
    }
    // An empty field says nothing, like a missing one: the operator's options apply.
    credential.with("ssl", &stronger.field("ssl").unwrap_or_default()).map(Some)
}

fn says_ssl(document: &Document, wanted: &str) -> bool {
    document.field("ssl").is_some_and(|ssl| ssl.eq_ignore_ascii_case(wanted))
}

/// Returns the administrator's credential for the resource that `user` is for, if the settings or the user's secret
/// name a master secret.
///
/// Where the administrator logs in, and whether TLS is used, comes only from the master secret and the operator.
/// Otherwise anyone who can write the application's secret could have the administrator's password sent to a server of
/// their choice. The application's secret can only turn TLS on.
pub(crate) async fn administrator(
    store: &dyn SecretStore,
    settings: &Settings,
    user: &Document,
) -> Result<Option<Document>, Error> {
    let named = user.field("masterarn");
    let Some(master) = settings.master_secret.as_deref().or(named.as_deref().map(String::as_str)) else {
        return Ok(None);
    };
    let misconfigured = |text: String| Error::new(ErrorKind::Misconfigured, text);
    let Some(version) = store.get(master, Selector::CURRENT).await? else {
        return Err(misconfigured("the master secret has no AWSCURRENT value".to_owned()));
    };
    let mut admin = version.document;
    if let Some(server) = &settings.master_host {
        admin = admin.with("host", &server.host)?;
        if let Some(port) = server.port {
            admin = admin.with("port", &port.to_string())?;
        }
    }
    let lacks = |field: &str, sent: &str| {
        misconfigured(format!(
            "the master secret has no {field:?}, and the application's secret must not decide {sent} the administrator's \
             password is sent: add {field:?} to the master secret {master:?}, or name the server with --master-host \
             (a rotation function: SECRETCACHE_MASTER_HOST)"
        ))
    };
    if let (Some(_), None) = (user.field("host"), admin.field("host")) {
        return Err(lacks("host", "where"));
    }
    if !admin.is_same_resource(user) {
        return Err(misconfigured(
            "the master secret is for another server: its host, port or engine differs from the application's secret"
                .to_owned(),
        ));
    }
    if admin.field("port").is_none() {
        // Without a `port`, the administrator logs in at the engine's default port, so the engine must come from the
        // master secret too.
        let engine = admin.field("engine").and_then(|engine| Resource::from_engine(&engine));
        let usual = |port: &str| engine.is_some_and(|engine| engine.usual_port().to_string() == port.trim());
        let is_decided = user.field("port").is_none_or(|port| usual(&port))
            && (engine.is_some() || user.field("engine").is_none());
        if !is_decided {
            return Err(lacks("port", "to which port"));
        }
    }
    if says_ssl(user, "true") {
        admin = admin.with("ssl", "true")?;
    }
    // Privileges and ownership are per database, so the administrator connects to the user's.
    match user.field("dbname") {
        Some(dbname) => admin.with("dbname", &dbname).map(Some),
        None => Ok(Some(admin)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proof_has_tls_wherever_the_administrator_has() {
        let (off, on, unsaid) = (r#"{"ssl":"False"}"#, r#"{"ssl":true}"#, "{}");
        let ssl = |stronger: &str, credential: &str| {
            let parse = |text: &str| Document::parse(text).unwrap();
            let raised = with_tls_of(&parse(stronger), &parse(credential)).unwrap();
            raised.map(|raised| raised.field("ssl").unwrap().to_string())
        };
        assert_eq!(ssl(on, off).as_deref(), Some("true"));
        assert_eq!(ssl(on, unsaid).as_deref(), Some("true"), "the operator can turn it off on loopback");
        assert_eq!(ssl(unsaid, off).as_deref(), Some(""));
        for (stronger, credential) in
            [(off, off), (off, on), (off, unsaid), (unsaid, on), (unsaid, unsaid), (on, on)]
        {
            assert_eq!(ssl(stronger, credential), None, "{stronger} {credential}");
        }
    }
}
