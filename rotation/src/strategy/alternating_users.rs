//! Two users that alternate: the one that is not in use is prepared, and the secret then names it.
//!
//! The user in use is never touched, so `AWSCURRENT` works at every moment. The other user gets its password last, when
//! it already has every privilege: a login that succeeds must never have fewer privileges.

use zeroize::Zeroizing;

use super::{
    Restored, Strategy, Versions, Wanted, check_fields, check_identity, check_obstacles, complete, prove_to,
    test_login,
};
use crate::context::{Context, Pair};
use crate::diagnosis::Requirements;
use crate::document::Document;
use crate::error::{Error, ErrorKind};
use crate::store::{BoxFuture, Version};
use crate::target::{Accounts, Applied, Change, Guard, Probe, Target};

/// Two users that alternate, prepared by an administrator.
#[derive(Clone, Copy, Debug)]
pub struct AlternatingUsers<'a> {
    /// The resource.
    pub target: &'a dyn Target,
}

impl<'a> AlternatingUsers<'a> {
    fn accounts(&self) -> Result<&'a dyn Accounts, Error> {
        self.target.accounts().ok_or_else(|| Error::new(ErrorKind::Unsupported, CANNOT_ALTERNATE))
    }

    async fn admin(&self, cx: &Context<'_>, current: &Document) -> Result<Document, Error> {
        cx.admin(current).await?.ok_or_else(|| Error::new(ErrorKind::Misconfigured, NEEDS_ADMINISTRATOR))
    }

    /// Returns the administrator's credential, and the lock. The credential may just have been rotated itself, so if it
    /// is refused, it is read again once.
    async fn lock(&self, cx: &Context<'_>, current: &Document) -> Result<(Document, Option<Guard>), Error> {
        let admin = self.admin(cx, current).await?;
        match cx.lock(self.target, &admin).await {
            Err(error) if error.kind() == ErrorKind::Refused => {}
            guard => return guard.map(|guard| (admin, guard)),
        }
        let admin = self.admin(cx, current).await?;
        let guard = cx.lock(self.target, &admin).await.map_err(|error| match error.kind() {
            // The new credential is not at fault, and abandoning it would not help.
            ErrorKind::Refused => {
                Error::new(ErrorKind::Unavailable, "the administrator's credential is refused")
            }
            _ => error,
        })?;
        Ok((admin, guard))
    }

    /// Explains why the second user is refused although its password has just been set. An obstacle that the resource
    /// reports is permanent, and the user in use was not touched, so the new version is rejected.
    async fn explain(&self, admin: &Document, pair: &Pair, error: Error) -> Error {
        let (current, pending) = (&pair.current.document, &pair.pending.document);
        let requirements = Requirements { other: Some(pending), ..Requirements::new(admin, current) };
        match self.target.diagnose(requirements).await {
            Ok(found) if error.kind() == ErrorKind::Refused && !found.findings.is_empty() => {
                let problems: Vec<_> = found.findings.into_iter().map(|finding| finding.problem).collect();
                Error::new(ErrorKind::Rejected, problems.join("; "))
            }
            _ => error,
        }
    }

    /// Refuses to touch a user that is not known to belong to this secret: neither declared, nor made for it, nor one
    /// that a version of it logs in as. A version that only names the user proves nothing, because anyone who can write
    /// the secret can name any user. Users made by AWS's own functions or manually have no mark, so for them only a
    /// login counts.
    async fn check_ours(
        &self,
        cx: &Context<'_>,
        admin: &Document,
        candidate: &Document,
    ) -> Result<(), Error> {
        let name = candidate.username()?;
        let is_declared = cx.settings().users.as_ref().is_some_and(|users| users.contains(&name));
        let status = self.accounts()?.user_status(admin, candidate, &mark(cx.secret_arn())).await?;
        if is_declared || Versions::of(cx).know(self.target, admin, candidate, status).await? {
            return Ok(());
        }
        Err(Error::new(ErrorKind::NotOurs, not_ours(&name)))
    }
}

/// The error message for a resource without the users that this strategy needs.
pub(crate) const CANNOT_ALTERNATE: &str = "users of this resource cannot alternate; choose another strategy";

/// The error message if no administrator's secret is named.
pub(crate) const NEEDS_ADMINISTRATOR: &str = "alternating users need an administrator: name the administrator's secret with --master-secret (a rotation function: SECRETCACHE_MASTER_SECRET) or in the field \"masterarn\"";

const CURRENT_REFUSED: &str =
    "the resource refuses AWSCURRENT; to find the version that logs in, run: secretcache recover";

/// The error message for a user that does not belong to this secret.
pub(crate) fn not_ours(name: &str) -> String {
    format!(
        "the user {name:?} exists, but was not created for this secret, and no version of the secret logs in as it; if it belongs to the secret, declare it"
    )
}

/// The mark of a user made for a secret.
pub(crate) fn mark(secret_arn: &str) -> String {
    format!("secretcache {secret_arn}")
}

/// Returns the name of the user whose turn is next.
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

/// The suffix that AWS's own functions give the second user.
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
            // Check before the value is stored: a stored version with the wrong user can only be abandoned. And before
            // an administrator logs in where the secret says, the secret's credential must prove that it is for this
            // resource.
            let admin = self.admin(cx, &current.document).await?;
            if self.target.probe(&current.document).await? == Probe::Refused {
                return Err(Error::new(ErrorKind::Refused, CURRENT_REFUSED));
            }
            prove_to(&admin, self.target, &current.document).await?;
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
                // The previous version may have been made current while this one was being set. If the new one works,
                // making it current is the way out, and nothing is left to set.
                if self.target.probe(pending).await? == Probe::Accepted {
                    return Ok(());
                }
                // Before an administrator acts where the secret says, the secret's credential must prove that it is for
                // this resource.
                return Err(Error::new(ErrorKind::Refused, CURRENT_REFUSED));
            }
            check_identity(pair, Wanted::OtherUser)?;
            let (admin, _guard) = self.lock(cx, current).await?;
            prove_to(&admin, self.target, current).await?;
            self.check_ours(cx, &admin, pending).await?;
            // No shortcut if the new credential already logs in: that says nothing about its privileges.
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
            // The service's test of the configuration uses a copy of the current version.
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

    /// This strategy breaks nothing. But if someone has stored a current value manually meanwhile, it may be refused.
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
