//! GetRandomPassword.

use rand::seq::SliceRandom;
use rand::{Rng, RngExt};
use serde::{Deserialize, Serialize, Serializer};
use zeroize::Zeroizing;

use super::{Call, Done, Operation};
use crate::error::ServiceError;
use crate::store::Store;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct GetRandomPassword {
    password_length: Option<i64>,
    exclude_characters: Option<String>,
    exclude_numbers: Option<bool>,
    exclude_punctuation: Option<bool>,
    exclude_uppercase: Option<bool>,
    exclude_lowercase: Option<bool>,
    include_space: Option<bool>,
    require_each_included_type: Option<bool>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Answer {
    #[serde(serialize_with = "text")]
    random_password: Zeroizing<String>,
}

impl Operation for GetRandomPassword {
    type Output = Answer;

    fn run(self, _store: &Store, call: &mut Call<'_>) -> Result<Done<Answer>, ServiceError> {
        let length = self.password_length.map_or(32, |length| length as usize);
        let require_each = self.require_each_included_type.unwrap_or(true);
        let types = self.types();
        if types.is_empty() && !self.has_space() {
            return Err(ServiceError::invalid_parameter(
                "The password can't be generated: every character is excluded.",
            ));
        }
        if require_each && length < types.len() {
            return Err(ServiceError::invalid_parameter(
                "Password length is too short based on the required types.",
            ));
        }
        let required = if require_each { types.as_slice() } else { &[] };
        let mut all = types.concat();
        all.extend(self.has_space().then_some(b' '));
        Ok(Done::reading(Answer { random_password: generate(required, &all, length, call.random) }))
    }
}

impl GetRandomPassword {
    /// Returns the allowed characters of each of the four types. A type without any allowed character is omitted, so it
    /// is not required either.
    fn types(&self) -> Vec<Vec<u8>> {
        let excluded = self.exclude_characters.as_deref().unwrap_or_default();
        let off = |flag: Option<bool>| flag.unwrap_or_default();
        [
            (LOWERCASE, off(self.exclude_lowercase)),
            (UPPERCASE, off(self.exclude_uppercase)),
            (DIGITS, off(self.exclude_numbers)),
            (PUNCTUATION, off(self.exclude_punctuation)),
        ]
        .into_iter()
        .filter(|(_, is_off)| !is_off)
        .map(|(all, _)| all.bytes().filter(|b| !excluded.contains(char::from(*b))).collect())
        .filter(|kept: &Vec<u8>| !kept.is_empty())
        .collect()
    }

    /// Returns whether a space is allowed. It is never required.
    fn has_space(&self) -> bool {
        let excluded = self.exclude_characters.as_deref().unwrap_or_default();
        self.include_space.unwrap_or_default() && !excluded.contains(' ')
    }
}

fn generate(required: &[Vec<u8>], all: &[u8], length: usize, mut random: &mut dyn Rng) -> Zeroizing<String> {
    let mut pick = |from: &[u8]| from[random.random_range(0..from.len())];
    let mut bytes = Zeroizing::new(Vec::with_capacity(length));
    bytes.extend(required.iter().map(|kind| pick(kind)));
    while bytes.len() < length {
        bytes.push(pick(all));
    }
    // The required characters are first so far; their positions must be random too.
    bytes.shuffle(&mut random);
    Zeroizing::new(bytes.iter().copied().map(char::from).collect())
}

fn text<S: Serializer>(password: &Zeroizing<String>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(password)
}

const LOWERCASE: &str = "abcdefghijklmnopqrstuvwxyz";
const UPPERCASE: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
const DIGITS: &str = "0123456789";
/// The punctuation listed in the API reference under ExcludePunctuation.
const PUNCTUATION: &str = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~";
