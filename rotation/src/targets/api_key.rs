//! Keys of any service that issues them over HTTP, managed with requests that the operator describes.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use zeroize::Zeroizing;

use super::template::{Escape, fill, fill_url};
use super::{Route, Tls};
use crate::document::Document;
use crate::error::{Error, ErrorKind};
use crate::store::BoxFuture;
use crate::target::{Key, Probe, Provider};

pub(super) mod description;
pub(super) mod http;
#[cfg(feature = "iam")]
mod iam;

#[cfg(feature = "iam")]
pub use iam::IamProvider;

use description::{Auth, Body, Description, Next, Request};
use http::{Answer, Client};

/// A provider of keys, described in TOML.
///
/// Requests are templates with these placeholders, each escaped for its context:
///
/// - `{name}`: a field of the secret
/// - `{tag}`: the name for a new key
/// - `{id}`: the id of the key to revoke
/// - `{token}`: the token that the credential was exchanged for
/// - `{page}`: the number of the page of keys to list
///
/// Values are read from responses with JSON pointers. `docs/targets-by-http.md` describes every setting.
///
/// ```
/// use secretcache_rotation::targets::{HttpProvider, Tls};
///
/// let acme = HttpProvider::from_toml(
///     r#"
///     prefix = "checkout-"             # our keys' names start with this; other keys are never touched
///     key_id = "key_id"                # the secret's field with the key's id
///
///     [create]
///     method = "POST"
///     url = "https://api.acme.example/keys"
///     headers = { authorization = "Bearer {key}" }
///     body = '{"name": "{tag}"}'
///     limit_status = 409               # the status when there are too many keys
///     fields = { key_id = "/data/id", key = "/data/secret" }
///
///     [list]
///     url = "https://api.acme.example/keys"
///     headers = { authorization = "Bearer {key}" }
///     items = "/data"
///     id = "/id"
///     name = "/name"
///
///     [test]
///     url = "https://api.acme.example/me"
///     headers = { authorization = "Bearer {key}" }
///
///     [revoke]
///     method = "DELETE"
///     url = "https://api.acme.example/keys/{id}"
///     headers = { authorization = "Bearer {key}" }
///     "#,
///     Tls::system()?,
/// )?;
/// # Ok::<(), secretcache_rotation::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct HttpProvider {
    description: Description,
    client: Client,
}

impl HttpProvider {
    /// Creates a provider from its description.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Misconfigured`], with the reason.
    pub fn from_toml(description: &str, tls: Tls) -> Result<Self, Error> {
        let description = Description::parse(description)?;
        Ok(Self { description, client: Client::new(tls) })
    }

    /// Returns this provider with another route to its service.
    #[must_use]
    pub fn via(self, route: Arc<dyn Route>) -> Self {
        Self { client: self.client.via(route), ..self }
    }

    async fn send(
        &self,
        request: &Request,
        document: &Document,
        more: &[(&str, &str)],
    ) -> Result<Answer, Error> {
        let token = match &self.description.token {
            Some(exchange) if self.description.wants_token(request) => {
                let answer = self.send_once(&exchange.request(), document, &[]).await?;
                if matches!(answer.status, 400 | 401 | 403) {
                    return Ok(answer.refused());
                }
                let json = answer.succeeded("exchange the credential for a token")?.json()?;
                Some(text(&json, &exchange.field).ok_or_else(|| lacks("to the exchange", &exchange.field))?)
            }
            _ => None,
        };
        let token = token.map(Zeroizing::new);
        let mut more = more.to_vec();
        more.extend(token.as_deref().map(|token| ("token", token.as_str())));
        self.send_once(request, document, &more).await
    }

    async fn send_once(
        &self,
        request: &Request,
        document: &Document,
        more: &[(&str, &str)],
    ) -> Result<Answer, Error> {
        let value = |name: &str| match more.iter().find(|(known, _)| *known == name) {
            Some((_, value)) => Ok((*value).to_owned().into()),
            None => document.require(name),
        };
        exchange(&self.client, request, self.description.auth(request), &value).await
    }

