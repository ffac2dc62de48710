//! Keys of any service that issues them over HTTP, described instead of programmed.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::Tls;
use crate::document::Document;
use crate::error::{Error, ErrorKind};
use crate::store::BoxFuture;
use crate::target::{Key, Probe, Provider};

mod http;
#[cfg(feature = "iam")]
mod iam;
mod template;

#[cfg(feature = "iam")]
pub use iam::IamProvider;

use http::{Answer, Client};
use template::{Escape, fill};

/// A provider of keys described in TOML.
///
/// Requests are templates: `{name}` is a field of the secret, `{tag}` the name for a new key and `{id}` the key to
/// revoke, each escaped for where it stands. Answers are read by JSON pointers.
///
/// ```
/// use secretcache_rotation::targets::{HttpProvider, Tls};
///
/// let acme = HttpProvider::from_toml(
///     r#"
///     prefix = "checkout-"             # names of our keys begin so; others are never touched
///     key_id = "key_id"                # the secret's field with the key's id
///
///     [create]
///     method = "POST"
///     url = "https://api.acme.example/keys"
///     headers = { authorization = "Bearer {key}" }
///     body = '{"name": "{tag}"}'
///     limit_status = 409               # the answer when there are too many keys
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

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Description {
    prefix: String,
    #[serde(default = "default_key_id")]
    key_id: String,
    create: Create,
    list: List,
    test: Request,
    revoke: Request,
}

fn default_key_id() -> String {
    "key_id".to_owned()
}

/// One request, as a template.
#[derive(Clone, Debug, Deserialize)]
struct Request {
    #[serde(default)]
    method: Method,
    url: String,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    body: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum Method {
    #[default]
    Get,
    Post,
    Put,
    Patch,
    Delete,
}

#[derive(Clone, Debug, Deserialize)]
struct Create {
    #[serde(flatten)]
    request: Request,
    limit_status: Option<u16>,
    fields: BTreeMap<String, String>,
}

#[derive(Clone, Debug, Deserialize)]
struct List {
    #[serde(flatten)]
    request: Request,
    items: String,
    id: String,
    name: String,
}

impl HttpProvider {
    /// A provider from its description.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Misconfigured`], with the reason.
    pub fn from_toml(description: &str, tls: Tls) -> Result<Self, Error> {
        let wrong =
            |what: &str| Error::new(ErrorKind::Misconfigured, format!("the provider's description {what}"));
        let description: Description = toml::from_str(description)
            .map_err(|error| wrong(&format!("is not understood: {}", error.message())))?;
        if description.prefix.is_empty() {
            // Else every key of the account would be taken for ours, and revoked.
            return Err(wrong("needs a prefix for the names of our keys"));
        }
        if !description.create.fields.contains_key(&description.key_id) {
            return Err(wrong("does not say where the new key's id is in the answer"));
        }
        Ok(Self { description, client: Client::new(tls) })
    }

    async fn send(
        &self,
        request: &Request,
        document: &Document,
        more: &[(&str, &str)],
    ) -> Result<Answer, Error> {
        let value = |name: &str| match more.iter().find(|(known, _)| *known == name) {
            Some((_, value)) => Ok((*value).to_owned().into()),
            None => document.require(name),
        };
        let url = fill(&request.url, Escape::Url, &value)?;
        let body = request.body.as_deref().map(|body| fill(body, Escape::Json, &value)).transpose()?;
        let mut headers = Vec::new();
        for (name, template) in &request.headers {
            headers.push((name.as_str(), fill(template, Escape::Header, &value)?));
        }
        self.client.send(request.method, &url, &headers, body).await
    }
}

impl Provider for HttpProvider {
    fn create<'a>(&'a self, current: &'a Document, tag: &'a str) -> BoxFuture<'a, Result<Document, Error>> {
        Box::pin(async move {
            let create = &self.description.create;
            let name = format!("{}{tag}", self.description.prefix);
            let answer = self.send(&create.request, current, &[("tag", &name)]).await?;
            if create.limit_status == Some(answer.status) {
                return Err(Error::new(ErrorKind::LimitReached, "the provider allows no further key"));
            }
            let json = answer.succeeded("make a key")?.json()?;
            let mut document = current.clone();
            for (field, pointer) in &create.fields {
                let value = text(&json, pointer).ok_or_else(|| lacks("to a new key", pointer))?;
                document = document.with(field, &value)?;
            }
            Ok(document)
        })
    }

    fn list<'a>(&'a self, login: &'a Document) -> BoxFuture<'a, Result<Vec<Key>, Error>> {
        Box::pin(async move {
            let list = &self.description.list;
            let json = self.send(&list.request, login, &[]).await?.succeeded("list the keys")?.json()?;
            let items = json.pointer(&list.items).and_then(Value::as_array);
            let mut keys = Vec::new();
            for item in items.ok_or_else(|| lacks("to the list of keys", &list.items))? {
                let name = text(item, &list.name).unwrap_or_default();
                let Some(tag) = name.strip_prefix(&self.description.prefix) else { continue };
                let id = text(item, &list.id).ok_or_else(|| lacks("to the list of keys", &list.id))?;
                keys.push(Key { id, tag: Some(tag.to_owned()) });
            }
            Ok(keys)
        })
    }

    fn probe<'a>(&'a self, credential: &'a Document) -> BoxFuture<'a, Result<Probe, Error>> {
        Box::pin(async move {
            let answer = self.send(&self.description.test, credential, &[]).await?;
            match answer.status {
                401 | 403 => Ok(Probe::Refused),
                _ => answer.succeeded("test a key").map(|_| Probe::Accepted),
            }
        })
    }

    fn revoke<'a>(&'a self, login: &'a Document, key_id: &'a str) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async move {
            let answer = self.send(&self.description.revoke, login, &[("id", key_id)]).await?;
            match answer.status {
                404 | 410 => Ok(()),
                _ => answer.succeeded("revoke a key").map(drop),
            }
        })
    }

    fn key_id(&self, credential: &Document) -> Result<String, Error> {
        credential.require(&self.description.key_id).map(|id| id.to_string())
    }
}

/// A string or number in an answer.
fn text(json: &Value, pointer: &str) -> Option<String> {
    match json.pointer(pointer)? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn lacks(what: &str, pointer: &str) -> Error {
    Error::new(ErrorKind::Unavailable, format!("the provider's answer {what} has nothing at {pointer:?}"))
}
