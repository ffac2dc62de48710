//! Condition blocks: operators, keys and policy variables.
//!
//! Follows <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html> and
//! `…_condition-logic-multiple-context-keys-or-values.html`.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;
use jiff::Timestamp;

use crate::document::Condition;
use crate::pattern::{could_begin, escape, matches, matches_arn, unescape};

/// A three-valued answer, for requests that are only partly known.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
#[allow(missing_docs, reason = "they say it")]
pub enum Truth {
    No,
    Maybe,
    Yes,
}

impl Truth {
    pub(crate) fn not(self) -> Self {
        match self {
            Self::No => Self::Yes,
            Self::Maybe => Self::Maybe,
            Self::Yes => Self::No,
        }
    }
}

impl From<bool> for Truth {
    fn from(holds: bool) -> Self {
        if holds { Self::Yes } else { Self::No }
    }
}

/// The context keys of a request. Keys are case-insensitive.
///
/// A *closed* context is complete: a key that is not in it is absent from the request. In an *open* context, a missing
/// key can have any value, and conditions on it evaluate to [`Truth::Maybe`].
///
/// ```
/// use secretcache_access::condition::Context;
///
/// let mut context = Context::open();
/// context.set("aws:PrincipalAccount", "111122223333");
/// context.close("aws:PrincipalTag/");
/// ```
#[derive(Clone, Debug, Default)]
pub struct Context {
    values: BTreeMap<String, Vec<String>>,
    /// Keys that are present, with the known prefix of their value.
    beginnings: BTreeMap<String, String>,
    /// Keys that are present and hold this time or a later one.
    from: BTreeMap<String, Timestamp>,
    is_open: bool,
    closed: Vec<String>,
}

enum Key<'a> {
    Present(&'a [String]),
    /// Present, with a value that begins like this.
    Begins(&'a str),
    /// Present, with this time or a later one.
    From(Timestamp),
    Absent,
    Unknown,
}

impl Context {
    /// Creates a complete context without any key.
    pub fn closed() -> Self {
        Self::default()
    }

    /// Creates a context in which nothing is known yet.
    pub fn open() -> Self {
        Self { is_open: true, ..Self::default() }
    }

    /// Sets the value of a key.
    pub fn set(&mut self, key: &str, value: impl Into<String>) {
        self.set_many(key, vec![value.into()]);
    }

    /// Sets the value of a key if nothing is known about it yet.
    pub(crate) fn set_default(&mut self, key: &str, value: &str) {
        if matches!(self.get(key), Key::Unknown) {
            self.set(key, value);
        }
    }

    /// Sets the values of a multivalued key.
    pub fn set_many(&mut self, key: &str, values: Vec<String>) {
        self.values.insert(key.to_ascii_lowercase(), values);
    }

    /// Marks a key as present with a value that begins with `beginning`; the rest of the value is unknown.
    pub fn set_beginning(&mut self, key: &str, beginning: impl Into<String>) {
        self.beginnings.insert(key.to_ascii_lowercase(), beginning.into());
    }

    /// Marks a key as present with `time` or any later time, to ask about what holds now or later.
    pub fn set_from(&mut self, key: &str, time: Timestamp) {
        self.from.insert(key.to_ascii_lowercase(), time);
    }

    /// Discards everything known about a key.
    pub fn forget(&mut self, key: &str) {
        self.values.remove(&key.to_ascii_lowercase());
        self.beginnings.remove(&key.to_ascii_lowercase());
        self.from.remove(&key.to_ascii_lowercase());
    }

    /// Marks all keys with this prefix as absent unless they have a value, even if the context is open.
    pub fn close(&mut self, prefix: &str) {
        self.closed.push(prefix.to_ascii_lowercase());
    }

    fn get(&self, key: &str) -> Key<'_> {
        let key = key.to_ascii_lowercase();
        match self.values.get(&key) {
            Some(values) if values.is_empty() => Key::Absent,
            Some(values) => Key::Present(values),
            None if self.beginnings.contains_key(&key) => Key::Begins(&self.beginnings[&key]),
            None if self.from.contains_key(&key) => Key::From(self.from[&key]),
            None if self.is_open && !self.closed.iter().any(|prefix| key.starts_with(prefix)) => Key::Unknown,
            None => Key::Absent,
        }
    }
}

/// A text after replacement of its policy variables.
pub(crate) enum Expanded<'a> {
    /// A pattern. Wildcard characters that came from a variable are escaped.
    Text(Cow<'a, str>),
    /// A variable has no value in this request, so the text matches nothing.
    Absent,
    /// The value of a variable is unknown.
    Unknown,
}