    /// Adds the keys of one page to `keys`, and returns the request for the next page.
    async fn page(
        &self,
        request: &Request,
        login: &Document,
        number: u32,
        keys: &mut Vec<Key>,
    ) -> Result<Option<Request>, Error> {
        let list = &self.description.list;
        let answer =
            self.send(request, login, &[("page", &number.to_string())]).await?.succeeded("list the keys")?;
        let (link, origin) = (answer.next_link.clone(), answer.origin.clone());
        let json = answer.json()?;
        let items = json.pointer(&list.items).and_then(Value::as_array);
        let items = items.ok_or_else(|| lacks("to the list of keys", &list.items))?;
        for item in items {
            let name = text(item, &list.name).unwrap_or_default();
            let Some(tag) = name.strip_prefix(&self.description.prefix) else { continue };
            let id = text(item, &list.id).ok_or_else(|| lacks("to the list of keys", &list.id))?;
            keys.push(Key { id, tag: Some(tag.to_owned()) });
        }
        let next = match &list.next {
            None => None,
            Some(Next::Page(_)) => return Ok((!items.is_empty()).then(|| request.clone())),
            Some(Next::Link) => link,
            Some(Next::Pointer(pointer)) => text(&json, pointer).filter(|next| !next.is_empty()),
        };
        let Some(next) = next else { return Ok(None) };
        let url = match &list.next_url {
            Some(template) => {
                let value = |name: &str| match name {
                    "next" => Ok(next.clone().into()),
                    _ => login.require(name),
                };
                fill_url(template, &value)?.to_string()
            }
            None => same_origin(&origin, &next)?,
        };
        Ok(Some(Request { named_url: Some(url), ..request.clone() }))
    }

    /// Checks whether two documents have the same key, whatever id they give it.
    fn is_same_key(&self, one: &Document, other: &Document) -> bool {
        let fields = self.description.create.fields.keys();
        let mut fields = fields.filter(|field| **field != self.description.key_id).peekable();
        fields.peek().is_some() && fields.all(|field| one.field(field) == other.field(field))
    }
}

/// Fills in a request, sends it and returns the response.
pub(super) async fn exchange(
    client: &Client,
    request: &Request,
    auth: Option<&Auth>,
    value: &impl Fn(&str) -> Result<Zeroizing<String>, Error>,
) -> Result<Answer, Error> {
    let url = match &request.named_url {
        Some(url) => url.clone().into(),
        None => fill_url(&request.url, value)?,
    };
    let mut headers = Vec::new();
    for (name, template) in &request.headers {
        headers.push((name.as_str(), fill(template, Escape::Header, value)?));
    }
    match auth {
        Some(Auth::Bearer(token)) => {
            let token = fill(token, Escape::Header, value)?;
            headers.push(("authorization", format!("Bearer {}", *token).into()));
        }
        Some(Auth::Basic([user, password])) => {
            let both = [fill(user, Escape::Text, value)?, fill(password, Escape::Text, value)?];
            let both = Zeroizing::new(format!("{}:{}", *both[0], *both[1]));
            headers.push(("authorization", format!("Basic {}", STANDARD.encode(both.as_bytes())).into()));
        }
        Some(Auth::None) | None => {}
    }
    let body = match &request.body {
        None => None,
        Some(Body::Text(body)) => Some(fill(body, Escape::Json, value)?),
        Some(Body::Form(fields)) => {
            headers.push(("content-type", "application/x-www-form-urlencoded".to_owned().into()));
            let mut body = Zeroizing::new(String::with_capacity(4096));
            for (name, template) in fields {
                let (name, value) = (fill(name, Escape::Url, value)?, fill_whole(template, value)?);
                if !body.is_empty() {
                    body.push('&');
                }
                body.push_str(&name);
                body.push('=');
                body.push_str(&value);
            }
            Some(body)
        }
    };
    client.send(request.method, &url, &headers, body).await
}

/// The page limit of a list of keys. No account has that many.
const MOST_PAGES: u32 = 1000;

/// Returns the value of a form field, percent-encoded as a whole.
fn fill_whole(
    template: &str,
    value: &impl Fn(&str) -> Result<Zeroizing<String>, Error>,
) -> Result<Zeroizing<String>, Error> {
    let text = fill(template, Escape::Text, value)?;
    fill("{text}", Escape::Url, &|_| Ok(text.clone()))
}

/// Returns the URL of the next page, which must have the same origin as the request: the key is sent only to hosts
/// that the description names.
fn same_origin(own: &str, next: &str) -> Result<String, Error> {
    let origin = next
        .split_once("://")
        .and_then(|(scheme, rest)| Some(format!("{scheme}://{}", rest.split(['/', '?']).next()?)));
    match origin {
        _ if next.starts_with('/') => Ok(format!("{own}{next}")),
        Some(other) if other.eq_ignore_ascii_case(own) => Ok(next.to_owned()),
        _ => Err(Error::new(
            ErrorKind::Unavailable,
            "the provider's next page is at another address; set next_url in [list]",
        )),
    }
}

