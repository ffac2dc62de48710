//! Access keys of IAM users.
//!
//! A user can have at most two keys, enough for the old and the new one to overlap. But keys have no tags, and
//! CreateAccessKey returns the new secret only once. After a crash between that call and PutSecretValue, nothing about
//! the key shows which rotation created it. So the user is tagged instead:
//!
//! - before a key is created, with the rotation's version id and the ids of the existing keys;
//! - afterwards, with the key's id as the tag's name and the version id in its value. The IAM console stores a key's
//!   description in the same way, and so shows it.
//!
//! A key that has no description and did not exist before is the one whose creation was interrupted. All other keys
//! belong to someone else and are never touched.

use aws_sdk_secretsmanager::config::{Credentials, ProvideCredentials};
use aws_smithy_runtime_api::client::http::SharedHttpConnector;
use aws_types::SdkConfig;
use aws_types::service_config::ServiceConfigKey;
use secretcache::host::Options;
use serde::Deserialize;
use tokio::sync::OnceCell;

use crate::document::Document;
use crate::error::{Error, ErrorKind};
use crate::store::BoxFuture;
use crate::target::{Key, Probe, Provider};

mod query;

use query::{Query, Reply};

/// Access keys of an IAM user.
///
/// The user is not configured: it is the owner of the key in the secret, according to `sts:GetCallerIdentity`. That
/// call succeeds only if the key works. The secret is a JSON object with the key in one of the usual pairs of fields,
/// such as `AccessKeyId` and `SecretAccessKey`.
///
/// The process's own credentials (the function's role, or the operator's) manage the keys. They must belong to the
/// user's account, and need these permissions on the user: `iam:CreateAccessKey`, `iam:ListAccessKeys`,
/// `iam:DeleteAccessKey`, `iam:TagUser`, `iam:UntagUser` and `iam:ListUserTags`. With `login = "secret"`, the key
/// manages itself, and its user needs these permissions.
///
/// ```
/// use secretcache_rotation::targets::IamProvider;
///
/// let usual = IamProvider::from_toml("kind = \"iam\"")?;
/// let own = IamProvider::from_toml(
///     r#"
///     kind = "iam"
///     login = "secret"                 # or "caller", the default
///     key_id = "KEY"                   # the secret's fields, if they have other names
///     secret_key = "SECRET"
///     "#,
/// )?;
/// # Ok::<(), secretcache_rotation::Error>(())
/// ```
#[derive(Debug)]
pub struct IamProvider {
    description: Description,
    session: OnceCell<Session>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Description {
    #[serde(rename = "kind")]
    _kind: Option<String>,
    #[serde(default)]
    login: Login,
    key_id: Option<String>,
    secret_key: Option<String>,
}

/// The credentials that manage the keys: the process's own, or those in the secret.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Login {
    #[default]
    Caller,
    Secret,
}

#[derive(Debug)]
struct Session {
    config: SdkConfig,
    iam: Query,
    sts: Query,
}

impl Session {
    fn new(config: SdkConfig, connector: &SharedHttpConnector) -> Self {
        let region = config.region().map(ToString::to_string).unwrap_or_default();
        let usual = Endpoints::of(&region);
        let iam = query(&config, connector, ["iam", "IAM", "2010-05-08"], usual.iam, usual.iam_region);
        let sts = query(&config, connector, ["sts", "STS", "2011-06-15"], usual.sts, region);
        Self { config, iam, sts }
    }
}

/// An IAM user, identified by its key.
#[derive(Debug, Eq, PartialEq)]
struct User {
    account: String,
    name: String,
}

/// The usual pairs of fields for an access key.
const FIELDS: [(&str, &str); 4] = [
    ("AccessKeyId", "SecretAccessKey"),
    ("aws_access_key_id", "aws_secret_access_key"),
    ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"),
    ("access_key_id", "secret_access_key"),
];

/// The user's tag for a key that is about to be created: the version id, and the ids of the existing keys.
const MAKING: &str = "secretcache:making";
/// The prefix of our keys' descriptions. The version id follows it.
const DESCRIPTION: &str = "secretcache ";

