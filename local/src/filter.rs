//! The filters of ListSecrets and BatchGetSecretValue.
//!
//! All filters of a request must match, and at least one value of each. A value that starts with `!` matches if the
//! rest of it does not (user guide, "Find secrets in Secrets Manager").

use serde::Deserialize;

use crate::error::ServiceError;
use crate::secret::Secret;

/// One filter of a request.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Filter {
    key: Option<String>,
    values: Option<Vec<String>>,
}

impl Filter {
    /// Checks that both members of each filter are present, which the service model does not require.
    pub(crate) fn check(filters: &[Self]) -> Result<(), ServiceError> {
        for filter in filters {
            let Some(key) = &filter.key else {
                return Err(ServiceError::invalid_parameter("Invalid filter key"));
            };
            if filter.values.is_none() {
                return Err(ServiceError::invalid_parameter(format!("Invalid filter values for key: {key}")));
            }
        }
        Ok(())
    }

    /// Returns whether `secret` matches.
    pub(crate) fn passes(&self, secret: &Secret) -> bool {
        let key = self.key.as_deref().unwrap_or_default();
        self.values.iter().flatten().any(|value| match value.strip_prefix('!') {
            Some(value) => !matches(key, value, secret),
            None => matches(key, value, secret),
        })
    }
}

fn matches(key: &str, value: &str, secret: &Secret) -> bool {
    let tags = secret.tags.as_deref().unwrap_or_default();
    match key {
        "name" => secret.name.starts_with(value),
        "description" => secret.description.as_deref().is_some_and(|text| has_words(text, value)),
        "tag-key" => tags.iter().any(|tag| tag.key.starts_with(value)),
        "tag-value" => tags.iter().any(|tag| tag.value.starts_with(value)),
        "primary-region" => secret.primary_region().is_some_and(|region| region.starts_with(value)),
        // No secret is owned by another service here.
        "owning-service" => false,
        "all" => {
            let tags = tags.iter().flat_map(|tag| [tag.key.as_str(), tag.value.as_str()]);
            let mut attributes =
                [secret.name.as_str()].into_iter().chain(secret.description.as_deref()).chain(tags);
            attributes.any(|attribute| has_words(attribute, value))
        }
        _ => false,
    }
}

/// Returns whether every word of `value` is a prefix of a word in `text`, ignoring case: "Breaks the filter value
/// string into words and then searches all attributes for matches."
fn has_words(text: &str, value: &str) -> bool {
    let (have, want) = (words(text), words(value));
    !want.is_empty() && want.iter().all(|word| have.iter().any(|candidate| candidate.starts_with(word)))
}

/// Returns the words of a text, in lower case. The service's definition of a word is undocumented; this is what others
/// found by experiment: a text is split if it has one kind of separator, but not if it has two, and capitals, digits
/// and spaces begin a word.
fn words(text: &str) -> Vec<String> {
    let mut kinds = SEPARATORS.iter().filter(|separator| text.contains(**separator));
    let parts: Vec<&str> = match (kinds.next(), kinds.next()) {
        (Some(_), Some(_)) => return vec![text.to_lowercase()],
        (Some(separator), None) => text.split(*separator).collect(),
        _ => vec![text],
    };
    let capitals = parts.into_iter().flat_map(split_at_capitals);
    capitals.map(|word| word.trim().to_lowercase()).filter(|word| !word.is_empty()).collect()
}

/// Splits `HTTPServer name` into `HTTP`, `Server`, ` name`: a word is one character and the lower-case letters after
/// it.
fn split_at_capitals(mut text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let begins = |(i, c): (usize, char), text: &str| {
        let after = text[i + c.len_utf8()..].chars().next();
        !c.is_ascii_lowercase() && after.is_some_and(|c| c.is_ascii_lowercase())
    };
    while let Some((start, c)) = text.char_indices().find(|at| begins(*at, text)) {
        let body = &text[start + c.len_utf8()..];
        let end = text.len() - body.trim_start_matches(|c: char| c.is_ascii_lowercase()).len();
        found.extend([&text[..start], &text[start..end]]);
        text = &text[end..];
    }
    found.push(text);
    found
}

const SEPARATORS: &[char] = &['/', '-', '_', '+', '=', '.', '@'];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_word_is() {
        for (text, expected) in [
            ("ThisTestSecret", vec!["this", "test", "secret"]),
            ("HTTPServer name", vec!["http", "server", "name"]),
            ("prod/checkout", vec!["prod", "checkout"]),
            ("prod/checkout-db", vec!["prod/checkout-db"]),
            ("a red dog", vec!["a", "red", "dog"]),
            ("/", vec![]),
            ("", vec![]),
            ("naïve Zürich", vec!["na", "ïve", "z", "ürich"]),
        ] {
            assert_eq!(words(text), expected, "{text}");
        }
    }
}
