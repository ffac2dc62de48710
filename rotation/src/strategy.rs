//! How the resource's credential changes: the four strategies.

use std::fmt::Debug;

use secretcache::{AWSPREVIOUS, Selector};
use zeroize::Zeroizing;

use crate::administrator::with_tls_of;
use crate::context::{Context, Pair};
use crate::dependent;
use crate::diagnosis::Requirements;
use crate::document::Document;
use crate::error::{Error, ErrorKind};
use crate::store::{BoxFuture, SecretState, SecretStore, Version};
use crate::target::{Applied, Guard, Probe, Target, UserStatus};

pub(crate) mod alternating_users;
pub(crate) mod api_key;
mod dual_password;
mod single_user;

pub use alternating_users::AlternatingUsers;
pub use api_key::ApiKey;
pub use dual_password::DualPassword;
pub use single_user::SingleUser;

/// A strategy: what the steps do to the resource. The engine handles versions and labels.
///
/// Every method can be called again after any failure, and must then complete what was started.
pub trait Strategy: Debug + Send + Sync {
    /// The strategy's name in settings, messages and events.
    fn name(&self) -> &'static str;

    /// Makes a new value from the current one. Called only while the version has no value, or a stale read makes it
    /// look so.
    fn create<'a>(
        &'a self,
        cx: &'a Context<'a>,
        current: &'a Version,
    ) -> BoxFuture<'a, Result<Document, Error>>;

    /// Called when the value has been stored.
    fn stored<'a>(
        &'a self,
        cx: &'a Context<'a>,
        current: &'a Version,
        document: &'a Document,
    ) -> BoxFuture<'a, Result<(), Error>> {
        let _ = (cx, current, document);
        Box::pin(async { Ok(()) })
    }

    /// Called when the value was not stored, because the version already had another one.
    fn discarded<'a>(
        &'a self,
        cx: &'a Context<'a>,
        current: &'a Version,
        document: &'a Document,
    ) -> BoxFuture<'a, Result<(), Error>> {
        let _ = (cx, current, document);
        Box::pin(async { Ok(()) })
    }

    /// Sets the new value at the resource. [`ErrorKind::Rejected`] means that the resource will never accept it.
    fn set<'a>(&'a self, cx: &'a Context<'a>, pair: &'a Pair) -> BoxFuture<'a, Result<(), Error>>;

    /// Tests that the new value works, without side effects. [`ErrorKind::Refused`] is final. If the label is about to
    /// move, `guard` is the result of [`Strategy::guard`]: a proof made in taking it need not be repeated.
    fn test<'a>(
        &'a self,
        cx: &'a Context<'a>,
        pair: &'a Pair,
        guard: Option<&'a Guard>,
    ) -> BoxFuture<'a, Result<(), Error>>;

    /// Makes the current value work again if the strategy broke it. Called when a test has failed for good or the
    /// rotation has been overtaken.
    fn restore<'a>(&'a self, cx: &'a Context<'a>, pair: &'a Pair) -> BoxFuture<'a, Result<Restored, Error>> {
        let _ = (cx, pair);
        Box::pin(async { Ok(Restored::default()) })
    }

    /// Locks the resource against other drivers while the label moves.
    fn guard<'a>(
        &'a self,
        cx: &'a Context<'a>,
        pair: &'a Pair,
    ) -> BoxFuture<'a, Result<Option<Guard>, Error>> {
        let _ = (cx, pair);
        Box::pin(async { Ok(None) })
    }
}

/// The outcome of [`Strategy::restore`].
#[derive(Debug, Default)]
pub struct Restored {
    /// Whether to abandon the new version, so that a new rotation can start.
    pub gives_up: bool,
    /// Whether the resource accepts neither value, so that nothing could be restored.
    pub is_lost: bool,
    /// Whether the resource refuses the current value and accepts the new one, which must then keep its label.
    pub only_new_works: bool,
    /// Keeps other drivers away until the labels have moved.
    pub guard: Option<Guard>,
}

/// Checks, before a new value is stored, for the obstacles that a dry run reports. If there are any, the rotation ends
/// here: nothing has changed, and no `AWSPENDING` is left. `login` must have been proven, or be the user's own.
async fn check_obstacles(target: &dyn Target, requirements: Requirements<'_>) -> Result<(), Error> {
    let findings = match target.diagnose(requirements).await {
        Ok(diagnosis) => diagnosis.findings,
        // An older password may be the one that works. The next step searches for it.
        Err(error) if matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Refused) => return Ok(()),
        Err(error) => return Err(error),
    };
    if findings.is_empty() {
        return Ok(());
    }
    let problems: Vec<_> = findings
        .iter()
        .map(|finding| match &finding.fix {
            Some(fix) => format!("{} (fix: {fix})", finding.problem),
            None => finding.problem.clone(),
        })
        .collect();
    Err(Error::new(ErrorKind::Denied, problems.join("; ")))
}

