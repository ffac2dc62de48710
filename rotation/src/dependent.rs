//! Fields of a secret that repeat its credential in another form: a connection URL, a header, a copy under another
//! name.
//!
//! Programs log in with them, so they change together with the password. If a field contains the password in an unknown
//! form, the rotation is refused: leaving the field as it is would lock out the programs that use it.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use zeroize::Zeroizing;

use crate::document::Document;
use crate::error::{Error, ErrorKind};
use crate::percent;

/// Updates every field of a new value that repeats the current credential. Fields that already differ from the current
/// value, such as the password, are left alone.
///
/// # Errors
///
/// [`ErrorKind::Misconfigured`], naming a field that contains the password in an unknown form.
pub(crate) fn follow(current: &Document, next: Document) -> Result<Document, Error> {
    let mut followed = next.clone();
    for (name, held) in holders(current, &next)? {
        if next.field(name) != current.field(name) {
            continue;
        }
        followed = match held {
            Held::MadeAnew(text) => followed.with(name, &text)?,
            Held::Somehow => {
                let text = format!(
                    "the secret's field {name:?} contains the password in a form that is not recognised, and would be wrong after a rotation: remove the field, or write it as a URL, \"user:password\" in Base64, or \
                     \"host=... password=...\""
                );
                return Err(Error::new(ErrorKind::Misconfigured, text));
            }
        };
    }
    Ok(followed)
}

/// Checks that every field that repeats the current credential repeats the new one in the new value.
///
/// # Errors
///
/// [`ErrorKind::Rejected`], naming the field.
pub(crate) fn verify(current: &Document, next: &Document) -> Result<(), Error> {
    let (former, new) = (current.password()?, next.password()?);
    for (name, held) in holders(current, next)? {
        let value = next.field(name).unwrap_or_default();
        let is_right = match held {
            Held::MadeAnew(text) if text == value => true,
            // Written by someone else, in a different spelling.
            _ => !occurs_in(&value, &former) && occurs_in(&value, &new),
        };
        if !is_right {
            let text = format!("the new version's {name:?} does not contain the new credential");
            return Err(Error::new(ErrorKind::Rejected, text));
        }
    }
    Ok(())
}

/// Returns the fields that a rotation to `user` updates in addition to user name and password.
pub(crate) fn names<'a>(current: &'a Document, user: &str) -> Vec<&'a str> {
    let probe = current.with("password", "-").and_then(|next| next.with("username", user));
    let holders = probe.and_then(|next| holders(current, &next)).unwrap_or_default();
    holders.into_iter().map(|(name, _)| name).collect()
}

/// How a field's value relates to the credential.
enum Held {
    /// Derived from the credential; this is its value for the new one.
    MadeAnew(Zeroizing<String>),
    /// Contains the password, in an unknown form.
    Somehow,
}

/// Fields that identify the resource and the user. A value here is never a copy of the password, even if it equals it.
const PLACES: [&str; 9] = [
    "username",
    "engine",
    "host",
    "port",
    "dbname",
    "ssl",
    "masterarn",
    "dbInstanceIdentifier",
    "dbClusterIdentifier",
];

/// Checks whether a field identifies the resource or the user, so that its value is not secret.
pub(crate) fn names_resource(field: &str) -> bool {
    PLACES.contains(&field)
}

/// Returns the fields of the current value that repeat its credential, or another one of the same user at the same
/// server.
fn holders<'a>(current: &'a Document, next: &Document) -> Result<Vec<(&'a str, Held)>, Error> {
    let turn = Turn {
        user: current.username()?,
        password: current.password()?,
        new_user: next.username()?,
        new_password: next.password()?,
        host: current.field("host").unwrap_or_default(),
        is_distinctive: is_distinctive(current)?,
    };
    let mut found = Vec::new();
    if turn.password == turn.new_password {
        return Ok(found);
    }
    for name in current.names().filter(|name| *name != "password" && !names_resource(name)) {
        let Some(value) = current.field(name) else { continue };
        if let Some(held) = turn.held(name, &value) {
            found.push((name, held));
        }
    }
    Ok(found)
}

/// Whether the password is distinctive enough that another field would not contain it by chance. Passwords that people
/// choose are words, names, years.
fn is_distinctive(current: &Document) -> Result<bool, Error> {
    let password = current.password()?;
    let kinds: [fn(char) -> bool; 4] =
        [|c| c.is_lowercase(), |c| c.is_uppercase(), |c| c.is_numeric(), |c| !c.is_alphanumeric()];
    let mixed = kinds.iter().filter(|is_of| password.chars().any(is_of)).count() > 1;
    let is_place = PLACES.iter().any(|name| current.field(name).as_ref() == Some(&password));
    Ok(password.len() >= 8 && mixed && !is_place)
}