/// Replaces `${key}`, `${key, 'default'}`, `${*}`, `${?}` and `${$}`.
pub(crate) fn expand<'a>(text: &'a str, context: &Context, has_variables: bool) -> Expanded<'a> {
    if !has_variables || !text.contains("${") {
        return Expanded::Text(text.into());
    }
    let (mut expanded, mut rest) = (String::new(), text);
    while let Some(begin) = rest.find("${") {
        let Some(length) = rest[begin..].find('}') else { break };
        expanded += &rest[..begin];
        let inside = &rest[begin + 2..begin + length];
        rest = &rest[begin + length + 1..];
        if matches!(inside, "*" | "?" | "$") {
            expanded += &escape(inside);
            continue;
        }
        let (key, default) = match inside.split_once(',') {
            Some((key, default)) => (key.trim(), Some(default.trim().trim_matches('\''))),
            None => (inside.trim(), None),
        };
        match (context.get(key), default) {
            // A key with more than one value cannot be used as a variable.
            (Key::Present([value]), _) => expanded += &escape(value),
            (Key::Present(_) | Key::Absent, Some(default)) => expanded += &escape(default),
            (Key::Present(_) | Key::Absent, None) => return Expanded::Absent,
            (Key::Unknown | Key::Begins(_) | Key::From(_), _) => return Expanded::Unknown,
        }
    }
    Expanded::Text((expanded + rest).into())
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Quantifier {
    None,
    All,
    Any,
}

/// Evaluates a condition.
pub(crate) fn holds(condition: &Condition, context: &Context, has_variables: bool) -> Truth {
    let (quantifier, operator) = match condition.operator.split_once(':') {
        Some((name, operator)) if name.eq_ignore_ascii_case("ForAllValues") => (Quantifier::All, operator),
        Some((name, operator)) if name.eq_ignore_ascii_case("ForAnyValue") => (Quantifier::Any, operator),
        _ => (Quantifier::None, condition.operator.as_str()),
    };
    let lower = operator.to_ascii_lowercase();
    if lower == "null" {
        let wants_absent = condition.values.iter().any(|value| value.eq_ignore_ascii_case("true"));
        return match context.get(&condition.key) {
            Key::Unknown => Truth::Maybe,
            Key::Absent => wants_absent.into(),
            Key::Present(_) | Key::Begins(_) | Key::From(_) => (!wants_absent).into(),
        };
    }
    let (lower, if_exists) = match lower.strip_suffix("ifexists") {
        Some(operator) => (operator, true),
        None => (lower.as_str(), false),
    };
    let Some((comparison, negated)) = Comparison::of(lower) else {
        // An unknown operator: the condition may or may not hold.
        return Truth::Maybe;
    };
    let mut partly: Option<&dyn Fn(&str) -> Truth> = None;
    let (by_beginning, by_time);
    let present = match context.get(&condition.key) {
        Key::Unknown => return Truth::Maybe,
        Key::Absent => {
            return (if_exists || quantifier == Quantifier::All || negated && quantifier == Quantifier::None)
                .into();
        }
        Key::Present(values) => values,
        Key::Begins(beginning) => {
            by_beginning = move |wanted: &str| comparison.matches_beginning(wanted, beginning);
            partly = Some(&by_beginning);
            &[][..]
        }
        Key::From(time) => {
            by_time = move |wanted: &str| comparison.matches_from(wanted, time);
            partly = Some(&by_time);
            &[][..]
        }
    };
    let mut wanted = Vec::new();
    let mut is_unknown = false;
    for value in &condition.values {
        match expand(value, context, has_variables) {
            Expanded::Text(text) => wanted.push(text),
            Expanded::Absent => {}
            Expanded::Unknown => is_unknown = true,
        }
    }
    // A condition needs only one of its values to match; a negated one allows none to match.
    let one = |matched: &dyn Fn(&str) -> Truth| {
        let unknown = if is_unknown { Truth::Maybe } else { Truth::No };
        let matched = wanted.iter().map(|wanted| matched(wanted)).max().unwrap_or(Truth::No).max(unknown);
        if negated { matched.not() } else { matched }
    };
    if let Some(matches) = partly {
        return one(matches);
    }
    let truths = present.iter().map(|value| one(&|wanted| comparison.matches(wanted, value).into()));
    match quantifier {
        Quantifier::All => truths.min().unwrap_or(Truth::Yes),
        Quantifier::Any => truths.max().unwrap_or(Truth::No),
        Quantifier::None if negated => truths.min().unwrap_or(Truth::Yes),
        Quantifier::None => truths.max().unwrap_or(Truth::No),
    }
}

