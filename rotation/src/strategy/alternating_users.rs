//! Two users that take turns: the one not in use is prepared, and the secret then names it.
//!
//! The user in use is never touched, so `AWSCURRENT` works at every moment. The other one becomes able to log in last
//! of all, when it already has every privilege: a login that succeeds must never be one that may do less.

use zeroize::Zeroizing;

use super::{
    Restored, Strategy, Versions, Wanted, check_fields, check_identity, check_obstacles, complete, test_login,
};
use crate::context::{Context, Pair};
use crate::diagnosis::Requirements;
use crate::document::Document;
use crate::error::{Error, ErrorKind};
use crate::store::{BoxFuture, Version};
use crate::target::{Accounts, Applied, Change, Guard, Probe, Target};

/// Two users that take turns, prepared by an administrator.
#[derive(Clone, Copy, Debug)]
pub struct AlternatingUsers<'a> {
    /// The resource.
    pub target: &'a dyn Target,
}

impl<'a> AlternatingUsers<'a> {
    fn accounts(&self) -> Result<&'a dyn Accounts, Error> {
        self.target.accounts().ok_or_else(|| {
            Error::new(
                ErrorKind::Unsupported,
                "users of this resource cannot alternate; choose another strategy",
            )
        })
    }

    async fn admin(&self, cx: &Context<'_>, current: &Document) -> Result<Document, Error> {
        cx.admin(current).await?.ok_or_else(|| {
            Error::new(
                ErrorKind::Misconfigured,
                "alternating users need an administrator: name the administrator's secret in the field \"masterarn\" or in the settings",
            )
        })
    }

    /// The administrator's credential, with the lock. It may itself have been rotated a moment ago, so a refusal is
    /// followed by one more look.
    async fn lock(&self, cx: &Context<'_>, current: &Document) -> Result<(Document, Option<Guard>), Error> {
        let admin = self.admin(cx, current).await?;
        match cx.lock(self.target, &admin).await {
            Err(error) if error.kind() == ErrorKind::Refused => {}
            guard => return guard.map(|guard| (admin, guard)),
        }
        let admin = self.admin(cx, current).await?;
        let guard = cx.lock(self.target, &admin).await.map_err(|error| match error.kind() {
            // Not the new credential's fault, and nothing that giving it up would mend.
            ErrorKind::Refused => {
                Error::new(ErrorKind::Unavailable, "the administrator's credential is refused")
            }
            _ => error,
        })?;
        Ok((admin, guard))
    }

    /// Why the second user is refused although it has just got its password. What the resource has against it will not
    /// pass, and the user in use was not touched: so the new version is rejected.
    async fn explain(&self, admin: &Document, pair: &Pair, error: Error) -> Error {
        let (current, pending) = (&pair.current.document, &pair.pending.document);
        let requirements = Requirements { other: Some(pending), ..Requirements::new(admin, current) };
        match self.target.diagnose(requirements).await {
            Ok(found) if error.kind() == ErrorKind::Refused && !found.findings.is_empty() => {
                let told: Vec<_> = found.findings.into_iter().map(|finding| finding.problem).collect();
                Error::new(ErrorKind::Rejected, told.join("; "))
            }
            _ => error,
        }
    }

    /// Refuses to touch a user that is not known to be this secret's: neither declared, nor made for it, nor one as whom a
    /// version of it logs in. That a version only names the user proves nothing: whoever can write the secret can name
    /// anybody. What AWS's own functions and people made bears no mark, so for them it is the login that counts.
    async fn check_ours(
        &self,
        cx: &Context<'_>,
        admin: &Document,
        candidate: &Document,
    ) -> Result<(), Error> {
        let name = candidate.username()?;
        let is_declared = cx.settings().users.as_ref().is_some_and(|users| users.contains(&name));
        let status = self.accounts()?.user_status(admin, candidate, &mark(cx.secret_arn())).await?;
        if is_declared || Versions::of(cx).know(self.target, candidate, status).await? {
            return Ok(());
        }
        Err(Error::new(ErrorKind::NotOurs, not_ours(&name)))
    }
}

const CURRENT_REFUSED: &str =
    "the resource refuses AWSCURRENT; to find the version that logs in, run: secretcache recover";

/// What is said of a user that is not this secret's.
pub(crate) fn not_ours(name: &str) -> String {
    format!(
        "the user {name:?} exists, but was not created for this secret, and no version of the secret logs in as it; if it belongs to the secret, declare it"
    )
}

/// What marks a user as made for a secret.
pub(crate) fn mark(secret_arn: &str) -> String {
    format!("secretcache {secret_arn}")
}

/// The name of the user whose turn it is next.
pub(crate) fn other_user(
    users: Option<&[String; 2]>,
    current: &Document,
    previous: Option<&Document>,
) -> Result<Zeroizing<String>, Error> {
    let name = current.username()?;
    if let Some([first, second]) = users {
        return match () {
            () if *first == *name => Ok(Zeroizing::new(second.clone())),
            () if *second == *name => Ok(Zeroizing::new(first.clone())),
            () => Err(Error::new(
                ErrorKind::Misconfigured,
                format!("the secret's user {:?} is not one of the two declared", *name),
            )),
        };
    }
    if let Some(previous) = previous {
        let other = previous.username()?;
        if other != name && previous.is_same_resource(current) {
            return Ok(other);
        }
    }
    Ok(Zeroizing::new(match name.strip_suffix(SUFFIX) {
        Some(stem) if !stem.is_empty() => stem.to_owned(),
        _ => format!("{}{SUFFIX}", *name),
    }))
}