/// The old and the new credential.
struct Turn {
    user: Zeroizing<String>,
    password: Zeroizing<String>,
    new_user: Zeroizing<String>,
    new_password: Zeroizing<String>,
    host: Zeroizing<String>,
    is_distinctive: bool,
}

impl Turn {
    fn held(&self, name: &str, value: &str) -> Option<Held> {
        let name = name.to_ascii_lowercase();
        let is_named_so = ["pass", "pwd"].iter().any(|part| name.contains(part));
        if value == self.password.as_str() && (is_named_so || self.is_distinctive) {
            return Some(Held::MadeAnew(self.new_password.clone()));
        }
        if value == self.user.as_str() && name.contains("user") {
            let is_new = self.user != self.new_user;
            return is_new.then(|| Held::MadeAnew(self.new_user.clone()));
        }
        let made = self.url(value).or_else(|| self.header(value)).or_else(|| self.words(value));
        match made {
            Some(text) if !self.is_in(&text) => Some(Held::MadeAnew(text)),
            Some(_) => Some(Held::Somehow),
            None => self.is_in(value).then_some(Held::Somehow),
        }
    }

    /// Whether a value contains the password, in any form.
    fn is_in(&self, value: &str) -> bool {
        if self.is_distinctive {
            return occurs_in(value, &self.password);
        }
        // A common word counts only right after a label like `password`.
        texts(value).iter().any(|text| {
            text.match_indices(self.password.as_str()).any(|(at, _)| {
                let before = text[..at].trim_end_matches(|c: char| !c.is_alphanumeric()).to_ascii_lowercase();
                ["password", "passwd", "pass", "pwd"].iter().any(|word| before.ends_with(word))
            })
        })
    }

    /// Updates `scheme://user:password@host/…`, or a URL with both in the query.
    fn url(&self, value: &str) -> Option<Zeroizing<String>> {
        let (scheme, rest) = value.split_once("://")?;
        let is_scheme = |c: char| c.is_ascii_alphanumeric() || "+.-:".contains(c);
        if scheme.is_empty() || !scheme.chars().all(is_scheme) {
            return None;
        }
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, after) = rest.split_at(end);
        let mut text = Zeroizing::new(String::with_capacity(value.len() + 512));
        text.push_str(scheme);
        text.push_str("://");
        let mut has_changed = false;
        match authority.rsplit_once('@').and_then(|(who, hosts)| Some((who.split_once(':')?, hosts))) {
            Some(((user, password), hosts)) if self.is_ours(user, password, hosts) => {
                if !user.is_empty() {
                    percent::encode(&self.new_user, &mut text);
                }
                text.push(':');
                percent::encode(&self.new_password, &mut text);
                text.push('@');
                text.push_str(hosts);
                has_changed = true;
            }
            _ => text.push_str(authority),
        }
        let Some((path, query)) = after.split_once('?') else {
            text.push_str(after);
            return has_changed.then_some(text);
        };
        let (query, fragment) = query.split_at(query.find('#').unwrap_or(query.len()));
        text.push_str(path);
        for (place, part) in query.split('&').enumerate() {
            text.push(if place == 0 { '?' } else { '&' });
            let (key, given) = part.split_once('=').unwrap_or((part, ""));
            let given = percent::decode(given);
            let new = match key.to_ascii_lowercase().as_str() {
                "password" | "pwd" | "pass" if given == self.password => {
                    has_changed = true;
                    &self.new_password
                }
                "user" | "username" if given == self.user => &self.new_user,
                _ => {
                    text.push_str(part);
                    continue;
                }
            };
            text.push_str(key);
            text.push('=');
            percent::encode(new, &mut text);
        }
        text.push_str(fragment);
        has_changed.then_some(text)
    }

    /// Whether a URL's credential is the current one, or an older one of the same user at the same server.
    fn is_ours(&self, user: &str, password: &str, hosts: &str) -> bool {
        let (user, password) = (percent::decode(user), percent::decode(password));
        let is_user = user == self.user;
        let host = hosts.split(',').next().unwrap_or("");
        let host = host.rsplit_once(':').map_or(host, |(host, _)| host);
        (is_user || user.is_empty()) && password == self.password
            || is_user && !self.host.is_empty() && host.eq_ignore_ascii_case(&self.host)
    }

    /// Updates `user:password` in Base64, as in Basic authentication.
    fn header(&self, value: &str) -> Option<Zeroizing<String>> {
        let (scheme, code) = match value.split_once(' ') {
            Some((scheme, code)) if scheme.eq_ignore_ascii_case("basic") => (format!("{scheme} "), code),
            _ => (String::new(), value),
        };
        let pair = |user: &str, password: &str| Zeroizing::new(format!("{user}:{password}"));
        let engine =
            if code.ends_with('=') || code.len().is_multiple_of(4) { STANDARD } else { STANDARD_NO_PAD };
        let decoded = Zeroizing::new(engine.decode(code).ok()?);
        if *decoded != pair(&self.user, &self.password).as_bytes() {
            return None;
        }
        let code = Zeroizing::new(engine.encode(pair(&self.new_user, &self.new_password).as_bytes()));
        Some(Zeroizing::new(scheme + &code))
    }

    /// Updates `host=db user=app password=…`, as in libpq's connection strings.
    fn words(&self, value: &str) -> Option<Zeroizing<String>> {
        let mut text = Zeroizing::new(String::with_capacity(value.len() + 512));
        let mut rest = value.trim();
        let mut has_changed = false;
        while !rest.is_empty() {
            let (key, after) = rest.split_once('=')?;
            let key = key.trim();
            if key.is_empty() || !key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
                return None;
            }
            let (given, after) = word(after.trim_start())?;
            let new = match key {
                "password" if given == self.password => {
                    has_changed = true;
                    &self.new_password
                }
                "user" if given == self.user => &self.new_user,
                _ => &given,
            };
            if !text.is_empty() {
                text.push(' ');
            }
            text.push_str(key);
            text.push('=');
            push_word(&mut text, new);
            rest = after.trim_start();
        }
        has_changed.then_some(text)
    }
}

