//! Policy documents: parses JSON into statements.
//!
//! The grammar is at <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html>. `Statement`,
//! and nearly every element in it, can be a single value or a list.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

/// A policy document, with the JSON it was read from.
///
/// ```
/// use secretcache_access::{Document, Effect};
///
/// let document = Document::parse(
///     r#"{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "secretsmanager:GetSecretValue", "Resource": "*"}}"#,
/// )?;
/// assert_eq!(document.statements[0].effect, Effect::Allow);
/// # Ok::<(), secretcache_access::document::PolicyError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// The document as written.
    pub json: Value,
    /// Whether policy variables such as `${aws:username}` are replaced, which they are only in version 2012-10-17.
    pub has_variables: bool,
    /// The statements, in order.
    pub statements: Vec<Statement>,
}

/// One statement of a policy.
#[derive(Clone, Debug, PartialEq)]
pub struct Statement {
    /// The statement id, if its author gave it one.
    pub sid: Option<String>,
    /// Whether it allows or denies.
    pub effect: Effect,
    /// The principals it applies to. Only resource policies have them.
    pub principal: Option<Scope<Principals>>,
    /// The actions it applies to.
    pub action: Scope<Vec<String>>,
    /// The resources it applies to. Resource policies can leave them out.
    pub resource: Option<Scope<Vec<String>>>,
    /// Its conditions; all must hold.
    pub conditions: Vec<Condition>,
}

impl Statement {
    /// Returns how messages name the statement at an index of its policy: `statement AllowRead`, or `statement 1` for the
    /// first one without a statement id.
    pub(crate) fn title(&self, index: usize) -> String {
        self.sid.as_ref().map_or_else(|| numbered(index), |sid| format!("statement {sid}"))
    }
}

/// The name of a statement without a statement id. People count from one.
fn numbered(index: usize) -> String {
    format!("statement {}", index + 1)
}

/// `Allow` or `Deny`.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Deserialize, Serialize)]
#[allow(missing_docs, reason = "named as in policies")]
pub enum Effect {
    Allow,
    Deny,
}

/// An element or its negation: `Action` or `NotAction`, `Principal` or `NotPrincipal`.
#[derive(Clone, Debug, PartialEq)]
pub enum Scope<T> {
    /// Only the listed values.
    Only(T),
    /// Everything except the listed values.
    AllBut(T),
}

impl<T> Scope<T> {
    /// Returns the listed values of either form.
    pub fn listed(&self) -> &T {
        match self {
            Self::Only(listed) | Self::AllBut(listed) => listed,
        }
    }
}

/// Principals by type, such as `AWS` or `Service`. The principal `"*"` is `AWS: *`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Principals(pub BTreeMap<String, Vec<String>>);

/// One key of a condition block.
#[derive(Clone, Debug, PartialEq)]
pub struct Condition {
    /// The operator as written, such as `ForAnyValue:StringLikeIfExists`.
    pub operator: String,
    /// The condition key, such as `aws:SourceVpce`.
    pub key: String,
    /// The values that the key is compared with.
    pub values: Vec<String>,
}

impl Condition {
    /// Checks whether the condition key has this prefix, ignoring the key's case. The prefix must be in lower case.
    pub(crate) fn is_on(&self, key: &str) -> bool {
        self.key.to_ascii_lowercase().starts_with(key)
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.operator, self.key, self.values.join(" or "))
    }
}

/// The reason why a text is not a valid policy document.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PolicyError(String);

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for PolicyError {}

fn wrong<T>(text: impl Into<String>) -> Result<T, PolicyError> {
    Err(PolicyError(text.into()))
}

impl Document {
    /// Parses the text of a policy.
    ///
    /// # Errors
    ///
    /// Fails if the text is not JSON or breaks the policy grammar; the error says where.
    pub fn parse(text: &str) -> Result<Self, PolicyError> {
        match serde_json::from_str(without_mark(text)) {
            Ok(json) => Self::from_json(json),
            Err(error) => wrong(format!("the policy is not JSON: {error}")),
        }
    }

    /// Parses a policy from JSON.
    ///
    /// # Errors
    ///
    /// Fails if it breaks the policy grammar; the error says where.
    pub fn from_json(json: Value) -> Result<Self, PolicyError> {
        let Some(object) = json.as_object() else { return wrong("a policy must be a JSON object") };
        let has_variables = match object.get("Version").and_then(Value::as_str) {
            Some("2012-10-17") => true,
            Some("2008-10-17") | None => false,
            Some(other) => return wrong(format!("unknown policy version {other:?}; use \"2012-10-17\"")),
        };
        let statements = match object.get("Statement") {
            Some(Value::Array(all)) => all.iter().enumerate().map(|(at, one)| statement(one, at)).collect(),
            Some(one) => statement(one, 0).map(|one| vec![one]),
            None => return wrong("the policy has no Statement"),
        }?;
        Ok(Self { has_variables, statements, json })
    }

