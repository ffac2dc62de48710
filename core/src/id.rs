//! What a read asks for: a secret id, and a selector for one of its versions.

use std::borrow::Cow;
use std::fmt;
use std::hash::{Hash, Hasher};

use compact_str::CompactString;
use papaya::Equivalent;

use crate::error::{Error, ErrorKind};
use crate::iam_login::IamLogin;

/// The staging label of the version that programs should use.
pub const AWSCURRENT: &str = "AWSCURRENT";
/// The staging label of a version that is being rotated in.
pub const AWSPENDING: &str = "AWSPENDING";
/// The staging label of the version that was current before.
pub const AWSPREVIOUS: &str = "AWSPREVIOUS";

/// A staging label that the service itself moves.
///
/// ```
/// use secretcache::Stage;
///
/// assert_eq!("AWSPENDING".parse::<Stage>()?, Stage::Pending);
/// assert_eq!(Stage::Current.to_string(), "AWSCURRENT");
/// assert!("AWSCURENT".parse::<Stage>().is_err());
/// # Ok::<(), secretcache::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Stage {
    /// `AWSCURRENT`
    Current,
    /// `AWSPENDING`
    Pending,
    /// `AWSPREVIOUS`
    Previous,
}

impl Stage {
    /// All of them, in the order in which a login tries them.
    pub const ALL: [Self; 3] = [Self::Current, Self::Pending, Self::Previous];

    /// The label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Current => AWSCURRENT,
            Self::Pending => AWSPENDING,
            Self::Previous => AWSPREVIOUS,
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::str::FromStr for Stage {
    type Err = Error;

    /// # Errors
    ///
    /// [`ErrorKind::InvalidArgument`] if it is none of the three.
    fn from_str(label: &str) -> Result<Self, Error> {
        Self::ALL.into_iter().find(|stage| stage.as_str() == label).ok_or_else(|| {
            let known = Self::ALL.map(Self::as_str).join(", ");
            Error::new(ErrorKind::InvalidArgument, format!("stages must be among {known}; {label:?} is not"))
        })
    }
}

/// The longest `SecretId` the service accepts (API reference, `GetSecretValue`).
const LONGEST_ID: usize = 2048;
/// The longest staging label and the longest version id (API reference, `GetSecretValue`).
const LONGEST_STAGE: usize = 256;
const SHORTEST_VERSION_ID: usize = 32;
const LONGEST_VERSION_ID: usize = 64;

/// Selects one version of a secret, by staging label or by version id.
///
/// ```
/// use secretcache::Selector;
///
/// assert_eq!(Selector::stage("AWSCURRENT"), Selector::CURRENT);
/// assert_eq!(Selector::stage("AWSPENDING").to_string(), "stage AWSPENDING");
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Selector<'a>(Which<&'a str>);

#[derive(Clone, Copy, Debug, Eq, PartialEq, Hash)]
pub(crate) enum Which<S> {
    Current,
    Stage(S),
    VersionId(S),
}

impl From<Stage> for Selector<'static> {
    fn from(stage: Stage) -> Self {
        Selector::stage(stage.as_str())
    }
}

impl<'a> Selector<'a> {
    /// The version labelled `AWSCURRENT`.
    pub const CURRENT: Selector<'static> = Selector(Which::Current);

    /// The version with this staging label.
    pub fn stage(stage: &'a str) -> Self {
        if stage == AWSCURRENT { Self(Which::Current) } else { Self(Which::Stage(stage)) }
    }

    /// The version with this id, whatever its labels.
    pub fn version_id(version_id: &'a str) -> Self {
        Self(Which::VersionId(version_id))
    }

