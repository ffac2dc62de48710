//! Pages of a listing, and the tokens that join them.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::error::{ErrorCode, ServiceError};

/// The page after `token` of `items`, each with a key that is unique and by which they are already sorted
/// (downwards if `descending`), and the token of the page after it.
///
/// The token holds the last key given out, so a page is right even when items came or went since.
pub(crate) fn page<T>(
    items: impl Iterator<Item = (String, T)>,
    token: Option<&str>,
    most: usize,
    descending: bool,
) -> Result<(Vec<T>, Option<String>), ServiceError> {
    let after = token.map(decode).transpose()?;
    let is_later = |key: &String| match &after {
        None => true,
        Some(after) if descending => key < after,
        Some(after) => key > after,
    };
    let mut rest = items.filter(|(key, _)| is_later(key)).peekable();
    let mut page = Vec::new();
    let mut last = None;
    while page.len() < most
        && let Some((key, item)) = rest.next()
    {
        page.push(item);
        last = Some(key);
    }
    let next = rest.peek().and(last).map(|key| URL_SAFE_NO_PAD.encode(format!("{PREFIX}{key}")));
    Ok((page, next))
}

fn decode(token: &str) -> Result<String, ServiceError> {
    let bytes = URL_SAFE_NO_PAD.decode(token).ok();
    let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
    text.and_then(|text| text.strip_prefix(PREFIX).map(str::to_owned))
        .ok_or_else(|| ServiceError::new(ErrorCode::InvalidNextToken, "The NextToken value is invalid."))
}

const PREFIX: &str = "after:";

#[cfg(test)]
mod tests {
    use super::*;

    fn items(keys: &[&str]) -> impl Iterator<Item = (String, String)> {
        keys.iter().map(|key| ((*key).to_owned(), (*key).to_owned())).collect::<Vec<_>>().into_iter()
    }

    #[test]
    fn pages_join_without_gap_or_overlap_when_items_come_and_go() {
        let (first, token) = page(items(&["a", "b", "c", "d"]), None, 2, false).unwrap();
        assert_eq!(first, ["a", "b"]);
        let (second, token) = page(items(&["a", "bb", "c", "d"]), token.as_deref(), 2, false).unwrap();
        assert_eq!(second, ["bb", "c"]);
        let (third, token) = page(items(&["d"]), token.as_deref(), 2, false).unwrap();
        assert_eq!((third, token), (vec!["d".to_owned()], None));
    }

    #[test]
    fn a_full_last_page_has_no_token() {
        assert_eq!(page(items(&["a", "b"]), None, 2, false).unwrap().1, None);
    }

    #[test]
    fn downwards() {
        let (first, token) = page(items(&["c", "b", "a"]), None, 1, true).unwrap();
        assert_eq!(first, ["c"]);
        assert_eq!(page(items(&["c", "b", "a"]), token.as_deref(), 9, true).unwrap().0, ["b", "a"]);
    }

    #[test]
    fn someone_elses_token_is_refused() {
        for token in ["", "!", "bm90IG91cnM"] {
            assert_eq!(
                page(items(&[]), Some(token), 1, false).unwrap_err().code(),
                ErrorCode::InvalidNextToken
            );
        }
    }
}
