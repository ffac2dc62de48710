//! The policy for generated passwords.

use crate::error::{Error, ErrorKind};

/// The policy for generated passwords, in the terms of `GetRandomPassword`.
///
/// ```
/// use secretcache_rotation::PasswordPolicy;
///
/// let policy = PasswordPolicy::from_variables(|name| match name {
///     "PASSWORD_LENGTH" => Some("24".to_owned()),
///     "EXCLUDE_PUNCTUATION" => Some("true".to_owned()),
///     _ => None,
/// })?;
/// assert_eq!((policy.length, policy.exclude_punctuation), (24, true));
/// # Ok::<(), secretcache_rotation::Error>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct PasswordPolicy {
    /// The length in characters, from 1 to 4096.
    pub length: usize,
    /// Characters that must not occur.
    pub exclude_characters: String,
    /// Whether to exclude digits.
    pub exclude_numbers: bool,
    /// Whether to exclude ``! " # $ % & ' ( ) * + , - . / : ; < = > ? @ [ \ ] ^ _ ` { | } ~``.
    pub exclude_punctuation: bool,
    /// Whether to exclude upper-case letters.
    pub exclude_uppercase: bool,
    /// Whether to exclude lower-case letters.
    pub exclude_lowercase: bool,
    /// Whether to require at least one character of every class that is not excluded.
    pub require_each_included_type: bool,
}

impl Default for PasswordPolicy {
    /// 32 characters of all classes, excluding those that break connection strings and password files.
    fn default() -> Self {
        Self {
            length: 32,
            exclude_characters: ":/@\"'\\".to_owned(),
            exclude_numbers: false,
            exclude_punctuation: false,
            exclude_uppercase: false,
            exclude_lowercase: false,
            require_each_included_type: true,
        }
    }
}

impl PasswordPolicy {
    /// The variables that AWS's own rotation templates read.
    pub const VARIABLES: [&'static str; 7] = [
        "EXCLUDE_CHARACTERS",
        "PASSWORD_LENGTH",
        "EXCLUDE_NUMBERS",
        "EXCLUDE_PUNCTUATION",
        "EXCLUDE_UPPERCASE",
        "EXCLUDE_LOWERCASE",
        "REQUIRE_EACH_INCLUDED_TYPE",
    ];

    /// Builds the policy that the [`VARIABLES`](Self::VARIABLES) describe. Absent variables keep their defaults.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Misconfigured`], naming the variable.
    pub fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Result<Self, Error> {
        let wrong = |name: &str, wanted: &str| {
            Error::new(ErrorKind::Misconfigured, format!("{name} must be {wanted}"))
        };
        let flag = |name: &str, default: bool| match variable(name).as_deref().map(str::trim) {
            None | Some("") => Ok(default),
            Some(value) if value.eq_ignore_ascii_case("true") => Ok(true),
            Some(value) if value.eq_ignore_ascii_case("false") => Ok(false),
            Some(_) => Err(wrong(name, "true or false")),
        };
        let default = Self::default();
        let length = match variable("PASSWORD_LENGTH") {
            None => default.length,
            Some(text) => text
                .trim()
                .parse()
                .ok()
                .filter(|length| (1..=4096).contains(length))
                .ok_or_else(|| wrong("PASSWORD_LENGTH", "a number from 1 to 4096"))?,
        };
        let policy = Self {
            length,
            exclude_characters: variable("EXCLUDE_CHARACTERS").unwrap_or(default.exclude_characters),
            exclude_numbers: flag("EXCLUDE_NUMBERS", default.exclude_numbers)?,
            exclude_punctuation: flag("EXCLUDE_PUNCTUATION", default.exclude_punctuation)?,
            exclude_uppercase: flag("EXCLUDE_UPPERCASE", default.exclude_uppercase)?,
            exclude_lowercase: flag("EXCLUDE_LOWERCASE", default.exclude_lowercase)?,
            require_each_included_type: flag(
                "REQUIRE_EACH_INCLUDED_TYPE",
                default.require_each_included_type,
            )?,
        };
        if policy.classes().next().is_none() {
            return Err(Error::new(ErrorKind::Misconfigured, "the password policy excludes every character"));
        }
        Ok(policy)
    }