    /// The requested staging label; `None` if the selector is a version id.
    pub fn as_stage(self) -> Option<&'a str> {
        match self.0 {
            Which::Current => Some(AWSCURRENT),
            Which::Stage(stage) => Some(stage),
            Which::VersionId(_) => None,
        }
    }

    /// The requested version id; `None` if the selector is a staging label.
    pub fn as_version_id(self) -> Option<&'a str> {
        match self.0 {
            Which::VersionId(version_id) => Some(version_id),
            _ => None,
        }
    }

    /// Checks the lengths that the service would reject, before a call is paid for.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidArgument`] naming the argument and its limits.
    pub fn validate(self) -> Result<(), Error> {
        match self.0 {
            Which::Current => Ok(()),
            Which::Stage(stage) => match length(stage) {
                1..=LONGEST_STAGE => Ok(()),
                length => Err(invalid(format!(
                    "a version stage has 1 to {LONGEST_STAGE} characters; this one has {length}"
                ))),
            },
            Which::VersionId(id) => match length(id) {
                SHORTEST_VERSION_ID..=LONGEST_VERSION_ID => Ok(()),
                length => Err(invalid(format!(
                    "a version id has {SHORTEST_VERSION_ID} to {LONGEST_VERSION_ID} characters; this one has \
                     {length}. To read by staging label, pass a version stage"
                ))),
            },
        }
    }
}

impl fmt::Display for Selector<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Which::Current => write!(f, "stage {AWSCURRENT}"),
            Which::Stage(stage) => write!(f, "stage {stage}"),
            Which::VersionId(version_id) => write!(f, "version id {version_id}"),
        }
    }
}

/// An owned selector. Nearly all select the current version, which takes no allocation.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct OwnedSelector(Option<Box<Which<Box<str>>>>);

impl OwnedSelector {
    /// The selector, borrowed.
    pub fn as_selector(&self) -> Selector<'_> {
        Selector(match self.0.as_deref() {
            None | Some(Which::Current) => Which::Current,
            Some(Which::Stage(stage)) => Which::Stage(stage),
            Some(Which::VersionId(version_id)) => Which::VersionId(version_id),
        })
    }
}

impl From<Selector<'_>> for OwnedSelector {
    fn from(selector: Selector<'_>) -> Self {
        Self(match selector.0 {
            Which::Current => None,
            Which::Stage(stage) => Some(Box::new(Which::Stage(stage.into()))),
            Which::VersionId(version_id) => Some(Box::new(Which::VersionId(version_id.into()))),
        })
    }
}

/// The length as the service counts it: in characters.
fn length(text: &str) -> usize {
    text.chars().count()
}

/// Checks a secret id as far as can be done without asking the service.
///
/// # Errors
///
/// [`ErrorKind::InvalidArgument`] if it is empty, is longer than 2,048 characters, contains a control character, or is
/// an invalid IAM login.
pub(crate) fn validate_secret_id(id: &str) -> Result<(), Error> {
    if id.is_empty() {
        return Err(invalid("the secret id is empty; pass the secret's name or its ARN"));
    }
    let length = length(id);
    if length > LONGEST_ID {
        return Err(invalid(format!(
            "a secret id has at most {LONGEST_ID} characters; this one has {length}"
        )));
    }
    if id.chars().any(char::is_control) {
        return Err(invalid(format!(
            "the secret id {id:?} contains a control character; does it end in a newline?"
        )));
    }
    IamLogin::of_id(id).map_or(Ok(()), |login| login.map(drop))
}

/// Whether a Secrets Manager ARN belongs to a secret other than the one requested by this id: another name, Region or
/// account. Text that is not such an ARN (from a test double) proves nothing, and is not rejected.
pub(crate) fn is_of_another_secret(id: &str, arn: &str) -> bool {
    let is_arn = |text: &str| text.starts_with("arn:") && text.split(':').nth(2) == Some("secretsmanager");
    let Some(partial) = without_suffix(arn).filter(|partial| is_arn(partial)) else { return false };
    if is_arn(id) {
        return id != arn && id != partial && without_suffix(id) != Some(partial);
    }
    partial.splitn(7, ':').nth(6) != Some(id)
}

