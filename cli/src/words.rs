//! Options with a closed set of words, which shells complete.

use std::convert::Infallible;

use clap::builder::{PossibleValue, StringValueParser, TypedValueParser};
use clap::{Arg, Command};

/// Offers words to shells for completion, and leaves it to a function to parse them. `parse` returns its own errors and
/// can accept other spellings.
pub(crate) fn offering<T, E>(
    words: fn() -> Vec<&'static str>,
    parse: fn(&str) -> Result<T, E>,
) -> impl TypedValueParser<Value = T>
where
    T: Clone + Send + Sync + 'static,
    E: Into<Box<dyn std::error::Error + Send + Sync>> + 'static,
{
    Offering(words).try_map(move |text| parse(&text))
}

/// Accepts every word, for options whose words the command checks together.
pub(crate) fn any(text: &str) -> Result<String, Infallible> {
    Ok(text.to_owned())
}

#[derive(Clone)]
struct Offering(fn() -> Vec<&'static str>);

impl TypedValueParser for Offering {
    type Value = String;

    fn parse_ref(
        &self,
        command: &Command,
        arg: Option<&Arg>,
        value: &std::ffi::OsStr,
    ) -> Result<String, clap::Error> {
        StringValueParser::new().parse_ref(command, arg, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new((self.0)().into_iter().map(PossibleValue::new)))
    }
}