    /// Checks that a password complies with this policy, even if Secrets Manager generated it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Rejected`], describing the violation without quoting the password.
    pub fn check(&self, password: &str) -> Result<(), Error> {
        let wrong =
            |what: String| Err(Error::new(ErrorKind::Rejected, format!("the generated password {what}")));
        if password.chars().count() != self.length {
            return wrong(format!("is not {} characters long", self.length));
        }
        let allowed = |c: char| self.classes().any(|class| class.contains(c));
        if !password.chars().all(|c| allowed(c) && !self.exclude_characters.contains(c)) {
            return wrong("contains an excluded character".to_owned());
        }
        let lacks = |class: &&str| !password.chars().any(|c| class.contains(c));
        if self.require_each_included_type && self.classes().any(|class| lacks(&class)) {
            return wrong("lacks a required class of characters".to_owned());
        }
        Ok(())
    }

    /// Returns an upper bound on the entropy, in bits, of a password under this policy.
    ///
    /// ```
    /// assert!(secretcache_rotation::PasswordPolicy::default().bits() > 200.0);
    /// ```
    pub fn bits(&self) -> f64 {
        let allowed = |c: &char| !self.exclude_characters.contains(*c);
        let alphabet: usize = self.classes().map(|class| class.chars().filter(allowed).count()).sum();
        (alphabet.max(1) as f64).log2() * self.length as f64
    }

    /// Returns the character classes that have at least one allowed character.
    fn classes(&self) -> impl Iterator<Item = &'static str> {
        [
            ("0123456789", self.exclude_numbers),
            ("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~", self.exclude_punctuation),
            ("ABCDEFGHIJKLMNOPQRSTUVWXYZ", self.exclude_uppercase),
            ("abcdefghijklmnopqrstuvwxyz", self.exclude_lowercase),
        ]
        .into_iter()
        .filter(|(class, excluded)| !excluded && class.chars().any(|c| !self.exclude_characters.contains(c)))
        .map(|(class, _)| class)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(variables: &[(&str, &str)]) -> Result<PasswordPolicy, Error> {
        PasswordPolicy::from_variables(|wanted| {
            variables.iter().find(|(name, _)| *name == wanted).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn wrong_variables_are_named() {
        for (name, value) in [("PASSWORD_LENGTH", "0"), ("PASSWORD_LENGTH", "x"), ("EXCLUDE_NUMBERS", "yes")]
        {
            let error = policy(&[(name, value)]).unwrap_err();
            assert!(error.message().contains(name), "{error}");
        }
        let nothing =
            ["NUMBERS", "PUNCTUATION", "UPPERCASE", "LOWERCASE"].map(|class| format!("EXCLUDE_{class}"));
        assert!(policy(&nothing.each_ref().map(|name| (name.as_str(), "True"))).is_err());
    }

    #[test]
    fn a_password_outside_the_policy_is_refused_without_being_quoted() {
        let policy = policy(&[("PASSWORD_LENGTH", "6"), ("EXCLUDE_CHARACTERS", ":")]).unwrap();
        policy.check("aB3!aa").unwrap();
        for wrong in ["aB3!a", "aB3:aa", "aB3aaa", "aB3!aü", "aB3!a "] {
            let error = policy.check(wrong).unwrap_err();
            assert!(!error.message().contains(wrong));
        }
    }

    #[test]
    fn a_class_that_is_excluded_character_by_character_is_not_required() {
        let policy = policy(&[
            ("PASSWORD_LENGTH", "3"),
            ("EXCLUDE_CHARACTERS", "0123456789"),
            ("EXCLUDE_PUNCTUATION", "true"),
        ])
        .unwrap();
        policy.check("aBc").unwrap();
    }
}