#[derive(Clone, Copy)]
enum Comparison {
    Equal,
    EqualIgnoringCase,
    Like,
    Arn,
    Bool,
    Binary,
    Address,
    Number(Order),
    Date(Order),
}

#[derive(Clone, Copy)]
enum Order {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Comparison {
    /// Returns an operator's comparison, and whether the result is negated. Returns `None` for an unknown operator.
    fn of(operator: &str) -> Option<(Self, bool)> {
        Some(match operator {
            "stringequals" => (Self::Equal, false),
            "stringnotequals" => (Self::Equal, true),
            "stringequalsignorecase" => (Self::EqualIgnoringCase, false),
            "stringnotequalsignorecase" => (Self::EqualIgnoringCase, true),
            "stringlike" => (Self::Like, false),
            "stringnotlike" => (Self::Like, true),
            // For ARNs, Equals and Like behave the same.
            "arnequals" | "arnlike" => (Self::Arn, false),
            "arnnotequals" | "arnnotlike" => (Self::Arn, true),
            "bool" => (Self::Bool, false),
            "binaryequals" => (Self::Binary, false),
            "ipaddress" => (Self::Address, false),
            "notipaddress" => (Self::Address, true),
            _ => {
                let (order, negated) =
                    match operator.strip_prefix("numeric").or(operator.strip_prefix("date"))? {
                        "equals" => (Order::Equal, false),
                        "notequals" => (Order::Equal, true),
                        "lessthan" => (Order::Less, false),
                        "lessthanequals" => (Order::LessOrEqual, false),
                        "greaterthan" => (Order::Greater, false),
                        "greaterthanequals" => (Order::GreaterOrEqual, false),
                        _ => return None,
                    };
                let is_date = operator.starts_with("date");
                (if is_date { Self::Date(order) } else { Self::Number(order) }, negated)
            }
        })
    }

    /// Compares a value of which only the beginning is known.
    fn matches_beginning(self, wanted: &str, beginning: &str) -> Truth {
        let wanted = match self {
            Self::Like => Cow::Borrowed(wanted),
            Self::Equal => Cow::Owned(escape(&unescape(wanted))),
            _ => return Truth::Maybe,
        };
        if wanted.ends_with('*') && matches(&wanted, beginning) {
            return Truth::Yes;
        }
        Truth::Maybe.min(Truth::from(could_begin(&wanted, beginning)))
    }

    /// Compares a time that is known only not to be before `time`.
    fn matches_from(self, wanted: &str, time: Timestamp) -> Truth {
        let wanted = unescape(wanted);
        match self {
            Self::Date(order) => date(&wanted).map_or(Truth::No, |wanted| order.holds_from(&time, &wanted)),
            // Seconds since 1970.
            Self::Number(order) => {
                wanted.parse::<i64>().map_or(Truth::No, |wanted| order.holds_from(&time.as_second(), &wanted))
            }
            _ => Truth::Maybe,
        }
    }

    fn matches(self, wanted: &str, value: &str) -> bool {
        match self {
            Self::Like => return matches(wanted, value),
            Self::Arn => return matches_arn(wanted, value),
            _ => {}
        }
        let wanted = unescape(wanted);
        match self {
            Self::EqualIgnoringCase => wanted.to_lowercase() == value.to_lowercase(),
            Self::Bool => wanted.eq_ignore_ascii_case(value),
            Self::Address => match (network(&wanted), value.parse::<IpAddr>()) {
                (Some(network), Ok(address)) => network.contains(&address),
                _ => false,
            },
            Self::Number(order) => match (wanted.parse::<f64>(), value.parse::<f64>()) {
                (Ok(wanted), Ok(value)) => order.holds(&value, &wanted),
                _ => false,
            },
            Self::Date(order) => match (date(&wanted), date(value)) {
                (Some(wanted), Some(value)) => order.holds(&value, &wanted),
                _ => false,
            },
            _ => wanted == value,
        }
    }
}

impl Order {
    fn holds<T: PartialOrd>(self, value: &T, wanted: &T) -> bool {
        match self {
            Self::Equal => value == wanted,
            Self::Less => value < wanted,
            Self::LessOrEqual => value <= wanted,
            Self::Greater => value > wanted,
            Self::GreaterOrEqual => value >= wanted,
        }
    }

