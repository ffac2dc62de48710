//! The description of a key provider in TOML. Unknown fields are errors.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::super::derived::Derived;
use super::super::template::names;
use crate::error::{Error, ErrorKind};

/// The whole description.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Description {
    pub(super) prefix: String,
    #[serde(default = "default_key_id")]
    pub(super) key_id: String,
    /// The authentication of every request that does not have its own.
    pub(in crate::targets) auth: Option<Auth>,
    pub(super) token: Option<Token>,
    pub(super) create: Create,
    pub(super) list: List,
    pub(super) test: Test,
    pub(super) revoke: Revoke,
    #[serde(default)]
    pub(super) derived: Derived,
}

fn default_key_id() -> String {
    "key_id".to_owned()
}

/// The authentication of a request.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "lowercase")]
pub(in crate::targets) enum Auth {
    /// `Authorization: Bearer`.
    Bearer(String),
    /// `Authorization: Basic`, with user and password.
    Basic([String; 2]),
    /// No authentication.
    None,
}

/// A request whose texts are templates.
#[derive(Clone, Debug, Default)]
pub(in crate::targets) struct Request {
    pub(in crate::targets) method: Method,
    pub(in crate::targets) url: String,
    /// The URL that a response named, in place of `url`. It is no template: the service must not decide which of the
    /// secret's fields end up in a URL.
    pub(in crate::targets) named_url: Option<String>,
    pub(in crate::targets) headers: BTreeMap<String, String>,
    pub(in crate::targets) auth: Option<Auth>,
    pub(in crate::targets) body: Option<Body>,
}

