//! The forms of ARNs, Regions and variables.

use super::{ScopeError, wrong};

/// Checks whether a text is the ARN of a resource of this service and of one of these kinds, in one account.
pub(super) fn is_arn(text: &str, service: &str, kinds: &[&str]) -> bool {
    let parts: Vec<_> = text.splitn(6, ':').collect();
    let ["arn", partition, of, region, account, resource] = parts[..] else { return false };
    partition.starts_with("aws")
        && of == service
        && (region.is_empty() || is_region(region))
        && account.len() == 12
        && account.bytes().all(|it| it.is_ascii_digit())
        && kinds.iter().any(|kind| resource.starts_with(kind) && (*kind == "root" || resource != *kind))
}

/// Checks whether a text has the form of a Region: `eu-central-1`, `us-gov-west-1`, `us-iso-east-1`, `eusc-de-east-1`.
pub(super) fn is_region(text: &str) -> bool {
    let parts: Vec<_> = text.split('-').collect();
    let [area, middle @ .., number] = parts.as_slice() else { return false };
    let is_word = |word: &&str| !word.is_empty() && word.bytes().all(|it| it.is_ascii_lowercase());
    (2..=4).contains(&area.len())
        && is_word(area)
        && !middle.is_empty()
        && middle.iter().all(is_word)
        && !number.is_empty()
        && number.bytes().all(|it| it.is_ascii_digit())
}

/// Checks whether a text contains a variable, of IAM or of a template.
pub(super) fn is_filled_in_later(text: &str) -> bool {
    text.contains("${")
}

/// Rejects a variable without an end or a name: IAM would take it as literal text, which no name matches.
pub(super) fn check_variables(option: &str, text: &str) -> Result<(), ScopeError> {
    let mut parts = text.split("${");
    parts.next();
    for part in parts {
        let name = part.split_once('}').map(|(name, _)| name.trim());
        if name.is_none_or(str::is_empty) {
            return wrong(format!(
                "{option} {text:?} has a broken variable: write ${{ and }} around its name, such as ${{aws:username}}"
            ));
        }
    }
    Ok(())
}

/// Returns a text with each variable replaced by a plain letter.
pub(super) fn without_variables(text: &str) -> String {
    let mut parts = text.split("${");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + "x" + part.split_once('}').map_or(part, |(_, rest)| rest))
}
