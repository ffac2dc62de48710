//! The function's settings, from environment variables.
//!
//! Variables that AWS's own rotation functions also read have the same names and meanings here.

use std::fs;

use secretcache::host::Options;
use secretcache_rotation::{
    Error, ErrorKind, PasswordPolicy, Resource, RotationOptions, Settings, StrategyName, Verification,
};

/// The file of certificate authorities packed into the function, as with `make lambda CA=…`.
const PACKED_AUTHORITIES: &str = "ca.pem";

/// The function's environment, or a substitute for tests.
pub(crate) trait Environment {
    /// Returns the value of a variable, if it is set.
    fn variable(&self, name: &str) -> Option<String>;

    /// Returns the value of a variable, if it is set and not empty.
    fn given(&self, name: &str) -> Option<String> {
        self.variable(name).filter(|value| !value.is_empty())
    }

    /// Returns the text of a file, relative to the function's own folder.
    fn file(&self, path: &str) -> Option<String>;
}

/// The environment of this process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Process;

impl Environment for Process {
    #[expect(clippy::disallowed_methods, reason = "the one place where the function's settings are read")]
    fn variable(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    fn file(&self, path: &str) -> Option<String> {
        let folder = self.given("LAMBDA_TASK_ROOT").unwrap_or_else(|| ".".to_owned());
        fs::read_to_string(std::path::Path::new(&folder).join(path)).ok()
    }
}

/// The endpoint of Secrets Manager.
pub(crate) fn options(environment: &impl Environment) -> Options {
    let mut options = Options::default();
    options.endpoint_url = environment.given("SECRETS_MANAGER_ENDPOINT");
    options
}

/// Reads the settings for rotations.
///
/// # Errors
///
/// [`ErrorKind::Misconfigured`], naming the variable.
pub(crate) fn settings(environment: &impl Environment) -> Result<Settings, Error> {
    let mut settings = Settings::default();
    settings.password = PasswordPolicy::from_variables(|name| environment.variable(name))?;
    settings.master_secret = environment.given("SECRETCACHE_MASTER_SECRET");
    if let Some(server) = environment.given("SECRETCACHE_MASTER_HOST") {
        let server =
            server.trim().parse().map_err(|_| wrong("SECRETCACHE_MASTER_HOST", "HOST or HOST:PORT"))?;
        settings.master_host = Some(server);
    }
    if let Some(users) = environment.given("SECRETCACHE_USERS") {
        let names: Vec<_> = users.split(',').map(|name| name.trim().to_owned()).collect();
        let pair =
            <[String; 2]>::try_from(names).ok().filter(|[a, b]| !a.is_empty() && !b.is_empty() && a != b);
        settings.users =
            Some(pair.ok_or_else(|| wrong("SECRETCACHE_USERS", "two user names, separated by a comma"))?);
    }
    if let Some(attempts) = environment.given("SECRETCACHE_TEST_ATTEMPTS") {
        let attempts = attempts.trim().parse().ok().filter(|attempts| (1..=12).contains(attempts));
        settings.test_attempts =
            attempts.ok_or_else(|| wrong("SECRETCACHE_TEST_ATTEMPTS", "a number from 1 to 12"))?;
    }
    Ok(settings)
}

/// Reads the strategy and the resource, as far as variables set them. The function's name implies the rest.
///
/// # Errors
///
/// [`ErrorKind::Misconfigured`], naming the variable.
pub(crate) fn rotation_options(
    environment: &impl Environment,
    function_arn: &str,
) -> Result<RotationOptions, Error> {
    let mut options = RotationOptions::default();
    // In an ARN, an alias or a version can follow the name. The variable is only the name.
    options.function =
        environment.given("AWS_LAMBDA_FUNCTION_NAME").or_else(|| Some(function_arn.to_owned()));
    if let Some(name) = environment.given("SECRETCACHE_STRATEGY") {
        let names = StrategyName::ALL.map(StrategyName::name).join(", ");
        let strategy = StrategyName::from_name(name.trim());
        options.strategy =
            Some(strategy.ok_or_else(|| wrong("SECRETCACHE_STRATEGY", &format!("one of {names}")))?);
    }
    if let Some(engine) = environment.given("SECRETCACHE_ENGINE") {
        let resource = Resource::from_engine(engine.trim());
        let accepted = "an engine such as postgres, mysql, mariadb, redis or ldap";
        options.resource = Some(resource.ok_or_else(|| wrong("SECRETCACHE_ENGINE", accepted))?);
    }
    options.verification = verification(environment)?;
    options.provider = text(environment, "SECRETCACHE_PROVIDER")?;
    options.statements = text(environment, "SECRETCACHE_STATEMENTS")?;
    Ok(options)
}

/// Returns advice on the variable that addresses a kind of failure.
pub(crate) fn variable_for(kind: ErrorKind) -> Option<&'static str> {
    match kind {
        ErrorKind::Unencrypted => Some("to turn TLS off for all secrets, set SECRETCACHE_TLS=off"),
        ErrorKind::Untrusted => Some("to trust another certificate authority, set SECRETCACHE_CA"),
        _ => None,
    }
}