/// Returns the first value of a connection string, and the rest.
fn word(text: &str) -> Option<(Zeroizing<String>, &str)> {
    let mut value = Zeroizing::new(String::with_capacity(text.len()));
    let is_quoted = text.starts_with('\'');
    let mut all = text.char_indices().skip(usize::from(is_quoted));
    while let Some((at, c)) = all.next() {
        match c {
            '\\' => value.push(all.next()?.1),
            '\'' if is_quoted => return Some((value, &text[at + 1..])),
            c if !is_quoted && c.is_whitespace() => return Some((value, &text[at..])),
            c => value.push(c),
        }
    }
    (!is_quoted).then_some((value, ""))
}

fn push_word(text: &mut String, value: &str) {
    let is_plain =
        !value.is_empty() && !value.contains(|c: char| c.is_whitespace() || c == '\'' || c == '\\');
    if is_plain {
        return text.push_str(value);
    }
    text.push('\'');
    for c in value.chars() {
        if c == '\'' || c == '\\' {
            text.push('\\');
        }
        text.push(c);
    }
    text.push('\'');
}

fn occurs_in(value: &str, password: &str) -> bool {
    texts(value).iter().any(|text| text.contains(password))
}

/// Returns a value in all the forms it can be read in: as is, percent-decoded, Base64-decoded, and as JSON strings.
fn texts(value: &str) -> Vec<Zeroizing<String>> {
    let mut texts = vec![Zeroizing::new(value.to_owned()), percent::decode(value)];
    let code = value.split_once(' ').map_or(value, |(_, code)| code).trim_end_matches('=');
    if let Ok(decoded) = STANDARD_NO_PAD.decode(code) {
        texts.push(Zeroizing::new(String::from_utf8_lossy(&decoded).into_owned()));
    }
    if value.starts_with(['{', '['])
        && let Ok(json) = serde_json::from_str(value)
    {
        strings(json, &mut texts);
    }
    texts
}

fn strings(json: serde_json::Value, texts: &mut Vec<Zeroizing<String>>) {
    match json {
        serde_json::Value::String(text) => {
            texts.push(percent::decode(&text));
            texts.push(Zeroizing::new(text));
        }
        serde_json::Value::Array(list) => list.into_iter().for_each(|json| strings(json, texts)),
        serde_json::Value::Object(fields) => {
            for (name, json) in fields {
                if let serde_json::Value::String(text) = &json {
                    // Keeps the name next to the value, so that a password that is a common word is recognized.
                    texts.push(Zeroizing::new(format!("{name}={text}")));
                }
                strings(json, texts);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests;