impl IamProvider {
    /// Creates a provider from its description.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Misconfigured`], with the reason.
    pub fn from_toml(description: &str) -> Result<Self, Error> {
        let wrong = |what: &str| {
            Error::new(ErrorKind::Misconfigured, format!("the description of the IAM provider {what}"))
        };
        let description: Description = toml::from_str(description)
            .map_err(|error| wrong(&format!("cannot be parsed: {}", error.message())))?;
        if description.key_id.is_some() != description.secret_key.is_some() {
            return Err(wrong("must name both fields, key_id and secret_key, or neither"));
        }
        Ok(Self { description, session: OnceCell::new() })
    }

    /// Returns this provider with another configuration of AWS than this process's: for the fuzz target, which plays IAM.
    #[doc(hidden)]
    #[must_use]
    pub fn with_config(self, config: SdkConfig, connector: SharedHttpConnector) -> Self {
        Self { session: OnceCell::new_with(Some(Session::new(config, &connector))), ..self }
    }

    /// Returns the clients for IAM and STS, with this process's configuration unless another was given.
    async fn session(&self) -> Result<&Session, Error> {
        self.session
            .get_or_try_init(|| async {
                let options = Options::default();
                Ok(Session::new(options.sdk_config().await?, &options.http_connector().await?))
            })
            .await
    }

    /// Returns the names of the fields with the key's id and its secret.
    fn fields(&self, document: &Document) -> Result<(String, String), Error> {
        if let (Some(id), Some(secret)) = (&self.description.key_id, &self.description.secret_key) {
            return Ok((id.clone(), secret.clone()));
        }
        let found = FIELDS.iter().find(|(id, _)| document.field(id).is_some());
        found.map(|(id, secret)| ((*id).to_owned(), (*secret).to_owned())).ok_or_else(|| {
            let known = FIELDS.map(|(id, _)| id).join(", ");
            Error::new(
                ErrorKind::Misconfigured,
                format!("the secret has no access key: it has none of the fields {known}"),
            )
        })
    }

    fn key(&self, document: &Document) -> Result<Credentials, Error> {
        let (id, secret) = self.fields(document)?;
        let (id, secret) = (document.require(&id)?, document.require(&secret)?);
        Ok(Credentials::new(id.as_str(), secret.as_str(), None, None, "the secret"))
    }

    /// Returns the user that the key in a document belongs to.
    async fn user(&self, document: &Document) -> Result<User, Error> {
        let identity = self.identity(&self.key(document)?).await?.ok_or_else(|| {
            Error::new(ErrorKind::Refused, "AWS refuses the access key and does not say whose it is")
        })?;
        user(&identity)
    }

    /// Returns the ARN that the credentials belong to; `None` if they are refused.
    async fn identity(&self, credentials: &Credentials) -> Result<Option<String>, Error> {
        const ACTION: &str = "GetCallerIdentity";
        match self.session().await?.sts.call(credentials, ACTION, &[]).await? {
            Ok(reply) => reply.text("Arn").map(|arn| Some(arn.to_string())),
            Err(fault) if fault.is_refusal() => Ok(None),
            Err(fault) => Err(fault.into_error(ACTION)),
        }
    }

    /// Returns the credentials that manage a user's keys.
    async fn manager(&self, user: &User, document: &Document) -> Result<Credentials, Error> {
        if let Login::Secret = self.description.login {
            return self.key(document);
        }
        let denied = |what: String| Error::new(ErrorKind::Denied, what);
        let provider = self.session().await?.config.credentials_provider();
        let provider = provider.ok_or_else(|| denied("this process has no AWS credentials".to_owned()))?;
        let own = provider
            .provide_credentials()
            .await
            .map_err(|error| denied("this process has no AWS credentials".to_owned()).with_source(error))?;
        let arn = self.identity(&own).await?;
        let arn = arn.ok_or_else(|| denied("AWS refuses the credentials of this process".to_owned()))?;
        // In another account, the name would identify a different user.
        if account(&arn) != user.account {
            return Err(denied(format!(
                "the key belongs to a user in account {}, but this process can only manage users of its own account {}",
                user.account,
                account(&arn)
            )));
        }
        Ok(own)
    }

    async fn call(
        &self,
        credentials: &Credentials,
        action: &str,
        parameters: &[(&str, &str)],
    ) -> Result<Reply, Error> {
        let answer = self.session().await?.iam.call(credentials, action, parameters).await?;
        answer.map_err(|fault| fault.into_error(action))
    }

