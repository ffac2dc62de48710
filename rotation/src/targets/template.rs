//! Text templates with `{name}` placeholders.

use zeroize::Zeroizing;

use crate::error::{Error, ErrorKind};
use crate::percent;

/// The context that a value is inserted into, which decides how it is escaped.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Escape {
    /// Plain text: nothing is escaped.
    Text,
    Url,
    Json,
    Header,
}

/// Replaces each `{name}` with its value. Braces that do not enclose a name are copied, so JSON needs no escaping.
pub(super) fn fill(
    template: &str,
    escape: Escape,
    value: &impl Fn(&str) -> Result<Zeroizing<String>, Error>,
) -> Result<Zeroizing<String>, Error> {
    let mut filled = Zeroizing::new(String::with_capacity(template.len() + 1024));
    let mut rest = template;
    while let Some(open) = rest.find('{') {
        let (before, after) = rest.split_at(open);
        filled.push_str(before);
        match after[1..].split_once('}').filter(|(name, _)| is_name(name)) {
            Some((name, remaining)) => {
                append(&mut filled, &value(name)?, escape)?;
                rest = remaining;
            }
            None => {
                filled.push('{');
                rest = &after[1..];
            }
        }
    }
    filled.push_str(rest);
    Ok(filled)
}

/// Fills in a URL. A value never removes or climbs out of its segment of the path: `/keys/{id}` with `..` would mean `/`,
/// and without anything would mean all keys.
pub(super) fn fill_url(
    template: &str,
    value: &impl Fn(&str) -> Result<Zeroizing<String>, Error>,
) -> Result<Zeroizing<String>, Error> {
    let filled = fill(template, Escape::Url, value)?;
    // Values are encoded, so both have the same segments.
    for (before, after) in path(template).split('/').zip(path(&filled).split('/')) {
        if names(before).next().is_some() && matches!(after, "" | "." | "..") {
            return Err(Error::new(
                ErrorKind::Misconfigured,
                format!(
                    "the value for {before:?} in a URL is empty, \".\" or \"..\", which would be another path"
                ),
            ));
        }
    }
    Ok(filled)
}

/// Returns a URL without its query.
fn path(url: &str) -> &str {
    url.split(['?', '#']).next().unwrap_or_default()
}

/// Returns the placeholder names in a template.
pub(super) fn names(template: &str) -> impl Iterator<Item = &str> {
    template
        .split('{')
        .skip(1)
        .filter_map(|part| part.split_once('}'))
        .map(|(name, _)| name)
        .filter(|name| is_name(name))
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.'))
}

fn append(filled: &mut Zeroizing<String>, value: &str, escape: Escape) -> Result<(), Error> {
    match escape {
        Escape::Url => percent::encode(value, filled),
        Escape::Json => {
            let json = Zeroizing::new(serde_json::Value::from(value).to_string());
            filled.push_str(&json[1..json.len() - 1]);
        }
        Escape::Header if value.chars().any(char::is_control) => {
            return Err(Error::new(
                ErrorKind::Misconfigured,
                "a value for a header contains a control character, which would start a new header",
            ));
        }
        Escape::Header | Escape::Text => filled.push_str(value),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(template: &str, escape: Escape, value: &str) -> Result<String, Error> {
        fill(template, escape, &|_| Ok(value.to_owned().into())).map(|text| text.to_string())
    }

    #[test]
    fn values_stay_inside_their_place() {
        assert_eq!(filled("/keys/{id}?a", Escape::Url, "../x?y=ü").unwrap(), "/keys/..%2Fx%3Fy%3D%C3%BC?a");
        assert_eq!(
            filled(r#"{"name": "{tag}"}"#, Escape::Json, "a\",\"b\\").unwrap(),
            r#"{"name": "a\",\"b\\"}"#
        );
        assert_eq!(filled("Bearer {key}", Escape::Header, "abc").unwrap(), "Bearer abc");
        let error = filled("Bearer {key}", Escape::Header, "canary\r\nx: y").unwrap_err();
        assert!(!error.message().contains("canary"));
    }

    #[test]
    fn values_stay_in_their_segment_of_the_path() {
        let url = |template: &str, value: &str| {
            fill_url(template, &|_| Ok(value.to_owned().into())).map(|url| url.to_string())
        };
        for value in ["", ".", ".."] {
            let error = url("https://api.example/keys/{id}/x", value).unwrap_err();
            assert!(error.message().contains("{id}"), "{error}");
        }
        assert!(url("https://api.example/{a}{b}?x", ".").is_err());
        assert_eq!(url("https://api.example/v{id}/", "..").unwrap(), "https://api.example/v../");
        assert_eq!(url("https://api.example/a?b=/{id}", "..").unwrap(), "https://api.example/a?b=/..");
        assert_eq!(url("https://{id}/keys/", "a.example").unwrap(), "https://a.example/keys/");
        assert_eq!(url("https://api.example/{id}", "../x").unwrap(), "https://api.example/..%2Fx");
    }

    #[test]
    fn braces_without_a_name_stand_for_themselves() {
        assert_eq!(filled("{ {} {{a} {a b} {", Escape::Json, "X").unwrap(), "{ {} {X {a b} {");
    }
}