    /// Rejects what IAM rejects in identity policies, and so in session policies: a principal, or a missing resource.
    ///
    /// # Errors
    ///
    /// Fails if the document is a resource policy; the error names the statement.
    pub fn check_of_identity(&self) -> Result<(), PolicyError> {
        for (index, statement) in self.statements.iter().enumerate() {
            if statement.principal.is_some() {
                return wrong(format!(
                    "{} has a Principal, which only resource policies can have; \
                     remove it, or pass the session policy itself",
                    statement.title(index)
                ));
            }
            if statement.resource.is_none() {
                return wrong(format!("{} has no Resource", statement.title(index)));
            }
        }
        Ok(())
    }

    /// Returns the document as compact JSON, for a command line.
    pub fn to_text(&self) -> String {
        self.json.to_string()
    }

    /// Returns the document with another statement at the end.
    pub fn with_added(&self, statement: Value) -> Value {
        let end = self.statements.len();
        let mut json = self.json.clone();
        let mut all = match json["Statement"].take() {
            Value::Array(all) => all,
            one => vec![one],
        };
        all.insert(end, statement);
        json["Statement"] = Value::Array(all);
        json
    }

    /// Returns the document with the statement at `index` replaced by any number of others.
    ///
    /// # Panics
    ///
    /// Panics if there is no statement at `index`.
    pub fn with_statements(&self, index: usize, statements: Vec<Value>) -> Value {
        let mut json = self.json.clone();
        let mut all = match json["Statement"].take() {
            Value::Array(all) => all,
            one => vec![one],
        };
        all.splice(index..=index, statements);
        json["Statement"] = Value::Array(all);
        json
    }

    /// Returns a Sid that no statement has: `wanted`, with a number if it is taken. IAM, KMS, Secrets Manager and
    /// Lambda reject policies with duplicate Sids.
    pub fn free_sid(&self, wanted: &str) -> String {
        let is_free = |sid: &String| !self.statements.iter().any(|it| it.sid.as_ref() == Some(sid));
        let numbered = (2_usize..).map(|number| format!("{wanted}{number}"));
        std::iter::once(wanted.to_owned()).chain(numbered).find(is_free).unwrap_or_default()
    }

    /// Returns the JSON of one statement.
    ///
    /// # Panics
    ///
    /// Panics if there is no statement at `index`.
    pub fn statement_json(&self, index: usize) -> &Value {
        match &self.json["Statement"] {
            Value::Array(all) => &all[index],
            one => one,
        }
    }
}