/// The body of a request.
#[derive(Clone, Debug)]
pub(in crate::targets) enum Body {
    /// Text. It is JSON unless a header says otherwise.
    Text(String),
    /// A form, `application/x-www-form-urlencoded`.
    Form(BTreeMap<String, String>),
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(in crate::targets) enum Method {
    #[default]
    Get,
    Post,
    Put,
    Patch,
    Delete,
}

/// How the next page of a list is found.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "lowercase")]
pub(in crate::targets) enum Next {
    /// A JSON pointer into the response. It finds the next URL, or the value of `{next}` in `next_url`.
    Pointer(String),
    /// The header `Link`, with `rel="next"`.
    Link,
    /// Page numbers, the value of `{page}` in the URL, starting at this one. The list ends with the first empty page.
    Page(u32),
}

/// Declares a section: the fields of a request, and the section's own fields.
macro_rules! section {
    ($(#[$doc:meta])* $name:ident { $($(#[$attr:meta])* $field:ident: $kind:ty,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub(super) struct $name {
            #[serde(default)]
            method: Method,
            url: String,
            #[serde(default)]
            headers: BTreeMap<String, String>,
            auth: Option<Auth>,
            body: Option<String>,
            form: Option<BTreeMap<String, String>>,
            $($(#[$attr])* pub(super) $field: $kind,)*
        }

        impl $name {
            pub(super) fn request(&self) -> Request {
                let form = self.form.clone().map(Body::Form);
                Request {
                    method: self.method,
                    url: self.url.clone(),
                    named_url: None,
                    headers: self.headers.clone(),
                    auth: self.auth.clone(),
                    body: form.or(self.body.clone().map(Body::Text)),
                }
            }

            fn is_ambiguous(&self) -> bool {
                self.form.is_some() && self.body.is_some()
            }
        }
    };
}

section! {
    /// Exchanges the credential for a token, the value of `{token}` in the other requests.
    Token {
        field: String,
    }
}
section! {
    /// Creates a key.
    Create {
        limit_status: Option<u16>,
        fields: BTreeMap<String, String>,
    }
}
section! {
    /// Lists the keys.
    List {
        items: String,
        id: String,
        name: String,
        next: Option<Next>,
        next_url: Option<String>,
    }
}
section! {
    /// Tests a key.
    Test {
        #[serde(default = "refusals")]
        refused_status: Vec<u16>,
    }
}
section! {
    /// Revokes a key.
    Revoke {}
}

fn refusals() -> Vec<u16> {
    vec![401, 403]
}

impl Description {
    /// Parses a description, and rejects one that could do harm.
    pub(super) fn parse(text: &str) -> Result<Self, Error> {
        let wrong =
            |what: String| Error::new(ErrorKind::Misconfigured, format!("the provider's description {what}"));
        let description: Self = toml::from_str(text)
            .map_err(|error| wrong(format!("cannot be parsed: {}", place(text, &error))))?;
        if description.prefix.is_empty() {
            // Otherwise, every key of the account would count as ours and be revoked.
            return Err(wrong("needs a prefix for the names of our keys".into()));
        }
        if !description.create.fields.contains_key(&description.key_id) {
            return Err(wrong("does not say where the new key's id is in the response".into()));
        }
        let Self { token, create, list, test, revoke, .. } = &description;
        let ambiguous = [
            ("create", create.is_ambiguous()),
            ("list", list.is_ambiguous()),
            ("test", test.is_ambiguous()),
            ("revoke", revoke.is_ambiguous()),
            ("token", token.as_ref().is_some_and(Token::is_ambiguous)),
        ];
        if let Some((section, _)) = ambiguous.iter().find(|(_, is_ambiguous)| *is_ambiguous) {
            return Err(wrong(format!("has both a body and a form in [{section}]")));
        }
        let requests = [create.request(), list.request(), test.request(), revoke.request()];
        let wants_token = requests.iter().any(|request| description.wants_token(request));
        match (wants_token, token) {
            (true, None) => {
                return Err(wrong("uses {token}, but has no section [token]".into()));
            }
            (false, Some(_)) => return Err(wrong("gets a token that no request uses".into())),
            _ => {}
        }
        let has_page = names(&list.request().url).any(|name| name == "page");
        if has_page != matches!(list.next, Some(Next::Page(_))) {
            return Err(wrong(
                "needs both {page} in the URL of [list] and next = { page = 1 }, or neither".into(),
            ));
        }
        Ok(description)
    }

    /// Returns the authentication of a request: its own, or the description's.
    pub(super) fn auth<'a>(&'a self, request: &'a Request) -> Option<&'a Auth> {
        request.auth.as_ref().or(self.auth.as_ref())
    }

    /// Checks whether a request uses the token.
    pub(super) fn wants_token(&self, request: &Request) -> bool {
        self.placeholders(request).contains(&"token")
    }

    /// Checks whether a request has a field of the secret, other than a key's id. Without one, its rights do not come
    /// from the secret.
    pub(super) fn uses_secret(&self, request: &Request) -> bool {
        let others = ["id", "tag", "page", self.key_id.as_str()];
        self.placeholders(request).iter().any(|name| !others.contains(name))
    }

    /// Returns the names of a request's placeholders.
    fn placeholders<'a>(&'a self, request: &'a Request) -> Vec<&'a str> {
        let auth: Vec<&str> = match self.auth(request) {
            Some(Auth::Bearer(token)) => vec![token],
            Some(Auth::Basic(parts)) => parts.iter().map(String::as_str).collect(),
            _ => Vec::new(),
        };
        let body: Vec<&str> = match &request.body {
            Some(Body::Text(text)) => vec![text],
            Some(Body::Form(fields)) => fields.values().map(String::as_str).collect(),
            None => Vec::new(),
        };
        let headers = request.headers.values().map(String::as_str);
        let all = headers.chain(auth).chain(body).chain([request.url.as_str()]);
        all.flat_map(names).collect()
    }
}

/// Formats an error in a TOML text, with its line number.
pub(in crate::targets) fn place(text: &str, error: &toml::de::Error) -> String {
    match error.span() {
        Some(span) => {
            let line = text[..span.start.min(text.len())].matches('\n').count() + 1;
            format!("line {line}: {}", error.message())
        }
        None => error.message().to_owned(),
    }
}
