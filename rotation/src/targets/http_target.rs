//! Users with passwords behind an HTTP interface, managed with requests that the operator describes.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;
use zeroize::Zeroizing;

use super::api_key::description::{Auth, Body, Method, Request, place};
use super::api_key::http::{Answer, Client};
use super::api_key::{exchange, text};
use super::derived::Derived;
use super::template::names;
use super::{Route, Tls, check_credential};
use crate::document::Document;
use crate::error::{Error, ErrorKind};
use crate::resource::StrategyName;
use crate::store::BoxFuture;
use crate::target::{Accounts, Applied, Change, Probe, Target, UserStatus};

/// A target whose requests the operator writes.
///
/// Requests are templates with these placeholders:
///
/// - `{name}`: a field of the credential that is tested or changed
/// - `{login.name}`: a field of the credential that makes the change
/// - `{reference.name}`: a field of the credential of the user in use
/// - `{kept.name}`: a value that `[user]` keeps
/// - `{item.name}`: a field of the item that is copied
/// - `{of}`: the name of the user whose items are listed
///
/// `docs/targets-by-http.md` describes every setting.
#[derive(Clone, Debug)]
pub struct HttpTarget {
    description: Arc<Description>,
    client: Client,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Description {
    /// Always `http`: the caller has checked it.
    #[serde(rename = "protocol")]
    _protocol: String,
    strategy: Option<String>,
    auth: Option<Auth>,
    test: Test,
    user: User,
    apply: Vec<Plain>,
    accounts: Option<AccountSection>,
    #[serde(default)]
    derived: Derived,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Plain {
    #[serde(default)]
    method: Method,
    url: String,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    auth: Option<Auth>,
    body: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Test {
    url: String,
    auth: Auth,
    #[serde(default = "refusals")]
    refused_status: Vec<u16>,
    /// Text that marks a response as an acceptance even though its status is one of `refused_status`.
    accepted_text: Option<String>,
}

fn refusals() -> Vec<u16> {
    vec![401, 403]
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct User {
    url: String,
    #[serde(default)]
    keep: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct AccountSection {
    create: Vec<Plain>,
    #[serde(default)]
    copy: Vec<Copied>,
}

/// A list of items that belong to a user, such as permissions, and the requests that copy it to the second user.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Copied {
    url: String,
    #[serde(default)]
    items: String,
    key: Vec<String>,
    compare: Vec<String>,
    put: Plain,
    delete: Plain,
}

impl Plain {
    fn request(&self) -> Request {
        Request {
            method: self.method,
            url: self.url.clone(),
            named_url: None,
            headers: self.headers.clone(),
            auth: self.auth.clone(),
            body: self.body.clone().map(Body::Text),
        }
    }
}

/// The sources of the values that a request's placeholders name.
#[derive(Clone, Copy, Default)]
struct Values<'a> {
    credential: Option<&'a Document>,
    login: Option<&'a Document>,
    reference: Option<&'a Document>,
    kept: Option<&'a BTreeMap<String, String>>,
    item: Option<&'a Value>,
    of: Option<&'a str>,
}

impl Values<'_> {
    fn value(&self, name: &str) -> Result<Zeroizing<String>, Error> {
        let none = || Error::new(ErrorKind::Misconfigured, format!("{{{name}}} is not available here"));
        match name.split_once('.') {
            Some(("login", field)) => self.login.ok_or_else(none)?.require(field),
            Some(("reference", field)) => self.reference.ok_or_else(none)?.require(field),
            Some(("kept", field)) => {
                let kept = self.kept.and_then(|kept| kept.get(field)).ok_or_else(none)?;
                Ok(kept.clone().into())
            }
            Some(("item", field)) => {
                let found = self.item.and_then(|item| text(item, &format!("/{field}")));
                Ok(found.ok_or_else(none)?.into())
            }
            Some(_) => Err(none()),
            None if name == "of" => Ok(self.of.ok_or_else(none)?.to_owned().into()),
            None => self.credential.ok_or_else(none)?.require(name),
        }
    }
}

impl HttpTarget {
    /// Creates a target from its description.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Misconfigured`], with the reason.
    pub fn from_toml(text: &str, tls: Tls) -> Result<Self, Error> {
        let wrong = |what: String| {
            Error::new(ErrorKind::Misconfigured, format!("the description of the requests {what}"))
        };
        let description: Description = toml::from_str(text)
            .map_err(|error| wrong(format!("cannot be parsed: {}", place(text, &error))))?;
        if let Some(strategy) = &description.strategy
            && !matches!(
                StrategyName::from_name(strategy),
                Some(StrategyName::SingleUser | StrategyName::AlternatingUsers)
            )
        {
            return Err(wrong("has a strategy other than single-user and alternating-users".into()));
        }
        if description.apply.is_empty() {
            return Err(wrong("has no request in [[apply]] to change the password".into()));
        }
        // Write access to the secret must not be enough to redirect an administrator's credential to another host.
        let copied = description.accounts.iter().flat_map(|accounts| &accounts.copy);
        let copied = copied.flat_map(|copied| [&copied.url, &copied.put.url, &copied.delete.url]);
        let created =
            description.accounts.iter().flat_map(|accounts| &accounts.create).map(|plain| &plain.url);
        let applied = description.apply.iter().map(|plain| &plain.url);
        let place = |url: &str| {
            let rest = url.split_once("://").map_or("", |(_, rest)| rest);
            rest.split('/').next().unwrap_or_default().to_owned()
        };
        for url in applied.chain(copied).chain(created).chain([&description.user.url]) {
            if names(&place(url)).any(|name| !name.starts_with("login.")) {
                return Err(wrong(format!(
                    "lets the secret decide where {url:?} goes: write the host, or use {{login.host}}"
                )));
            }
        }
        // Nor may it decide who says that a credential is right: an administrator changes a user only if a credential of
        // that user was accepted. An administrator's secret must have the same `host` and `port`, and no other fields.
        let is_same_server =
            |name: &str| matches!(name.strip_prefix("login.").unwrap_or(name), "host" | "port");
        let tested = &description.test.url;
        if !names(&place(tested)).all(is_same_server) {
            return Err(wrong(format!(
                "lets the secret decide in [test] which server accepts its credential ({tested:?}): write the host, or \
                 use {{host}} and {{port}}, which must be the administrator's"
            )));
        }
        Ok(Self { description: Arc::new(description), client: Client::new(tls) })
    }

    /// Returns this target with another route to its servers.
    #[must_use]
    pub fn via(self, route: Arc<dyn Route>) -> Self {
        Self { client: self.client.via(route), ..self }
    }

    async fn send(&self, request: &Request, values: Values<'_>) -> Result<Answer, Error> {
        let auth = request.auth.as_ref().or(self.description.auth.as_ref());
        exchange(&self.client, request, auth, &|name: &str| values.value(name)).await
    }

    async fn get(&self, url: &str, values: Values<'_>) -> Result<Answer, Error> {
        self.send(&Request { url: url.to_owned(), ..Request::default() }, values).await
    }

    /// Reads the values that a change of this user must keep; `None` if the user does not exist.
    async fn kept(
        &self,
        login: &Document,
        user: &Document,
    ) -> Result<Option<BTreeMap<String, String>>, Error> {
        let values = Values { credential: Some(user), login: Some(login), ..Values::default() };
        let answer = self.get(&self.description.user.url, values).await?;
        if answer.status == 404 {
            return Ok(None);
        }
        let json = answer.succeeded("read the user")?.json()?;
        let keep = self.description.user.keep.iter();
        let kept = keep.map(|(name, pointer)| (name.clone(), text(&json, pointer).unwrap_or_default()));
        Ok(Some(kept.collect()))
    }

    async fn items(&self, admin: &Document, of: &Document, copied: &Copied) -> Result<Vec<Value>, Error> {
        let user = of.username()?;
        let values =
            Values { credential: Some(of), login: Some(admin), of: Some(user.as_str()), ..Values::default() };
        let json = self.get(&copied.url, values).await?.succeeded("list the user's rights")?.json()?;
        let items = json.pointer(&copied.items).and_then(Value::as_array).cloned();
        items.ok_or_else(|| {
            Error::new(ErrorKind::Unavailable, "the response has no list where the description says")
        })
    }

    fn account_section(&self) -> Result<&AccountSection, Error> {
        let none = || Error::new(ErrorKind::Unsupported, "the description of the requests has no [accounts]");
        self.description.accounts.as_ref().ok_or_else(none)
    }
}

/// Checks whether two items are equal at each of these JSON pointers.
fn is_alike(one: &Value, other: &Value, pointers: &[String]) -> bool {
    pointers.iter().all(|pointer| one.pointer(pointer) == other.pointer(pointer))
}

impl Target for HttpTarget {
    fn accepts(&self, credential: &Document) -> Result<(), Error> {
        check_credential(credential, 255)
    }

    fn derive(&self, credential: Document) -> Result<Document, Error> {
        self.description.derived.fill_in(&credential)
    }

    fn verify(&self, credential: &Document) -> Result<(), Error> {
        self.description.derived.verify(credential)
    }

    fn accounts(&self) -> Option<&dyn Accounts> {
        self.description.accounts.is_some().then_some(self)
    }

    fn probe<'a>(&'a self, credential: &'a Document) -> BoxFuture<'a, Result<Probe, Error>> {
        Box::pin(async move {
            let test = &self.description.test;
            let request =
                Request { url: test.url.clone(), auth: Some(test.auth.clone()), ..Request::default() };
            let values =
                Values { credential: Some(credential), login: Some(credential), ..Values::default() };
            let answer = self.send(&request, values).await?;
            if !test.refused_status.contains(&answer.status) {
                return answer.succeeded("test the credential").map(|_| Probe::Accepted);
            }
            let is_accepted = test.accepted_text.as_ref().is_some_and(|text| answer.says(text));
            Ok(if is_accepted { Probe::Accepted } else { Probe::Refused })
        })
    }

    fn apply<'a>(&'a self, change: Change<'a>) -> BoxFuture<'a, Result<Applied, Error>> {
        Box::pin(async move {
            let Change { login, credential, .. } = change;
            let kept = match self.kept(login, credential).await {
                Ok(kept) => {
                    kept.ok_or_else(|| Error::new(ErrorKind::Refused, "the service has no such user"))?
                }
                Err(error) if error.kind() == ErrorKind::Refused => return Ok(Applied::LoginRefused),
                Err(error) => return Err(error),
            };
            let values = Values {
                credential: Some(credential),
                login: Some(login),
                kept: Some(&kept),
                ..Values::default()
            };
            for plain in &self.description.apply {
                self.send(&plain.request(), values).await?.succeeded("change the password")?;
            }
            Ok(Applied::Done)
        })
    }
}

impl Accounts for HttpTarget {
    fn user_status<'a>(
        &'a self,
        admin: &'a Document,
        candidate: &'a Document,
        _: &'a str,
    ) -> BoxFuture<'a, Result<UserStatus, Error>> {
        Box::pin(async move {
            Ok(match self.kept(admin, candidate).await? {
                None => UserStatus::Absent,
                // The service has no place for a mark that says which secret a user was created for.
                Some(_) => UserStatus::Foreign,
            })
        })
    }