impl Provider for HttpProvider {
    fn create<'a>(&'a self, current: &'a Document, tag: &'a str) -> BoxFuture<'a, Result<Document, Error>> {
        Box::pin(async move {
            let create = &self.description.create;
            let name = format!("{}{tag}", self.description.prefix);
            let answer = self.send(&create.request(), current, &[("tag", &name)]).await?;
            if create.limit_status == Some(answer.status) {
                return Err(Error::new(ErrorKind::LimitReached, "the provider allows no further key"));
            }
            let json = answer.succeeded("create a key")?.json()?;
            let mut document = current.clone();
            for (field, pointer) in &create.fields {
                let value = text(&json, pointer).ok_or_else(|| lacks("to a new key", pointer))?;
                document = document.with(field, &value)?;
            }
            self.description.derived.fill_in(&document)
        })
    }

    fn list<'a>(&'a self, login: &'a Document) -> BoxFuture<'a, Result<Vec<Key>, Error>> {
        Box::pin(async move {
            let mut keys = Vec::new();
            let mut number = match self.description.list.next {
                Some(Next::Page(first)) => first,
                _ => 0,
            };
            let mut next = Some(self.description.list.request());
            let last = number + MOST_PAGES;
            while let Some(request) = next {
                if number >= last {
                    return Err(Error::new(
                        ErrorKind::Unavailable,
                        "the provider's list of keys has too many pages",
                    ));
                }
                next = self.page(&request, login, number, &mut keys).await?;
                number += 1;
            }
            Ok(keys)
        })
    }

    fn probe<'a>(&'a self, credential: &'a Document) -> BoxFuture<'a, Result<Probe, Error>> {
        Box::pin(async move {
            let test = &self.description.test;
            let answer = self.send(&test.request(), credential, &[]).await?;
            match answer.status {
                status if test.refused_status.contains(&status) => Ok(Probe::Refused),
                _ => answer.succeeded("test a key").map(|_| Probe::Accepted),
            }
        })
    }

    fn revoke<'a>(&'a self, login: &'a Document, key_id: &'a str) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async move {
            let answer = self.send(&self.description.revoke.request(), login, &[("id", key_id)]).await?;
            match answer.status {
                404 | 410 => Ok(()),
                _ => answer.succeeded("revoke a key").map(drop),
            }
        })
    }

    /// Whatever accepts a key need not look at its id. So the former key revokes itself: whoever knows its value could
    /// do so too.
    fn revoke_former<'a>(
        &'a self,
        current: &'a Document,
        former: &'a Document,
    ) -> BoxFuture<'a, Result<bool, Error>> {
        Box::pin(async move {
            let key = self.key_id(former)?;
            if self.is_same_key(current, former) || self.probe(former).await? == Probe::Refused {
                return Ok(false);
            }
            let cannot = |why: String| {
                Error::new(
                    ErrorKind::Denied,
                    format!(
                        "no rotation created the key {key:?} in AWSPREVIOUS, so it has to revoke itself, and {why}: if it \
                         is this secret's, revoke it yourself; if not, remove the label AWSPREVIOUS; then rotate again"
                    ),
                )
            };
            let request = self.description.revoke.request();
            if !self.description.uses_secret(&request) {
                return Err(cannot("the request [revoke] has no field of the secret".to_owned()));
            }
            let answer = match self.send(&request, former, &[("id", &key)]).await {
                Err(error) if error.kind() == ErrorKind::Misconfigured => {
                    return Err(cannot(error.message().to_owned()));
                }
                answer => answer?,
            };
            match answer.status {
                404 | 410 => Ok(true),
                status @ 400..500 if status != 429 => Err(cannot(format!("the provider answered {status}"))),
                _ => answer.succeeded("revoke a key").map(|_| true),
            }
        })
    }

    fn verify(&self, credential: &Document) -> Result<(), Error> {
        self.description.derived.verify(credential)
    }

    fn key_id(&self, credential: &Document) -> Result<String, Error> {
        credential.require(&self.description.key_id).map(|id| id.to_string())
    }
}

/// Returns a string or number from a response, or a list of strings joined with commas.
pub(super) fn text(json: &Value, pointer: &str) -> Option<String> {
    match json.pointer(pointer)? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Array(items) => Some(items.iter().map(Value::as_str).collect::<Option<Vec<_>>>()?.join(",")),
        _ => None,
    }
}

fn lacks(what: &str, pointer: &str) -> Error {
    Error::new(ErrorKind::Unavailable, format!("the provider's response {what} has nothing at {pointer:?}"))
}