    async fn tag(&self, by: &Credentials, user: &User, tags: &[(&str, &str)]) -> Result<(), Error> {
        let mut parameters = vec![("UserName".to_owned(), user.name.as_str())];
        for (place, (name, value)) in tags.iter().enumerate() {
            parameters.push((format!("Tags.member.{}.Key", place + 1), name));
            parameters.push((format!("Tags.member.{}.Value", place + 1), value));
        }
        let parameters: Vec<_> = parameters.iter().map(|(name, value)| (name.as_str(), *value)).collect();
        self.call(by, "TagUser", &parameters).await.map(drop)
    }

    /// Removes a key's description. A tag of that name with another value belongs to somebody else: the name may come
    /// from the secret.
    async fn forget(&self, by: &Credentials, user: &User, key_id: &str) -> Result<(), Error> {
        let name = ("UserName", user.name.as_str());
        let tags = self.call(by, "ListUserTags", &[name]).await?.members("Key", "Value")?;
        if !is_described(&tags, key_id) {
            return Ok(());
        }
        self.call(by, "UntagUser", &[name, ("TagKeys.member.1", key_id)]).await.map(drop)
    }

    /// Reads the user's keys, and which of them rotation created.
    async fn keys(&self, by: &Credentials, user: &User) -> Result<Keys, Error> {
        let user = [("UserName", user.name.as_str())];
        let keys = self.call(by, "ListAccessKeys", &user).await?.members("AccessKeyId", "Status")?;
        let tags = self.call(by, "ListUserTags", &user).await?.members("Key", "Value")?;
        Ok(Keys::new(keys.into_iter().map(|(id, _)| id).collect(), &tags))
    }
}

/// A user's keys, and which of them rotation created.
#[derive(Debug, Eq, PartialEq)]
struct Keys {
    /// The ids of all keys.
    ids: Vec<String>,
    /// The keys that are described as created for a rotation.
    ours: Vec<Key>,
    /// The key whose rotation was interrupted before it was described.
    undescribed: Option<Key>,
}

impl Keys {
    fn new(ids: Vec<String>, tags: &[(String, String)]) -> Self {
        let tag = |name: &str| tags.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        let key = |id: &str, version: &str| Key { id: id.to_owned(), tag: Some(version.to_owned()) };
        let ours = ids.iter().filter_map(|id| Some(key(id, tag(id)?.strip_prefix(DESCRIPTION)?))).collect();
        let undescribed = tag(MAKING).and_then(|making| {
            let mut words = making.split(' ');
            let version = words.next().filter(|version| !version.is_empty())?;
            let before: Vec<_> = words.collect();
            let id = ids.iter().find(|id| !before.contains(&id.as_str()) && tag(id).is_none())?;
            Some(key(id, version))
        });
        Self { ids, ours, undescribed }
    }
}