/// Like [`check_obstacles`], for strategies that change one user's password. The changes are made by the administrator,
/// if one is named and the user's own credential works.
async fn check_own_obstacles(
    cx: &Context<'_>,
    target: &dyn Target,
    current: &Document,
    keeps_former: bool,
) -> Result<(), Error> {
    let admin = cx.admin(current).await?;
    if let Some(admin) = &admin {
        if target.probe(current).await? == Probe::Refused {
            return Ok(());
        }
        prove_to(admin, target, current).await?;
    }
    let login = admin.as_ref().unwrap_or(current);
    check_obstacles(target, Requirements { keeps_former, ..Requirements::new(login, current) }).await
}

/// Completes a new value by updating the fields that depend on the credential, and checks it. This happens before the
/// value is stored, because a stored value can never be fixed.
pub(crate) fn complete(target: &dyn Target, current: &Document, next: Document) -> Result<Document, Error> {
    let next = dependent::follow(current, target.derive(next)?)?;
    target.accepts(&next)?;
    Ok(next)
}

/// Refuses a new value with a field that does not match its credential, because programs may log in with that field.
/// Called before the resource changes, and again when the new value is tested.
fn check_fields(target: &dyn Target, pair: &Pair) -> Result<(), Error> {
    if pair.is_copy() {
        return Ok(());
    }
    target.verify(&pair.pending.document)?;
    dependent::verify(&pair.current.document, &pair.pending.document)
}

/// Checks the outcome of a change by a login that was proven a moment ago. If it is refused now, another driver was
/// faster.
fn proven_change(applied: Applied) -> Result<(), Error> {
    match applied {
        Applied::Done => Ok(()),
        Applied::LoginRefused => Err(Error::new(
            ErrorKind::Conflict,
            "something else has just changed the password; run the step again",
        )),
    }
}

/// Tests the new value of strategies that change one user's password. If a lock was taken, the login that took it has
/// proven the new credential.
async fn test_own_login(
    cx: &Context<'_>,
    target: &dyn Target,
    pair: &Pair,
    guard: Option<&Guard>,
) -> Result<(), Error> {
    check_identity(pair, Wanted::SameUser)?;
    match guard {
        Some(_) => check_fields(target, pair),
        None => test_login(cx, target, pair).await,
    }
}

/// Tries the new credential until it is accepted, or no attempts are left.
async fn test_login(cx: &Context<'_>, target: &dyn Target, pair: &Pair) -> Result<(), Error> {
    check_fields(target, pair)?;
    let mut attempt = 0;
    loop {
        if target.probe(&pair.pending.document).await? == Probe::Accepted {
            return Ok(());
        }
        if !cx.wait(&mut attempt).await {
            return Err(Error::new(ErrorKind::Refused, "the resource refuses the new credential"));
        }
    }
}

/// Proves a credential that has just logged in to an administrator who is about to act for its user: if its own login
/// used weaker TLS than the administrator's, it must log in with the administrator's too.
pub(crate) async fn prove_to(
    admin: &Document,
    target: &dyn Target,
    credential: &Document,
) -> Result<(), Error> {
    let Some(proof) = with_tls_of(admin, credential)? else { return Ok(()) };
    match target.probe(&proof).await {
        Ok(Probe::Accepted) => Ok(()),
        Ok(Probe::Refused) => Err(Error::new(
            ErrorKind::Misconfigured,
            format!(
                "the resource refuses {:?} with TLS, which the administrator uses, and a login without TLS (\"ssl\": false) \
                 does not prove that the secret is this user's: let the user log in with TLS, or, if the network can be \
                 trusted, set \"ssl\": false in the master secret too",
                *credential.username()?
            ),
        )),
        Err(error) => {
            Err(error.and("the administrator uses TLS, so the user's login must work with TLS too"))
        }
    }
}

/// Returns the credential that makes a change for a user whose login has been proven: the administrator's, to whom the
/// login is then proven too, or without an administrator the user's own.
async fn who_changes(
    cx: &Context<'_>,
    target: &dyn Target,
    current: &Document,
    proven: Document,
) -> Result<Document, Error> {
    let Some(admin) = cx.admin(current).await? else { return Ok(proven) };
    prove_to(&admin, target, &proven).await?;
    Ok(admin)
}

/// Finds a credential with which the user can log in. Returns it, whether it is the new one, and the lock.
///
/// The current credential is tried first: then no login fails on the happy path, and failed logins can lock accounts.
/// If the target has locks, the login that takes one is the proof. After the labelled versions, those that lost their
/// label are tried, newest first: a rotation that was abandoned or cancelled halfway may have left the resource with
/// one of them.
async fn find_login(
    cx: &Context<'_>,
    target: &dyn Target,
    pair: &Pair,
) -> Result<(Document, bool, Option<Guard>), Error> {
    let current = &pair.current.document;
    match cx.lock(target, current).await {
        Ok(Some(guard)) => return Ok((current.clone(), false, Some(guard))),
        Ok(None) if target.probe(current).await? == Probe::Accepted => {
            return Ok((current.clone(), false, None));
        }
        Err(error) if error.kind() != ErrorKind::Refused => return Err(error),
        _ => {}
    }
    if target.probe(&pair.pending.document).await? == Probe::Accepted {
        return Ok((pair.pending.document.clone(), true, None));
    }
    let login = find_older_login(cx, target, pair).await?;
    let guard = cx.lock(target, &login).await?;
    Ok((login, false, guard))
}