fn verification(environment: &impl Environment) -> Result<Verification, Error> {
    match environment.given("SECRETCACHE_TLS").as_deref().map(str::trim) {
        Some("off") => return Ok(Verification::Off),
        None | Some("verify") => {}
        Some(_) => return Err(wrong("SECRETCACHE_TLS", "verify, or off to turn TLS off")),
    }
    Ok(match environment.given("SECRETCACHE_CA").as_deref() {
        Some("system") => Verification::System,
        Some(_) => {
            text(environment, "SECRETCACHE_CA")?.map_or(Verification::System, Verification::Authorities)
        }
        None => environment.file(PACKED_AUTHORITIES).map_or(Verification::System, Verification::Authorities),
    })
}

/// Reads a longer text: the variable's value, or the file that it names. A text of several lines is not a file name,
/// nor is a single word.
fn text(environment: &impl Environment, name: &str) -> Result<Option<String>, Error> {
    let Some(value) = environment.given(name) else { return Ok(None) };
    if value.contains('\n') || !value.contains(['.', '/']) {
        return Ok(Some(value));
    }
    let unreadable = || {
        wrong(
            name,
            &format!("the text itself or a readable file in the function's package; {value:?} is neither"),
        )
    };
    environment.file(value.trim()).map(Some).ok_or_else(unreadable)
}

fn wrong(name: &str, wanted: &str) -> Error {
    Error::new(ErrorKind::Misconfigured, format!("the function's variable {name} must be {wanted}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Given<'a>(&'a [(&'a str, &'a str)]);

    impl Environment for Given<'_> {
        fn variable(&self, name: &str) -> Option<String> {
            self.0.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        }

        fn file(&self, path: &str) -> Option<String> {
            self.variable(path)
        }
    }

    #[test]
    fn the_variables_of_aws_keep_their_meaning() {
        let given = Given(&[
            ("EXCLUDE_CHARACTERS", "/@"),
            ("PASSWORD_LENGTH", "40"),
            ("EXCLUDE_PUNCTUATION", "True"),
            ("SECRETS_MANAGER_ENDPOINT", "https://vpce.example"),
        ]);
        let password = settings(&given).unwrap().password;
        assert_eq!((password.length, password.exclude_characters.as_str()), (40, "/@"));
        assert!(password.exclude_punctuation);
        // An empty variable excludes nothing; an absent one excludes the default characters.
        let nothing = settings(&Given(&[("EXCLUDE_CHARACTERS", "")])).unwrap().password;
        assert_eq!(nothing.exclude_characters, "");
        assert_eq!(options(&given).endpoint_url.as_deref(), Some("https://vpce.example"));
    }

    #[test]
    fn a_wrong_variable_is_named_with_what_it_may_be() {
        for (name, value, hint) in [
            ("SECRETCACHE_STRATEGY", "clone", "dual-password"),
            ("SECRETCACHE_ENGINE", "oracle", "mariadb"),
            ("SECRETCACHE_TLS", "no", "off"),
            ("SECRETCACHE_CA", "missing.pem", "readable file"),
            ("SECRETCACHE_USERS", "one", "two user names"),
            ("SECRETCACHE_USERS", "a,a", "two user names"),
            ("SECRETCACHE_TEST_ATTEMPTS", "0", "1 to 12"),
            ("PASSWORD_LENGTH", "x", "1 to 4096"),
        ] {
            let given = Given(&[(name, value)]);
            let error = settings(&given).err().or_else(|| rotation_options(&given, "arn").err()).unwrap();
            assert!(error.message().contains(name) && error.message().contains(hint), "{error}");
        }
    }

    #[test]
    fn authorities_come_from_the_text_the_file_or_the_package() {
        let verification =
            |given: &[(&str, &str)]| rotation_options(&Given(given), "arn").unwrap().verification;
        assert_eq!(verification(&[]), Verification::System);
        assert_eq!(verification(&[("ca.pem", "packed")]), Verification::Authorities("packed".into()));
        assert_eq!(verification(&[("ca.pem", "packed"), ("SECRETCACHE_CA", "system")]), Verification::System);
        let file = [("SECRETCACHE_CA", "rds.pem"), ("rds.pem", "of the file")];
        assert_eq!(verification(&file), Verification::Authorities("of the file".into()));
        let text = [("SECRETCACHE_CA", "-----BEGIN\n")];
        assert_eq!(verification(&text), Verification::Authorities("-----BEGIN\n".into()));
        assert_eq!(verification(&[("SECRETCACHE_TLS", "off"), ("ca.pem", "packed")]), Verification::Off);
    }

    #[test]
    fn the_functions_own_name_goes_before_the_arn_it_was_invoked_by() {
        let arn = "arn:aws:lambda:eu-central-1:1:function:SecretsManagerRDSMySQLRotationMultiUser:live";
        let named = Given(&[("AWS_LAMBDA_FUNCTION_NAME", "rotator")]);
        assert_eq!(rotation_options(&named, arn).unwrap().function.as_deref(), Some("rotator"));
        assert_eq!(rotation_options(&Given(&[]), arn).unwrap().function.as_deref(), Some(arn));
    }

    #[test]
    fn what_tls_has_against_a_server_is_answered_by_a_variable_of_the_function() {
        assert!(variable_for(ErrorKind::Unencrypted).unwrap().contains("SECRETCACHE_TLS=off"));
        assert!(variable_for(ErrorKind::Untrusted).unwrap().contains("SECRETCACHE_CA"));
        assert_eq!(variable_for(ErrorKind::Unavailable), None);
    }
}