impl Provider for IamProvider {
    fn create<'a>(&'a self, current: &'a Document, tag: &'a str) -> BoxFuture<'a, Result<Document, Error>> {
        Box::pin(async move {
            let user = self.user(current).await?;
            let by = self.manager(&user, current).await?;
            let keys = self.keys(&by, &user).await?;
            if keys.ids.len() >= MOST_KEYS {
                return Err(Error::new(ErrorKind::LimitReached, "the IAM user already has two access keys"));
            }
            if let Some(Key { id, tag: Some(version) }) = &keys.undescribed {
                // Described now, because the tag that identifies it is about to be overwritten.
                self.tag(&by, &user, &[(id, &format!("{DESCRIPTION}{version}"))]).await?;
            }
            let making = [&[tag.to_owned()], keys.ids.as_slice()].concat().join(" ");
            self.tag(&by, &user, &[(MAKING, &making)]).await?;
            let made = self.call(&by, "CreateAccessKey", &[("UserName", &user.name)]).await?;
            let (id, secret) = (made.text("AccessKeyId")?, made.text("SecretAccessKey")?);
            let description = format!("{DESCRIPTION}{tag}");
            // A failure is ignored: the MAKING tag still identifies the key, and an error would lose the new secret.
            drop(self.tag(&by, &user, &[(&id, &description), (MAKING, "")]).await);
            let (id_field, secret_field) = self.fields(current)?;
            current.with(&id_field, &id)?.with(&secret_field, &secret)
        })
    }

    fn list<'a>(&'a self, login: &'a Document) -> BoxFuture<'a, Result<Vec<Key>, Error>> {
        Box::pin(async move {
            let user = self.user(login).await?;
            let by = self.manager(&user, login).await?;
            let keys = self.keys(&by, &user).await?;
            Ok(keys.ours.into_iter().chain(keys.undescribed).collect())
        })
    }

    fn probe<'a>(&'a self, credential: &'a Document) -> BoxFuture<'a, Result<Probe, Error>> {
        Box::pin(async move {
            let identity = self.identity(&self.key(credential)?).await?;
            Ok(if identity.is_some() { Probe::Accepted } else { Probe::Refused })
        })
    }

    fn revoke<'a>(&'a self, login: &'a Document, key_id: &'a str) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async move {
            const ACTION: &str = "DeleteAccessKey";
            let user = self.user(login).await?;
            let by = self.manager(&user, login).await?;
            let parameters = [("UserName", user.name.as_str()), ("AccessKeyId", key_id)];
            match self.session().await?.iam.call(&by, ACTION, &parameters).await? {
                Err(fault) if fault.code != "NoSuchEntity" => return Err(fault.into_error(ACTION)),
                _ => {}
            }
            // The tag is removed last: as long as the key exists, the tag identifies it as ours.
            self.forget(&by, &user, key_id).await
        })
    }

    /// The caller's rights could delete any key of any user. So the former key must sign a request, which proves its id
    /// too, and belong to the user of the current one.
    fn revoke_former<'a>(
        &'a self,
        current: &'a Document,
        former: &'a Document,
    ) -> BoxFuture<'a, Result<bool, Error>> {
        Box::pin(async move {
            let (key, own) = (self.key_id(former)?, self.user(current).await?);
            let Some(holder) = self.identity(&self.key(former)?).await? else {
                // It may have been deleted by a run that was killed before it removed the description.
                let by = self.manager(&own, current).await?;
                return self.forget(&by, &own, &key).await.map(|()| false);
            };
            if user(&holder).ok() != Some(own) {
                return Ok(false);
            }
            self.revoke(current, &key).await.map(|()| true)
        })
    }

    fn key_id(&self, credential: &Document) -> Result<String, Error> {
        let (id, _) = self.fields(credential)?;
        credential.require(&id).map(|id| id.to_string())
    }
}

/// Checks whether a user's tags describe a key as created for a rotation.
fn is_described(tags: &[(String, String)], key_id: &str) -> bool {
    tags.iter().any(|(name, value)| name == key_id && value.starts_with(DESCRIPTION))
}

/// The number of access keys that a user can have. AWS does not raise this quota.
const MOST_KEYS: usize = 2;

/// Parses the user from an ARN such as `arn:aws:iam::123456789012:user/team/app`.
fn user(arn: &str) -> Result<User, Error> {
    let name = arn.splitn(6, ':').nth(5).and_then(|resource| resource.strip_prefix("user/"));
    let name = name.and_then(|path| path.rsplit('/').next()).filter(|name| !name.is_empty());
    let name = name.ok_or_else(|| {
        Error::new(
            ErrorKind::Unsupported,
            format!("the access key belongs to {arn:?}; only keys of IAM users can be rotated"),
        )
    })?;
    Ok(User { account: account(arn).to_owned(), name: name.to_owned() })
}

fn account(arn: &str) -> &str {
    arn.split(':').nth(4).unwrap_or_default()
}

/// The default endpoints of the services.
struct Endpoints {
    iam: String,
    iam_region: String,
    sts: String,
}

impl Endpoints {
    /// Returns the endpoints for a Region. IAM has one endpoint per partition, STS one per Region.
    fn of(region: &str) -> Self {
        let (iam, iam_region, suffix) = match region {
            _ if region.starts_with("cn-") => {
                ("iam.cn-north-1.amazonaws.com.cn", "cn-north-1", "amazonaws.com.cn")
            }
            _ if region.starts_with("us-gov-") => {
                ("iam.us-gov.amazonaws.com", "us-gov-west-1", "amazonaws.com")
            }
            _ => ("iam.amazonaws.com", "us-east-1", "amazonaws.com"),
        };
        Self {
            iam: format!("https://{iam}/"),
            iam_region: iam_region.to_owned(),
            sts: format!("https://sts.{region}.{suffix}/"),
        }
    }
}

