//! IAM tokens in place of passwords. They are signed locally, without a call to AWS.
//!
//! A token is a presigned request (AWS Signature Version 4) that the database or cache executes when it receives it as
//! a password. It is byte for byte what botocore's `generate_db_auth_token` and `generate_presigned_url` return.

use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_sigv4::http_request::{SignableBody, SignableRequest, SignatureLocation, SigningSettings, sign};
use aws_sigv4::sign::v4;
use tokio::sync::Mutex;
use tokio::time::timeout;
use zeroize::Zeroizing;

use crate::error::{Error, ErrorKind};
use crate::fetched::{Fetched, Value};
use crate::iam_login::{IamLogin, Service, encoded};
use crate::id::{AWSCURRENT, Selector};
use crate::native::clock::SystemClock;

/// How long a token is valid: the longest that the services accept.
const VALIDITY: Duration = Duration::from_secs(15 * 60);
/// The least validity left when a token is given to a login, which takes some of it.
const RESERVE: Duration = Duration::from_secs(60);
/// ElastiCache and MemoryDB close connections after twelve hours, so connections to them count as outdated well before.
const OUTDATED_AFTER: Duration = Duration::from_secs(6 * 3600);

/// Signs tokens with the credentials of a cache.
pub(super) struct TokenSigner {
    provider: Option<SharedCredentialsProvider>,
    region: String,
    /// How long loading credentials may take.
    patience: Duration,
    held: Mutex<Option<Credentials>>,
}

impl TokenSigner {
    pub(super) fn new(
        provider: Option<SharedCredentialsProvider>,
        region: String,
        patience: Duration,
    ) -> Self {
        Self { provider, region, patience, held: Mutex::default() }
    }

    /// Returns the login's token, as the current version of a secret with user name and password. The version id
    /// follows from the access key that signed the token, so logins with another key are logins with another version.
    pub(super) async fn fetch(&self, login: &IamLogin, selector: Selector<'_>) -> Result<Fetched, Error> {
        if selector != Selector::CURRENT {
            let text = format!("an IAM token only has a current version; {selector} was requested");
            return Err(Error::new(ErrorKind::VersionNotFound, text));
        }
        let credentials = self.credentials().await?;
        // The clock is read after the wait for credentials.
        signed(login, &self.region, &credentials, now())
    }

    /// Returns credentials that outlive a token, if the provider has such; otherwise those that it has.
    async fn credentials(&self) -> Result<Credentials, Error> {
        let mut held = self.held.lock().await;
        if let Some(held) = held.as_ref().filter(|held| left(held, now()) > Some(VALIDITY)) {
            return Ok(held.clone());
        }
        let found = match &self.provider {
            Some(provider) => timeout(self.patience, provider.provide_credentials()).await.map_err(|_| {
                let text = format!("found no AWS credentials to sign the token within {:?}", self.patience);
                Error::new(ErrorKind::Timeout, text)
            }),
            None => Ok(Err(CredentialsError::not_loaded("there is no provider of credentials"))),
        };
        let found = found.and_then(|found| found.map_err(|error| super::no_credentials(&error)));
        let found = found.and_then(|found| match left(&found, now()) {
            Some(Duration::ZERO) => {
                let text = "the AWS credentials have expired: renew them, for example by logging in again";
                Err(Error::new(ErrorKind::NoCredentials, text))
            }
            _ => Ok(found),
        });
        match (found, held.take()) {
            (Ok(found), _) => Ok(held.insert(found).clone()),
            // The earlier ones are still valid for a while.
            (Err(_), Some(known)) if left(&known, now()) > Some(RESERVE) => Ok(held.insert(known).clone()),
            (Err(error), _) => Err(error),
        }
    }
}

/// Signs a token as a cache would for this id, for bindings whose host has the credentials. The credentials must be
/// valid for another `expires_in`.
///
/// # Errors
///
/// [`ErrorKind::InvalidArgument`] if the id is not that of an [`IamLogin`].
pub fn sign_token(
    id: &str,
    region: &str,
    credentials: &crate::native::Credentials,
    expires_in: Duration,
) -> Result<Fetched, Error> {
    let now = now();
    let (id, login) = (credentials.access_key_id.as_str(), id.parse::<IamLogin>()?);
    let token = credentials.session_token.as_ref().map(|token| token.to_string());
    let (key, expiry) = (credentials.secret_access_key.as_str(), Some(now + expires_in));
    signed(&login, region, &Credentials::new(id, key, token, expiry, "host"), now)
}

/// Returns a secret whose password is the login's token at this moment.
fn signed(
    login: &IamLogin,
    region: &str,
    credentials: &Credentials,
    now: SystemTime,
) -> Result<Fetched, Error> {
    let token = token(login, login.region.as_deref().unwrap_or(region), credentials, now)?;
    Ok(Fetched {
        version_id: Some(version_id(login, credentials, now)),
        version_stages: vec![AWSCURRENT.to_owned()],
        created_date: Some(now),
        expires_after: Some(usable_for(credentials, now)),
        value: Value::String(secret_string(login, &token)),
        ..Fetched::default()
    })
}

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + SystemClock::now().wall
}