impl Serialize for Document {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.json.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Document {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::from_json(Value::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

/// Strips the byte order mark that some editors write at the start of a file.
pub(crate) fn without_mark(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

fn statement(json: &Value, index: usize) -> Result<Statement, PolicyError> {
    let name = numbered(index);
    let Some(object) = json.as_object() else { return wrong(format!("{name} is not an object")) };
    let at = |what: &str| PolicyError(format!("{name}: {what}"));
    let effect = match object.get("Effect").and_then(Value::as_str) {
        Some("Allow") => Effect::Allow,
        Some("Deny") => Effect::Deny,
        _ => return Err(at("Effect must be Allow or Deny")),
    };
    let action = scope(object, "Action", "NotAction", strings).map_err(|text| at(&text))?;
    Ok(Statement {
        sid: object.get("Sid").and_then(Value::as_str).map(str::to_owned),
        effect,
        principal: scope(object, "Principal", "NotPrincipal", principals).map_err(|text| at(&text))?,
        action: action.ok_or_else(|| at("Action or NotAction is missing"))?,
        resource: scope(object, "Resource", "NotResource", strings).map_err(|text| at(&text))?,
        conditions: conditions(object.get("Condition")).map_err(|text| at(&text))?,
    })
}

fn scope<T>(
    object: &Map<String, Value>,
    only: &str,
    all_but: &str,
    read: impl Fn(&Value) -> Result<T, String>,
) -> Result<Option<Scope<T>>, String> {
    match (object.get(only), object.get(all_but)) {
        (Some(_), Some(_)) => Err(format!("{only} and {all_but} are mutually exclusive")),
        (Some(value), None) => read(value).map(|value| Some(Scope::Only(value))),
        (None, Some(value)) => read(value).map(|value| Some(Scope::AllBut(value))),
        (None, None) => Ok(None),
    }
    .map_err(|text| if text.contains(only) { text } else { format!("{only}: {text}") })
}

fn strings(value: &Value) -> Result<Vec<String>, String> {
    let one = |value: &Value| match value {
        Value::String(text) => Ok(text.clone()),
        // Condition values can be unquoted numbers and booleans.
        Value::Bool(_) | Value::Number(_) => Ok(value.to_string()),
        _ => Err("expected a string or a list of strings".to_owned()),
    };
    match value {
        Value::Array(all) => all.iter().map(one).collect(),
        other => one(other).map(|one| vec![one]),
    }
}

fn principals(value: &Value) -> Result<Principals, String> {
    match value {
        Value::String(all) if all == "*" => {
            Ok(Principals(BTreeMap::from([("AWS".to_owned(), vec!["*".to_owned()])])))
        }
        Value::Object(types) => {
            let types = types.iter().map(|(name, ids)| Ok((name.clone(), strings(ids)?)));
            types.collect::<Result<_, String>>().map(Principals)
        }
        _ => Err("expected \"*\" or an object".to_owned()),
    }
}

fn conditions(value: Option<&Value>) -> Result<Vec<Condition>, String> {
    let object = |value: &Value| value.as_object().cloned().ok_or("Condition: expected an object".to_owned());
    let mut found = Vec::new();
    for (operator, keys) in value.map(object).transpose()?.unwrap_or_default() {
        for (key, values) in object(&keys)? {
            found.push(Condition { operator: operator.clone(), values: strings(&values)?, key });
        }
    }
    Ok(found)
}

/// Checks whether a principal is a unique id, which is what policies show for a deleted principal.
pub(crate) fn is_unique_id(id: &str) -> bool {
    id.len() >= 16 && ["AROA", "AIDA", "AGPA", "ANPA"].iter().any(|prefix| id.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_and_many_are_read_alike() {
        let one = r#"{"Version":"2012-10-17","Statement":{"Effect":"Deny","Principal":"*","NotAction":"a:b","Resource":"*","Condition":{"Bool":{"aws:SecureTransport":false}}}}"#;
        let many = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":{"AWS":["*"]},"NotAction":["a:b"],"Resource":["*"],"Condition":{"Bool":{"aws:SecureTransport":["false"]}}}]}"#;
        let (one, many) = (Document::parse(one).unwrap(), Document::parse(many).unwrap());
        assert_eq!(one.statements, many.statements);
        assert_eq!(one.statements[0].conditions[0].to_string(), "Bool aws:SecureTransport false");
    }

    #[test]
    fn what_breaks_the_grammar_is_refused_and_the_place_named() {
        let refused = |text: &str| Document::parse(text).unwrap_err().to_string();
        assert!(refused("[]").contains("object"));
        assert!(refused(r#"{"Version":"2020-01-01","Statement":[]}"#).contains("2020-01-01"));
        let statement = |rest: &str| refused(&format!(r#"{{"Statement":[{{{rest}}}]}}"#));
        assert!(statement(r#""Effect":"allow","Action":"*""#).contains("statement 1: Effect"));
        assert!(statement(r#""Effect":"Allow","Resource":"*""#).contains("Action"));
        assert!(statement(r#""Effect":"Allow","Action":"a","NotAction":"b""#).contains("exclusive"));
        assert!(statement(r#""Effect":"Allow","Action":"a","Principal":"bob""#).contains("Principal"));
    }

    #[test]
    fn a_policy_of_identities_names_resources_and_no_principals() {
        let checked = |rest: &str| {
            let text = format!(r#"{{"Statement":[{{"Effect":"Allow","Action":"*"{rest}}}]}}"#);
            Document::parse(&text).unwrap().check_of_identity().map_err(|error| error.to_string())
        };
        assert_eq!(checked(r#","Resource":"*""#), Ok(()));
        assert!(checked(r#","Resource":"*","Principal":"*""#).unwrap_err().contains("Principal"));
        assert!(checked(r#","Resource":"*","NotPrincipal":{"AWS":"1"}"#).unwrap_err().contains("Principal"));
        assert!(checked("").unwrap_err().contains("no Resource"));
    }

    #[test]
    fn one_statement_is_replaced_or_removed() {
        let text = r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"a:b","Resource":"*"}}"#;
        let document = Document::parse(text).unwrap();
        assert_eq!(document.with_statements(0, Vec::new())["Statement"], serde_json::json!([]));
        let changed = document.with_statements(0, vec![serde_json::json!({"Effect": "Deny"})]);
        assert_eq!(changed["Statement"][0]["Effect"], "Deny");
    }
}