async fn find_older_login(cx: &Context<'_>, target: &dyn Target, pair: &Pair) -> Result<Document, Error> {
    let (current, pending) = (&pair.current.document, &pair.pending.document);
    let tried = vec![current.password()?, pending.password()?];
    Versions::of(cx).find_login(target, current, tried).await?.ok_or_else(|| {
        Error::new(
            ErrorKind::Refused,
            "the resource refuses the current, the new and the previous password, and those of the latest unlabelled versions",
        )
    })
}

/// A search through a secret's versions for one that logs in.
pub(crate) struct Versions<'a> {
    pub(crate) store: &'a dyn SecretStore,
    pub(crate) secret_id: &'a str,
    pub(crate) state: &'a SecretState,
    /// How many versions to try in addition to `AWSPREVIOUS`.
    pub(crate) attempts: usize,
}

impl<'a> Versions<'a> {
    fn of(cx: &'a Context<'_>) -> Self {
        let attempts = cx.settings().recovery_attempts;
        Self { store: cx.store, secret_id: cx.secret_id(), state: cx.state(), attempts }
    }

    /// Finds a credential that logs in as the user that `user` names: that of `AWSPREVIOUS`, or of one of the latest
    /// versions. Passwords in `tried` are not tried again, because every failed login brings the account closer to
    /// being locked. The login uses TLS if that of `user` does, whatever the version says.
    pub(crate) async fn find_login(
        &self,
        target: &dyn Target,
        user: &Document,
        mut tried: Vec<Zeroizing<String>>,
    ) -> Result<Option<Document>, Error> {
        if let Some(previous) = self.state.labelled(AWSPREVIOUS)
            && let Some(login) = self.try_version(target, user, &previous.id, &mut tried).await?
        {
            return Ok(Some(login));
        }
        let most = tried.len() + self.attempts;
        for version in self.store.list_versions(self.secret_id).await? {
            if tried.len() >= most {
                break;
            }
            if let Some(login) = self.try_version(target, user, &version.id, &mut tried).await? {
                return Ok(Some(login));
            }
        }
        Ok(None)
    }

    /// Whether a user belongs to the secret: it is absent, was made for the secret, or is one that a version logs in
    /// as, with TLS no weaker than the administrator's.
    pub(crate) async fn know(
        &self,
        target: &dyn Target,
        admin: &Document,
        user: &Document,
        status: UserStatus,
    ) -> Result<bool, Error> {
        if status != UserStatus::Foreign {
            return Ok(true);
        }
        let raised = with_tls_of(admin, user)?;
        let found = self.find_login(target, raised.as_ref().unwrap_or(user), Vec::new()).await?;
        Ok(found.is_some())
    }

    async fn try_version(
        &self,
        target: &dyn Target,
        user: &Document,
        id: &str,
        tried: &mut Vec<Zeroizing<String>>,
    ) -> Result<Option<Document>, Error> {
        let document = match self.store.get(self.secret_id, Selector::version_id(id)).await {
            Ok(Some(version)) => version.document,
            // A value that is not a credential is not the user's.
            Err(error) if error.kind() != ErrorKind::Misconfigured => return Err(error),
            _ => return Ok(None),
        };
        // Never try a password of another user or another server, let alone change it.
        if !document.is_same_resource(user) || document.field("username") != user.field("username") {
            return Ok(None);
        }
        let Some(password) = document.field("password").filter(|password| !tried.contains(password)) else {
            return Ok(None);
        };
        tried.push(password);
        let document = with_tls_of(user, &document)?.unwrap_or(document);
        let probe = target.probe(&document).await?;
        Ok((probe == Probe::Accepted).then_some(document))
    }
}

/// Refuses a stored value that is for the wrong resource or user. Such a value can never be fixed, so it counts as
/// rejected.
fn check_identity(pair: &Pair, wanted_user: Wanted) -> Result<(), Error> {
    let (current, pending) = (&pair.current.document, &pair.pending.document);
    let wrong = |what: &str| Err(Error::new(ErrorKind::Rejected, format!("the new version {what}")));
    if !pending.is_same_resource(current) {
        return wrong("is for another resource than the current one");
    }
    match (wanted_user, *pending.username()? == *current.username()?) {
        (Wanted::SameUser, false) => wrong("is for another user than the current one"),
        (Wanted::OtherUser, true) => wrong("is for the user that is in use"),
        _ => Ok(()),
    }
}

#[derive(Clone, Copy)]
enum Wanted {
    SameUser,
    OtherUser,
}
