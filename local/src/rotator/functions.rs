//! The rotation functions: built-in ones, which run in-process, and those at a Lambda endpoint.

use std::collections::BTreeMap;
use std::error::Error as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use secretcache_rotation::targets::Tls;
use secretcache_rotation::{
    Described, Driver, Engine, Error, Event, PasswordPolicy, RealPause, RotationToken, Rotator, SecretStore,
    Selector, Settings, Step, Verification, from_function,
};
use serde_json::json;
use zeroize::Zeroizing;

use super::lambda::Lambda;
use super::route::LocalRoute;
use super::store::EngineStore;
use crate::error::ServiceError;
use crate::operations::{Functions, name_of};
use crate::options::{FunctionVariable, RotationOptions, StartError};

/// Invokes rotation functions.
pub(crate) struct Invoker {
    choice: secretcache_rotation::RotationOptions,
    /// The settings of functions without environment variables.
    usual: Settings,
    /// The functions described by files or by a strategy, by name.
    described: BTreeMap<String, secretcache_rotation::RotationOptions>,
    /// The settings from environment variables, by function name.
    settings: BTreeMap<String, Settings>,
    lambda: Option<Lambda>,
    is_plaintext_on_loopback: bool,
}

/// A function that is ready to run the steps of one rotation.
pub(super) enum Function<'a> {
    BuiltIn { rotator: Rotator, settings: &'a Settings },
    Lambda { lambda: &'a Lambda, arn: &'a str },
}

/// The parameters of one invocation.
pub(super) struct Invocation<'a> {
    pub(super) step: Step,
    pub(super) secret_arn: &'a str,
    pub(super) token: &'a str,
    pub(super) rotation_token: &'a str,
}

impl Invoker {
    pub(crate) fn new(options: &RotationOptions) -> Result<Self, StartError> {
        let pem = options.authorities.as_deref().map(authorities).transpose()?;
        let mut choice = secretcache_rotation::RotationOptions::default();
        choice.verification = match (options.is_plaintext_on_loopback, pem) {
            (true, pem) => Verification::OffOnLoopback(pem),
            (false, Some(pem)) => Verification::Authorities(pem),
            (false, None) => Verification::System,
        };
        choice.route = Some(Arc::new(LocalRoute::new(options)));
        Ok(Self {
            choice,
            described: described(options)?,
            usual: Settings::default(),
            settings: settings(&options.variables)?,
            lambda: options.lambda_endpoint.as_deref().map(Lambda::new).transpose()?,
            is_plaintext_on_loopback: options.is_plaintext_on_loopback,
        })
    }

    /// Returns the functions that can be invoked.
    pub(crate) fn functions(&self) -> Functions {
        match (&self.lambda, self.described.is_empty()) {
            (Some(_), _) => Functions::Any,
            (None, true) => Functions::BuiltIn,
            (None, false) => Functions::Described(Arc::new(self.described.keys().cloned().collect())),
        }
    }

    /// Checks that a function can be invoked, before anything is stored.
    pub(crate) async fn check(&self, function: &str) -> Result<(), ServiceError> {
        match &self.lambda {
            _ if from_function(function).is_some() || self.described.contains_key(name_of(function)) => {
                Ok(())
            }
            Some(lambda) if lambda.is_reachable().await => Ok(()),
            _ => Err(ServiceError::cannot_invoke()),
        }
    }