/// Returns how long credentials are still valid, if that is known.
fn left(credentials: &Credentials, now: SystemTime) -> Option<Duration> {
    credentials.expiry().map(|expiry| expiry.duration_since(now).unwrap_or_default())
}

/// Returns how long a token can be handed out. It expires with its credentials, if not before.
fn usable_for(credentials: &Credentials, now: SystemTime) -> Duration {
    let end = left(credentials, now).map_or(VALIDITY, |left| left.min(VALIDITY));
    end - RESERVE.min(end / 2)
}

fn version_id(login: &IamLogin, credentials: &Credentials, now: SystemTime) -> String {
    let key_id = credentials.access_key_id();
    if login.service == Service::Rds {
        return key_id.to_owned();
    }
    let since_epoch = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    format!("{key_id}/{}", since_epoch.as_secs() / OUTDATED_AFTER.as_secs())
}

/// Returns the value of a database's secret. No copy of the token is left behind, because the string never grows.
fn secret_string(login: &IamLogin, token: &str) -> Zeroizing<String> {
    let user = serde_json::Value::from(login.user.as_str()).to_string();
    let place = match login.resource.rsplit_once(':') {
        Some((host, port)) => format!(r#","host":"{host}","port":{port}"#),
        None => String::new(),
    };
    let length = user.len() + token.len() + place.len() + r#"{"username":,"password":""}"#.len();
    let mut string = Zeroizing::new(String::with_capacity(length));
    let _cannot_fail = write!(string, r#"{{"username":{user},"password":"{token}"{place}}}"#);
    string
}

/// Signs the token of a login at this moment.
fn token(
    login: &IamLogin,
    region: &str,
    credentials: &Credentials,
    now: SystemTime,
) -> Result<Zeroizing<String>, Error> {
    let (scheme, user) = match login.service {
        Service::Rds => ("https://", "DBUser"),
        Service::ElastiCache | Service::MemoryDb => ("http://", "User"),
    };
    let serverless = if login.is_serverless { "&ResourceType=ServerlessCache" } else { "" };
    let request = format!("{}/?Action=connect&{user}={}{serverless}", login.resource, encoded(&login.user));

    let wrong = |error: &dyn std::fmt::Display| {
        Error::new(ErrorKind::Internal, format!("cannot sign a token for {login}: {error}"))
    };
    let mut settings = SigningSettings::default();
    settings.signature_location = SignatureLocation::QueryParams;
    settings.expires_in = Some(VALIDITY);
    let identity = credentials.clone().into();
    let signing = v4::SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name(login.service.name())
        .time(now)
        .settings(settings);
    let signing = signing.build().map_err(|error| wrong(&error))?.into();
    let to_sign =
        SignableRequest::new("GET", format!("{scheme}{request}"), std::iter::empty(), SignableBody::empty());
    let to_sign = to_sign.map_err(|error| wrong(&error))?;
    let (signed, _) = sign(to_sign, &signing).map_err(|error| wrong(&error))?.into_parts();
    let (_, mut parameters) = signed.into_parts();
    // The order does not matter to AWS. It is botocore's, which puts the signature last.
    parameters.sort_by_key(|(name, _)| *name == "X-Amz-Signature");

    let length = parameters.iter().map(|(name, value)| name.len() + 3 * value.len() + 2).sum::<usize>();
    let mut token = Zeroizing::new(String::with_capacity(request.len() + length));
    token.push_str(&request);
    for (name, value) in &parameters {
        let _cannot_fail = write!(token, "&{name}={}", encoded(value));
    }
    Ok(token)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    const NOON: Duration = Duration::from_secs(1_795_953_600);

    fn at_noon() -> SystemTime {
        SystemTime::UNIX_EPOCH + NOON
    }

    fn credentials(expires_in: Option<u64>) -> Credentials {
        let expiry = expires_in.map(|seconds| at_noon() + Duration::from_secs(seconds));
        Credentials::new("AKIDEXAMPLE", "hunter2-canary", None, expiry, "test")
    }

    /// `bindings-python/tests/test_iam_tokens.py` makes the vectors with botocore.
    #[test]
    fn tokens_are_botocores_byte_for_byte() {
        let vectors: Vec<serde_json::Value> =
            serde_json::from_str(include_str!("../../../../tests/iam-tokens.json")).unwrap();
        assert_eq!(vectors.len(), 24);
        for vector in vectors {
            let text = |name: &str| vector[name].as_str().map(str::to_owned);
            let login: IamLogin = text("login").unwrap().parse().unwrap();
            let (id, key) = (text("access_key_id").unwrap(), text("secret_access_key").unwrap());
            let credentials = Credentials::new(id, key, text("session_token"), None, "test");
            let at = SystemTime::UNIX_EPOCH + Duration::from_secs(vector["at"].as_u64().unwrap());
            let secret = Secret::from(signed(&login, "us-east-1", &credentials, at).unwrap());
            assert_eq!(Some(secret.field("password").unwrap()), vector["token"].as_str());
            assert_eq!(secret.field("username").unwrap(), login.user);
        }
    }

    #[test]
    fn a_token_ends_a_minute_early_and_with_its_credentials() {
        let usable = |expires_in| usable_for(&credentials(expires_in), at_noon()).as_secs();
        assert_eq!(usable(None), 14 * 60);
        assert_eq!(usable(Some(3_600)), 14 * 60);
        assert_eq!(usable(Some(600)), 9 * 60);
        assert_eq!(usable(Some(30)), 15);
    }

    #[test]
    fn connections_to_a_cache_are_outdated_after_hours_others_with_their_key() {
        let version = |login: &IamLogin, hours: u64| {
            version_id(login, &credentials(None), at_noon() + Duration::from_secs(hours * 3_600))
        };
        let database = IamLogin::rds("app", "db.example", 5432);
        assert_eq!(version(&database, 0), "AKIDEXAMPLE");
        assert_eq!(version(&database, 100), "AKIDEXAMPLE");
        let cache = IamLogin::elasticache("app", "sessions");
        assert_eq!(version(&cache, 0), version(&cache, 5));
        assert_ne!(version(&cache, 0), version(&cache, 6));
    }

    #[tokio::test]
    async fn credentials_are_loaded_when_those_held_would_not_outlive_a_token() {
        use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

        /// Returns credentials that are valid for each number of seconds, once each.
        #[derive(Debug)]
        struct Provider(AtomicU32, [Option<u64>; 3]);

        impl ProvideCredentials for Provider {
            fn provide_credentials<'a>(
                &'a self,
            ) -> aws_credential_types::provider::future::ProvideCredentials<'a>
            where
                Self: 'a,
            {
                let number = self.0.fetch_add(1, Relaxed) as usize;
                let answer = match self.1.get(number).copied().flatten() {
                    Some(seconds) => {
                        let expiry = now() + Duration::from_secs(seconds);
                        Ok(Credentials::new(
                            format!("KEY{number}"),
                            "hunter2-canary",
                            None,
                            Some(expiry),
                            "test",
                        ))
                    }
                    None => Err(CredentialsError::not_loaded("none left")),
                };
                aws_credential_types::provider::future::ProvideCredentials::ready(answer)
            }
        }

        let login = IamLogin::rds("app", "db.example", 5432);
        let keys = async |spans| {
            let provider = SharedCredentialsProvider::new(Provider(AtomicU32::new(0), spans));
            let signer = TokenSigner::new(Some(provider), "eu-central-1".into(), Duration::from_secs(5));
            let mut keys = Vec::new();
            for _ in 0..3 {
                let fetched = signer.fetch(&login, Selector::CURRENT).await;
                keys.push(
                    fetched.map_or_else(|error| error.kind().name().to_owned(), |it| it.version_id.unwrap()),
                );
            }
            keys
        };
        assert_eq!(keys([Some(3_600), None, None]).await, ["KEY0", "KEY0", "KEY0"]);
        // The second is loaded because the first expires too soon. If there is no second, the first stays in use.
        assert_eq!(keys([Some(600), Some(3_600), None]).await, ["KEY0", "KEY1", "KEY1"]);
        assert_eq!(keys([Some(600), None, None]).await, ["KEY0", "KEY0", "KEY0"]);
        assert_eq!(keys([Some(30), None, None]).await, ["KEY0", "no_credentials", "no_credentials"]);
        assert_eq!(keys([Some(0), None, None]).await, ["no_credentials"; 3]);
    }

    #[tokio::test]
    async fn nothing_but_the_value_shows_a_token() {
        let provider = SharedCredentialsProvider::new(credentials(None));
        let signer = TokenSigner::new(Some(provider), "eu-central-1".into(), Duration::from_secs(5));
        let fetched = signer.fetch(&IamLogin::memorydb("app", "sessions"), Selector::CURRENT).await.unwrap();
        let Value::String(string) = &fetched.value else { panic!("no string") };
        let (_, signature) = string.split_once("X-Amz-Signature=").unwrap();
        let shown = format!("{fetched:?}");
        assert!(!shown.contains(&signature[..64]) && !shown.contains("canary"), "{shown}");
        let previous =
            signer.fetch(&IamLogin::memorydb("app", "sessions"), Selector::stage("AWSPREVIOUS")).await;
        assert_eq!(previous.unwrap_err().kind(), ErrorKind::VersionNotFound);
    }
}