/// The other ids under which the secret `id` is known, once its ARN is known: the ARN, and the ARN without
/// the six characters the service appends.
///
/// Nothing is derived unless the ARN matches the id, because a wrong alias would return another secret's value. A plain
/// name is never derived from an ARN: a name means the caller's own account and Region, and the ARN's may differ.
pub(crate) fn aliases<'a>(id: &str, arn: &'a str) -> impl Iterator<Item = &'a str> {
    let partial = without_suffix(arn).filter(|partial| {
        let is_arn = partial.starts_with("arn:") && partial.split(':').nth(2) == Some("secretsmanager");
        is_arn && (id == arn || id == *partial || Some(id) == partial.splitn(7, ':').nth(6))
    });
    let arn = partial.map(|_| arn);
    // The partial ARN of `db-abcdef` can be the full ARN of `db`.
    let partial = partial.filter(|partial| without_suffix(partial).is_none());
    [arn, partial].into_iter().flatten().filter(move |alias| *alias != id)
}

/// Returns an ARN without the hyphen and six characters at its end; `None` if it does not end that way.
pub(crate) fn without_suffix(arn: &str) -> Option<&str> {
    let (partial, suffix) = arn.rsplit_once('-')?;
    (suffix.len() == 6 && suffix.bytes().all(|byte| byte.is_ascii_alphanumeric())).then_some(partial)
}

fn invalid(message: impl Into<Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::InvalidArgument, message.into())
}

/// The key of the map that hits read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Key {
    // Short ids are stored inline, which saves a hit one memory access.
    pub(crate) id: CompactString,
    pub(crate) selector: OwnedSelector,
}

impl Key {
    pub(crate) fn new(id: &str, selector: Selector<'_>) -> Self {
        Self { id: id.into(), selector: selector.into() }
    }
}

/// A borrowed [`Key`], so that a hit copies nothing.
pub(crate) struct KeyRef<'a> {
    pub(crate) id: &'a str,
    pub(crate) selector: Selector<'a>,
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        KeyRef { id: &self.id, selector: self.selector.as_selector() }.hash(state);
    }
}

impl Hash for KeyRef<'_> {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        // Usually only the id is hashed, in one call of the hasher.
        state.write(self.id.as_bytes());
        match self.selector.0 {
            Which::Current => {}
            Which::Stage(stage) => stage.hash(state),
            Which::VersionId(version_id) => version_id.hash(state),
        }
    }
}

impl Equivalent<Key> for KeyRef<'_> {
    #[inline]
    fn equivalent(&self, key: &Key) -> bool {
        self.id.as_bytes() == key.id.as_bytes() && self.selector == key.selector.as_selector()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARN: &str = "arn:aws:secretsmanager:us-east-1:123456789012:secret:prod/checkout/db-a1B2c3";

    #[test]
    fn ids_are_checked_before_a_call() {
        assert!(validate_secret_id("prod/db").is_ok());
        for bad in ["", "prod/db\n", &"x".repeat(2049)] {
            assert_eq!(validate_secret_id(bad).unwrap_err().kind(), ErrorKind::InvalidArgument);
        }
    }

    #[test]
    fn lengths_are_counted_in_characters() {
        assert!(Selector::stage(&"ü".repeat(256)).validate().is_ok());
        let error = Selector::stage(&"ü".repeat(257)).validate().unwrap_err();
        assert!(error.message().ends_with("has 257"), "{error}");
    }

    #[test]
    fn a_stage_passed_as_version_id_is_explained() {
        let error = Selector::version_id("AWSPREVIOUS").validate().unwrap_err();
        assert!(error.message().contains("staging label"), "{error}");
    }

    #[test]
    fn a_name_reveals_its_arns_but_an_arn_reveals_no_name() {
        let partial = &ARN[..ARN.len() - 7];
        assert!(aliases("prod/checkout/db", ARN).eq([ARN, partial]));
        assert!(aliases(ARN, ARN).eq([partial]));
        assert!(aliases(partial, ARN).eq([ARN]));
    }

    #[test]
    fn an_arn_that_does_not_fit_the_id_reveals_nothing() {
        for (id, arn) in
            [("other", ARN), ("x", "arn"), ("x", ""), ("db", ARN), ("x", "arn:aws:s3:::x-abcdef")]
        {
            assert_eq!(aliases(id, arn).next(), None, "{id} {arn}");
        }
    }
}
