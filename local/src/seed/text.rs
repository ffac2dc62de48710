//! Parses the text of a seed file, with the location of errors.

use serde_json::value::RawValue;

use super::Seed;
use crate::error::is_half_a_pair;

/// Decodes the text of a file.
pub(super) fn of(bytes: &[u8]) -> Result<&str, String> {
    let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes);
    std::str::from_utf8(bytes)
        .map_err(|error| format!("it is not UTF-8 from byte {} on", error.valid_up_to() + 1))
}

/// Reads a seed in JSON.
///
/// # Errors
/// A message with the line, the column, the member and what is wrong there. It never contains a value.
pub(super) fn json(text: &str) -> Result<Seed<Box<RawValue>>, String> {
    // serde also accepts a JSON array of the members.
    if !text.trim_start().starts_with('{') {
        return Err("line 1, column 1: the file must be an object, {\"secrets\": [...]}; if it is TOML, its name must \
                    end in .toml"
            .to_owned());
    }
    let mut reader = serde_json::Deserializer::from_str(text);
    let wrong = |error: &serde_json::Error, path: &str| {
        let is_about_data = error.classify() == serde_json::error::Category::Data;
        let message = without_place(error);
        let message = if is_about_data { without_value(&message) } else { message };
        format!("line {}, column {}: {path}{message}", error.line(), error.column())
    };
    let seed = serde_path_to_error::deserialize(&mut reader)
        .map_err(|error| wrong(error.inner(), &member(error.path())))?;
    reader.end().map_err(|error| wrong(&error, "after the end of the object: "))?;
    Ok(seed)
}

/// Returns the text of a JSON error without the location, for messages that start with it.
pub(super) fn without_place(error: &serde_json::Error) -> String {
    let message = error.to_string();
    let message = message.rsplit_once(" at line ").map_or(message.as_str(), |(message, _)| message);
    match is_half_a_pair(error) {
        true => "a \\u escape is half of a surrogate pair, and the other half is missing".to_owned(),
        false => message.to_owned(),
    }
}

/// Reads a seed in TOML.
///
/// # Errors
/// As for JSON.
pub(super) fn toml(text: &str) -> Result<Seed<::toml::Value>, String> {
    let place = |span: Option<std::ops::Range<usize>>| {
        let before = &text[..span.map_or(0, |span| span.start).min(text.len())];
        let (line, start) = (before.matches('\n').count() + 1, before.rfind('\n').map_or(0, |at| at + 1));
        format!("line {line}, column {}: ", before[start..].chars().count() + 1)
    };
    // The parser's own messages do not quote values.
    let reader = ::toml::Deserializer::parse(text).map_err(|error| place(error.span()) + error.message())?;
    serde_path_to_error::deserialize(reader).map_err(|error| {
        place(error.inner().span()) + &member(error.path()) + &without_value(error.inner().message())
    })
}

/// Returns the path of the invalid member, as the start of a message.
fn member(path: &serde_path_to_error::Path) -> String {
    match path.to_string().as_str() {
        "." | "?" => String::new(),
        path => format!("{path}: "),
    }
}

/// Removes the value from an error message. serde quotes it in messages about an invalid type or value, but not in
/// those that name a member; our own messages never quote it.
fn without_value(message: &str) -> String {
    let quotes = message.starts_with("invalid type: ") || message.starts_with("invalid value: ");
    match message.rfind("expected ") {
        Some(at) if quotes => {
            let (_, wanted) = message[at..].split_once(' ').unwrap_or_default();
            let known = KINDS.iter().find(|(name, _)| *name == wanted);
            format!("expected {}", known.map_or(wanted, |(_, kind)| kind))
        }
        _ => message.to_owned(),
    }
}

/// serde's names for kinds of values, with the usual ones.
const KINDS: &[(&str, &str)] = &[
    ("a sequence", "a list"),
    ("a boolean", "true or false"),
    ("f64", "a number"),
    ("i64", "a whole number"),
];
