//! Pages of a listing, and their tokens. A token is valid only in the listing that returned it.

use std::cmp::Ordering;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::error::{ErrorCode, ServiceError};
use crate::time::Timestamp;

/// The sort key of an item. It is unique, because it ends with an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key<'a> {
    first: First<'a>,
    id: &'a str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum First<'a> {
    Date(i64),
    Name(&'a str),
}

impl<'a> Key<'a> {
    /// Creates a key that sorts by date. Items without a date come first.
    pub(crate) fn date(date: Option<Timestamp>, id: &'a str) -> Self {
        Self { first: First::Date(date.map_or(0, Timestamp::millis)), id }
    }

    /// Creates a key that sorts by name.
    pub(crate) fn name(name: &'a str, id: &'a str) -> Self {
        Self { first: First::Name(name), id }
    }

    fn token(self, listing: &str) -> String {
        // No name or id contains NUL.
        let text = match self.first {
            First::Date(millis) => format!("{listing}\0{DATE}{millis}\0{}", self.id),
            First::Name(name) => format!("{listing}\0{NAME}{name}\0{}", self.id),
        };
        URL_SAFE_NO_PAD.encode(text)
    }

    fn parse(text: &'a str, listing: &str) -> Option<Self> {
        let (first, id) = text.strip_prefix(listing)?.strip_prefix('\0')?.split_once('\0')?;
        let first = match first.strip_prefix(DATE) {
            Some(millis) => First::Date(millis.parse().ok()?),
            None => First::Name(first.strip_prefix(NAME)?),
        };
        Some(Self { first, id })
    }
}

/// Returns the date and id in the token of a listing by date.
pub(crate) fn date_of(token: &str, listing: &str) -> Result<(Timestamp, String), ServiceError> {
    let text = decode(token)?;
    match Key::parse(&text, listing).ok_or_else(invalid)? {
        Key { first: First::Date(millis), id } => Ok((Timestamp::from_millis(millis), id.to_owned())),
        _ => Err(invalid()),
    }
}

fn decode(token: &str) -> Result<String, ServiceError> {
    let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| invalid())?;
    String::from_utf8(bytes).map_err(|_| invalid())
}

fn invalid() -> ServiceError {
    ServiceError::new(ErrorCode::InvalidNextToken, "The NextToken value is invalid.")
}

/// Returns the first page of `items`, which must be sorted, and the token of the next page. Consumes at most one item
/// more than it returns.
pub(crate) fn first_page<'a, T>(
    items: impl Iterator<Item = (Key<'a>, T)>,
    listing: &str,
    most: usize,
) -> (Vec<T>, Option<String>) {
    let mut page: Vec<_> = items.take(most + 1).collect();
    let has_more = page.len() > most;
    page.truncate(most);
    let next = page.last().filter(|_| has_more).map(|(key, _)| key.token(listing));
    (page.into_iter().map(|(_, item)| item).collect(), next)
}

/// Returns the page of `items` after `token`, in ascending or descending order of their keys, and the token of the next
/// page.
///
/// The token contains the last key returned, so pages are correct even if items were added or removed in between. Only
/// the page is sorted, so the cost is linear in the number of items.
pub(crate) fn page<'a, T>(
    items: impl Iterator<Item = (Key<'a>, T)>,
    listing: &str,
    token: Option<&str>,
    most: usize,
    descending: bool,
) -> Result<(Vec<T>, Option<String>), ServiceError> {
    let order = |a: &Key<'_>, b: &Key<'_>| -> Ordering { if descending { b.cmp(a) } else { a.cmp(b) } };
    let text = token.map(decode).transpose()?;
    let after = text.as_deref().map(|text| Key::parse(text, listing).ok_or_else(invalid)).transpose()?;
    let is_later = |key: &Key<'_>| after.as_ref().is_none_or(|after| order(after, key).is_lt());
    let mut page: Vec<_> = items.filter(|(key, _)| is_later(key)).collect();
    let has_more = page.len() > most;
    if has_more {
        page.select_nth_unstable_by(most, |(a, _), (b, _)| order(a, b));
        page.truncate(most);
    }
    page.sort_unstable_by(|(a, _), (b, _)| order(a, b));
    let next = page.last().filter(|_| has_more).map(|(key, _)| key.token(listing));
    Ok((page.into_iter().map(|(_, item)| item).collect(), next))
}

const DATE: &str = "date:";
const NAME: &str = "name:";

#[cfg(test)]
mod tests {
    use super::*;

    fn items<'a>(keys: &'a [&'a str]) -> impl Iterator<Item = (Key<'a>, &'a str)> {
        keys.iter().map(|key| (Key::name(key, "id"), *key))
    }

    #[test]
    fn pages_join_without_gap_or_overlap_when_items_come_and_go() {
        let (first, token) = page(items(&["d", "a", "c", "b"]), "L", None, 2, false).unwrap();
        assert_eq!(first, ["a", "b"]);
        let (second, token) = page(items(&["a", "c", "bb", "d"]), "L", token.as_deref(), 2, false).unwrap();
        assert_eq!(second, ["bb", "c"]);
        let (third, token) = page(items(&["d"]), "L", token.as_deref(), 2, false).unwrap();
        assert_eq!((third, token), (vec!["d"], None));
    }

    #[test]
    fn a_full_last_page_has_no_token() {
        assert_eq!(page(items(&["a", "b"]), "L", None, 2, false).unwrap().1, None);
    }

    #[test]
    fn downwards() {
        let (first, token) = page(items(&["c", "b", "a"]), "L", None, 1, true).unwrap();
        assert_eq!(first, ["c"]);
        assert_eq!(page(items(&["a", "b", "c"]), "L", token.as_deref(), 9, true).unwrap().0, ["b", "a"]);
    }

    #[test]
    fn dates_sort_as_numbers_and_the_id_decides_between_equals() {
        let keys =
            [Key::date(Some(Timestamp::from_secs(10)), "b"), Key::date(Some(Timestamp::from_secs(9)), "z")];
        let later = [Key::date(None, "x"), Key::date(Some(Timestamp::from_secs(10)), "a")];
        let all = || keys.into_iter().chain(later).map(|key| (key, key.id));
        let (first, token) = page(all(), "L", None, 3, false).unwrap();
        assert_eq!(first, ["x", "z", "a"]);
        assert_eq!(page(all(), "L", token.as_deref(), 3, false).unwrap().0, ["b"]);
    }

    #[test]
    fn someone_elses_token_is_refused() {
        let others = page(items(&["a", "b"]), "other", None, 1, false).unwrap().1.unwrap();
        for token in ["", "!", "bm90IG91cnM", &others] {
            assert_eq!(
                page(items(&[]), "L", Some(token), 1, false).unwrap_err().code(),
                ErrorCode::InvalidNextToken
            );
        }
    }
}