/// How AWS's own functions name the second user.
const SUFFIX: &str = "_clone";

impl Strategy for AlternatingUsers<'_> {
    fn name(&self) -> &'static str {
        "alternating-users"
    }

    fn create<'a>(
        &'a self,
        cx: &'a Context<'a>,
        current: &'a Version,
    ) -> BoxFuture<'a, Result<Document, Error>> {
        Box::pin(async move {
            let users = cx.settings().users.as_ref();
            let previous = if users.is_none() { cx.previous().await? } else { None };
            let previous = previous.as_ref().map(|previous| &previous.document);
            let user = other_user(users, &current.document, previous)?;
            let password = cx.random_password().await?;
            let document = current.document.with("username", &user)?.with("password", &password)?;
            let document = complete(self.target, &current.document, document)?;
            // Before the value is stored, not after: a stored version with the wrong user can only be given up. And
            // before an administrator logs in on the secret's word, its credential must prove to be of this resource.
            let admin = self.admin(cx, &current.document).await?;
            if self.target.probe(&current.document).await? == Probe::Refused {
                return Err(Error::new(ErrorKind::Refused, CURRENT_REFUSED));
            }
            let requirements =
                Requirements { other: Some(&document), ..Requirements::new(&admin, &current.document) };
            check_obstacles(self.target, requirements).await?;
            self.check_ours(cx, &admin, &document).await?;
            Ok(document)
        })
    }

    fn set<'a>(&'a self, cx: &'a Context<'a>, pair: &'a Pair) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async move {
            let (current, pending) = (&pair.current.document, &pair.pending.document);
            let accounts = self.accounts()?;
            if !pending.is_same_resource(current) {
                return Err(Error::new(ErrorKind::Rejected, "the new version is for another resource"));
            }
            check_fields(self.target, pair)?;
            if self.target.probe(current).await? == Probe::Refused {
                // Somebody may have made the previous version current while this one was being set. If the new one
                // works, making it current is the way out, and there is nothing left to set.
                if self.target.probe(pending).await? == Probe::Accepted {
                    return Ok(());
                }
                // Before an administrator acts on the secret's word, its credential must prove to be of this resource.
                return Err(Error::new(ErrorKind::Refused, CURRENT_REFUSED));
            }
            check_identity(pair, Wanted::OtherUser)?;
            let (admin, _guard) = self.lock(cx, current).await?;
            self.check_ours(cx, &admin, pending).await?;
            // No short cut if the new credential already logs in: that says nothing of its privileges.
            accounts.ensure(&admin, current, pending, &mark(cx.secret_arn())).await?;
            accounts.reconcile(&admin, current, pending, &mark(cx.secret_arn())).await?;
            check_privileges(accounts, &admin, pair).await?;
            let change = Change { login: &admin, credential: pending, keep: None };
            match self.target.apply(change).await? {
                Applied::Done => Ok(()),
                Applied::LoginRefused => {
                    Err(Error::new(ErrorKind::Unavailable, "the administrator's credential is refused"))
                }
            }
        })
    }

    fn test<'a>(
        &'a self,
        cx: &'a Context<'a>,
        pair: &'a Pair,
        _: Option<&'a Guard>,
    ) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async move {
            if !pair.pending.document.is_same_resource(&pair.current.document) {
                return Err(Error::new(ErrorKind::Rejected, "the new version is for another resource"));
            }
            let login = test_login(cx, self.target, pair).await;
            // A dry run of the service tests a copy of the current version.
            if pair.pending.document.username()? == pair.current.document.username()? {
                return login;
            }
            let admin = self.admin(cx, &pair.current.document).await?;
            if let Err(error) = login {
                return Err(self.explain(&admin, pair, error).await);
            }
            check_privileges(self.accounts()?, &admin, pair).await
        })
    }

    /// Nothing was broken. But a current value that somebody stored by hand meanwhile may be one that is refused.
    fn restore<'a>(&'a self, _: &'a Context<'a>, pair: &'a Pair) -> BoxFuture<'a, Result<Restored, Error>> {
        Box::pin(async move {
            let only_new_works = self.target.probe(&pair.current.document).await? == Probe::Refused
                && self.target.probe(&pair.pending.document).await? == Probe::Accepted;
            Ok(Restored { only_new_works, ..Restored::default() })
        })
    }

    fn guard<'a>(
        &'a self,
        cx: &'a Context<'a>,
        pair: &'a Pair,
    ) -> BoxFuture<'a, Result<Option<Guard>, Error>> {
        Box::pin(async move { Ok(self.lock(cx, &pair.current.document).await?.1) })
    }
}

async fn check_privileges(accounts: &dyn Accounts, admin: &Document, pair: &Pair) -> Result<(), Error> {
    let (current, pending) = (&pair.current.document, &pair.pending.document);
    let missing = accounts.missing(admin, current, pending).await?;
    if missing.is_empty() {
        return Ok(());
    }
    let shown = missing.iter().take(8).map(String::as_str).collect::<Vec<_>>().join(", ");
    let more = missing.len().saturating_sub(8);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    Err(Error::new(
        ErrorKind::Underprivileged,
        format!("the user {:?} lacks rights of the user in use: {shown}{more}", *pending.username()?),
    ))
}