    /// Compares a value that is known only not to be less than `least`.
    fn holds_from<T: PartialOrd>(self, least: &T, wanted: &T) -> Truth {
        match self {
            Self::Greater | Self::GreaterOrEqual if self.holds(least, wanted) => Truth::Yes,
            Self::Less if least >= wanted => Truth::No,
            Self::Equal | Self::LessOrEqual if least > wanted => Truth::No,
            _ => Truth::Maybe,
        }
    }
}

pub(crate) fn network(text: &str) -> Option<IpNet> {
    text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
}

/// Parses ISO 8601, or seconds since 1970.
fn date(text: &str) -> Option<Timestamp> {
    if let Ok(seconds) = text.parse() {
        return Timestamp::from_second(seconds).ok();
    }
    text.parse().ok().or_else(|| {
        let day: jiff::civil::Date = text.parse().ok()?;
        day.to_zoned(jiff::tz::TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_over_never_holds_again() {
        let mut context = Context::open();
        let now: Timestamp = "2026-03-01T12:00:00Z".parse().unwrap();
        context.set_from("aws:CurrentTime", now);
        context.set_from("aws:EpochTime", now);
        for (operator, value, expected) in [
            ("DateLessThan", "2026-03-01T12:00:00Z", Truth::No),
            ("DateLessThanEquals", "2026-03-01T12:00:00Z", Truth::Maybe),
            ("DateLessThan", "2026-03-02T00:00:00Z", Truth::Maybe),
            ("DateGreaterThan", "2026-02-28T00:00:00Z", Truth::Yes),
            ("DateGreaterThanEquals", "2026-03-01T12:00:00Z", Truth::Yes),
            ("DateGreaterThan", "2027-01-01T00:00:00Z", Truth::Maybe),
            ("DateEquals", "2026-02-28T00:00:00Z", Truth::No),
            ("DateEquals", "2027-01-01T00:00:00Z", Truth::Maybe),
            ("DateNotEquals", "2026-02-28T00:00:00Z", Truth::Yes),
            ("DateLessThanIfExists", "2026-02-28T00:00:00Z", Truth::No),
            ("NumericLessThan", "1700000000", Truth::No),
            ("NumericGreaterThan", "1700000000", Truth::Yes),
            ("StringLike", "2026-*", Truth::Maybe),
            ("Null", "true", Truth::No),
        ] {
            let key = if operator.starts_with("Numeric") { "aws:EpochTime" } else { "aws:CurrentTime" };
            let condition =
                Condition { operator: operator.into(), key: key.into(), values: vec![value.into()] };
            assert_eq!(holds(&condition, &context, true), expected, "{condition}");
        }
    }

    #[test]
    fn an_equal_value_is_neither_greater_nor_less() {
        let mut context = Context::closed();
        context.set("k", "10");
        for (operator, expected) in [
            ("NumericEquals", Truth::Yes),
            ("NumericGreaterThan", Truth::No),
            ("NumericGreaterThanEquals", Truth::Yes),
            ("NumericLessThan", Truth::No),
            ("NumericLessThanEquals", Truth::Yes),
        ] {
            let condition =
                Condition { operator: operator.into(), key: "k".into(), values: vec!["10".into()] };
            assert_eq!(holds(&condition, &context, true), expected, "{condition}");
        }
    }

    #[test]
    fn a_value_whose_beginning_is_known_is_distinguished_from_others() {
        let mut context = Context::open();
        context.set_beginning("aws:userId", "AROAAPP:");
        for (operator, value, expected) in [
            ("StringLike", "AROAAPP:*", Truth::Yes),
            ("StringLike", "*", Truth::Yes),
            ("StringLike", "AROAAPP:i-*", Truth::Maybe),
            ("StringLike", "*:app", Truth::Maybe),
            ("StringLike", "AROAOTHER:*", Truth::No),
            ("StringLike", "AROAAPP", Truth::No),
            ("StringEquals", "AROAAPP:session", Truth::Maybe),
            ("StringEquals", "AROAOTHER:session", Truth::No),
            ("StringNotLike", "AROAAPP:*", Truth::No),
            ("StringNotLike", "AROAOTHER:*", Truth::Yes),
            ("StringNotEquals", "AROAAPP:session", Truth::Maybe),
            ("StringLikeIfExists", "AROAAPP:*", Truth::Yes),
            ("ForAnyValue:StringLike", "AROAAPP:*", Truth::Yes),
            ("StringEqualsIgnoreCase", "aroaapp:x", Truth::Maybe),
            ("Null", "true", Truth::No),
            ("Null", "false", Truth::Yes),
        ] {
            let condition =
                Condition { operator: operator.into(), key: "aws:userid".into(), values: vec![value.into()] };
            assert_eq!(holds(&condition, &context, true), expected, "{condition}");
        }
    }
}