/// Creates a client for a service. The endpoint comes from the environment (`AWS_ENDPOINT_URL_…`), the profile or
/// `AWS_ENDPOINT_URL`; otherwise it is the default one.
fn query(
    config: &SdkConfig,
    connector: &SharedHttpConnector,
    [name, service_id, api_version]: [&'static str; 3],
    usual: String,
    signing_region: String,
) -> Query {
    let key = ServiceConfigKey::builder()
        .service_id(service_id)
        .env("AWS_ENDPOINT_URL")
        .profile("endpoint_url")
        .build();
    let own = key.ok().and_then(|key| config.service_config()?.load_config(key));
    // A configured endpoint without TLS is used as is, as in other AWS clients. It is never a fallback.
    let url = own.or_else(|| config.endpoint_url().map(str::to_owned)).unwrap_or(usual);
    let url = if url.ends_with('/') { url } else { format!("{url}/") };
    Query { name, api_version, url, signing_region, connector: connector.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(ids: &[&str], tags: &[(&str, &str)]) -> Keys {
        let tags: Vec<_> = tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        Keys::new(ids.iter().map(|id| (*id).to_owned()).collect(), &tags)
    }

    fn key(id: &str, tag: &str) -> Key {
        Key { id: id.to_owned(), tag: Some(tag.to_owned()) }
    }

    #[test]
    fn keys_of_others_are_not_ours_whatever_was_begun() {
        let found = keys(&["A", "B"], &[]);
        assert_eq!((found.ours, found.undescribed), (vec![], None));
        // Both existed before the creation.
        assert_eq!(keys(&["A", "B"], &[(MAKING, "t A B")]).undescribed, None);
        // Someone described the key in the console.
        assert_eq!(keys(&["A", "B"], &[(MAKING, "t A"), ("B", "Ann's laptop")]).undescribed, None);
        // No creation was interrupted.
        assert_eq!(keys(&["A", "B"], &[(MAKING, "")]).undescribed, None);
    }

    #[test]
    fn a_key_that_was_being_made_is_recognised() {
        let found = keys(&["A", "B"], &[("A", "secretcache t1"), (MAKING, "t2 A")]);
        assert_eq!((found.ours, found.undescribed), (vec![key("A", "t1")], Some(key("B", "t2"))));
        let found = keys(&["A", "B"], &[("B", "secretcache t2"), (MAKING, "t2 A")]);
        assert_eq!((found.ours, found.undescribed), (vec![key("B", "t2")], None));
    }

    #[test]
    fn only_our_descriptions_are_removed() {
        let tags = [("A", "secretcache t1"), ("B", "Ann's laptop"), ("team", "payments"), (MAKING, "t2 A")];
        let tags = tags.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let removed = ["A", "B", "team", MAKING, "C"].map(|name| is_described(&tags, name));
        assert_eq!(removed, [true, false, false, false, false]);
    }

    #[test]
    fn only_the_arn_of_a_user_names_one() {
        let found = user("arn:aws-cn:iam::123456789012:user/team/a/app").unwrap();
        assert_eq!(found, User { account: "123456789012".into(), name: "app".into() });
        for other in ["arn:aws:sts::123456789012:assumed-role/user/x", "arn:aws:iam::123456789012:root", ""] {
            assert_eq!(user(other).unwrap_err().kind(), ErrorKind::Unsupported, "{other}");
        }
    }

    #[test]
    fn an_error_says_what_a_secret_without_a_key_lacks() {
        let provider = IamProvider::from_toml("").unwrap();
        let error = provider.key_id(&Document::parse(r#"{"user":"app"}"#).unwrap()).unwrap_err();
        assert!(error.message().contains("AccessKeyId"), "{error}");
        assert!(IamProvider::from_toml("key_id = \"a\"").is_err());
        assert!(IamProvider::from_toml("endpoint = \"http://elsewhere\"").is_err());
    }
}