    fn ensure<'a>(
        &'a self,
        admin: &'a Document,
        reference: &'a Document,
        candidate: &'a Document,
        _: &'a str,
    ) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async move {
            if self.kept(admin, candidate).await?.is_some() {
                return Ok(());
            }
            let kept = self.kept(admin, reference).await?.unwrap_or_default();
            let values = Values {
                credential: Some(candidate),
                login: Some(admin),
                reference: Some(reference),
                kept: Some(&kept),
                ..Values::default()
            };
            for plain in &self.account_section()?.create {
                self.send(&plain.request(), values).await?.succeeded("create the second user")?;
            }
            Ok(())
        })
    }

    fn reconcile<'a>(
        &'a self,
        admin: &'a Document,
        reference: &'a Document,
        candidate: &'a Document,
        _: &'a str,
    ) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async move {
            for copied in &self.account_section()?.copy {
                let wanted = self.items(admin, reference, copied).await?;
                let present = self.items(admin, candidate, copied).await?;
                let is_in = |all: &[Value], item: &Value, at: &[&[String]]| {
                    all.iter().any(|other| at.iter().all(|pointers| is_alike(item, other, pointers)))
                };
                let values = Values {
                    credential: Some(candidate),
                    login: Some(admin),
                    reference: Some(reference),
                    ..Values::default()
                };
                for item in
                    wanted.iter().filter(|item| !is_in(&present, item, &[&copied.key, &copied.compare]))
                {
                    let values = Values { item: Some(item), ..values };
                    self.send(&copied.put.request(), values).await?.succeeded("copy the user's rights")?;
                }
                for item in present.iter().filter(|item| !is_in(&wanted, item, &[&copied.key])) {
                    let values = Values { item: Some(item), ..values };
                    self.send(&copied.delete.request(), values)
                        .await?
                        .succeeded("remove rights that the user in use does not have")?;
                }
            }
            Ok(())
        })
    }

    fn missing<'a>(
        &'a self,
        admin: &'a Document,
        reference: &'a Document,
        candidate: &'a Document,
    ) -> BoxFuture<'a, Result<Vec<String>, Error>> {
        Box::pin(async move {
            let mut missing = Vec::new();
            let (wanted, present) = (self.kept(admin, reference).await?, self.kept(admin, candidate).await?);
            if let (Some(wanted), Some(present)) = (wanted, present) {
                let differs = |(name, value): &(&String, &String)| present.get(*name) != Some(value);
                missing.extend(wanted.iter().filter(differs).map(|(name, value)| format!("{name} {value}")));
            }
            for copied in &self.account_section()?.copy {
                let present = self.items(admin, candidate, copied).await?;
                for item in self.items(admin, reference, copied).await? {
                    let has = present.iter().any(|other| {
                        is_alike(&item, other, &copied.key) && is_alike(&item, other, &copied.compare)
                    });
                    if !has {
                        let key = copied.key.iter().filter_map(|pointer| text(&item, pointer));
                        missing.push(format!(
                            "what {} has at {}",
                            *reference.username()?,
                            key.collect::<Vec<_>>().join(" ")
                        ));
                    }
                }
            }
            Ok(missing)
        })
    }
}