    /// Prepares a function. Also returns notes about what had to be guessed.
    pub(super) async fn prepare<'a>(
        &'a self,
        arn: &'a str,
        secret_arn: &str,
        store: &EngineStore,
    ) -> Result<(Function<'a>, Vec<String>), String> {
        let described = self.described.get(name_of(arn));
        if described.is_none() && from_function(arn).is_none() {
            let lambda = self
                .lambda
                .as_ref()
                .ok_or("there is no Lambda endpoint; start with --lambda-endpoint URL")?;
            return Ok((Function::Lambda { lambda, arn }, Vec::new()));
        }
        let current =
            store.get(secret_arn, Selector::CURRENT).await.map_err(|error| self.describe(&error))?;
        let current = current.ok_or("the secret has no AWSCURRENT value")?;
        let mut choice = self.choice.clone();
        choice.function = Some(arn.to_owned());
        if let Some(described) = described {
            choice.strategy = described.strategy;
            choice.provider.clone_from(&described.provider);
            choice.statements.clone_from(&described.statements);
        }
        let made = Rotator::new(&current.document, &choice).map_err(|error| self.describe(&error))?;
        let (rotator, notes) = made;
        let name = arn.rsplit(':').find(|part| from_function(part).is_some()).unwrap_or(arn);
        let settings = self.settings.get(name).unwrap_or(&self.usual);
        Ok((Function::BuiltIn { rotator, settings }, notes))
    }

    /// Runs one step.
    pub(super) async fn run(
        &self,
        function: &Function<'_>,
        invocation: Invocation<'_>,
        store: &EngineStore,
    ) -> Result<(), String> {
        let Invocation { step, secret_arn, token, rotation_token } = invocation;
        match function {
            Function::BuiltIn { rotator, settings } => {
                let strategy = rotator.strategy();
                let engine = Engine {
                    store,
                    strategy: strategy.as_ref(),
                    pause: &RealPause,
                    settings,
                    driver: Driver::Service,
                };
                let event = Event {
                    step,
                    secret_id: secret_arn.to_owned(),
                    client_request_token: token.to_owned(),
                    rotation_token: Some(RotationToken::new(rotation_token)),
                };
                engine.step(&event).await.map(drop).map_err(|error| self.describe(&error))
            }
            Function::Lambda { lambda, arn } => {
                let event = json!({
                    "Step": step.name(),
                    "SecretId": secret_arn,
                    "ClientRequestToken": token,
                    "RotationToken": rotation_token,
                });
                let event = Zeroizing::new(event.to_string());
                lambda.invoke(arn, &store.scope.region, event.as_bytes().to_vec()).await
            }
        }
    }

    /// Returns the text of an error with its causes, and advice on TLS errors.
    fn describe(&self, error: &Error) -> String {
        let mut text = error.to_string();
        let mut cause = error.source();
        while let Some(inner) = cause {
            let said = inner.to_string();
            // Many errors already contain the text of their cause.
            if !text.contains(&said) {
                text.push_str(": ");
                text.push_str(&said);
            }
            cause = inner.source();
        }
        if !self.is_plaintext_on_loopback && (text.contains("TLS") || text.contains("certificate")) {
            text.push_str(
                ". Certificates are verified: name the authority with --db-ca-file, or turn TLS off for servers on this machine with --db-plaintext",
            );
        }
        text
    }
}

/// Returns the settings of each function from its environment variables.
fn settings(variables: &[FunctionVariable]) -> Result<BTreeMap<String, Settings>, StartError> {
    let mut all = BTreeMap::new();
    for FunctionVariable { function, .. } in variables {
        let of = |name: &str| {
            let mut said = variables.iter().filter(|said| said.function == *function && said.name == name);
            said.next_back().map(|said| said.value.clone())
        };
        let mut settings = Settings::default();
        settings.password = PasswordPolicy::from_variables(of).map_err(|error| StartError::Function {
            function: function.clone(),
            reason: error.message().to_owned(),
        })?;
        all.insert(function.clone(), settings);
    }
    Ok(all)
}

/// Returns the functions with custom names: those described by files, and those with only a strategy.
fn described(
    options: &RotationOptions,
) -> Result<BTreeMap<String, secretcache_rotation::RotationOptions>, StartError> {
    let read = |(function, path): (&String, &PathBuf)| {
        let wrong = |reason: String| StartError::Function {
            function: function.clone(),
            reason: format!("{}: {reason}", path.display()),
        };
        let text = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
        let described = Described::check(&text).map_err(|error| wrong(error.message().to_owned()))?;
        if described.is_of_iam {
            // Its rotations would delete keys of real users, with the credentials of whoever runs the endpoint.
            return Err(wrong(
                "the provider \"iam\" needs an AWS account, and the local endpoint uses none; rotate access keys with \
                 secretcache rotate --provider iam"
                    .to_owned(),
            ));
        }
        Ok((function.clone(), described.options(&text)))
    };
    let by_strategy = options.strategies.iter().map(|own| {
        let mut choice = secretcache_rotation::RotationOptions::default();
        choice.strategy = Some(own.strategy);
        Ok((own.function.clone(), choice))
    });
    options.described.iter().map(read).chain(by_strategy).collect()
}

fn authorities(path: &Path) -> Result<String, StartError> {
    let pem = std::fs::read_to_string(path).map_err(|error| StartError::tls(path, error))?;
    // Fails at the start rather than at the first rotation.
    Tls::with_authorities(&pem).map_err(|error| StartError::tls(path, error))?;
    Ok(pem)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_function_uses_the_aws_credentials_of_this_machine() {
        for text in ["kind = \"iam\"", "kind = \"iam\"\nlogin = \"secret\"", "iam\n"] {
            let path = std::env::temp_dir().join(format!("secretcache-function-{}", std::process::id()));
            std::fs::write(&path, text).unwrap();
            let mut options = RotationOptions::default();
            options.described.insert("rotate-keys".into(), path.clone());
            let refused = Invoker::new(&options).err().map(|error| error.to_string());
            std::fs::remove_file(path).unwrap();
            let refused = refused.unwrap_or_else(|| panic!("{text:?} is accepted"));
            assert!(refused.contains("rotate-keys") && refused.contains("\"iam\""), "{refused}");
        }
    }
}
