//! How the resource's credential changes: the four answers to the same question.

use std::fmt::Debug;

use secretcache::{AWSPREVIOUS, Selector};
use zeroize::Zeroizing;

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

/// A strategy: what the steps do to the resource. The engine does everything about versions and labels.
///
/// Every method may be called again after any failure, and must then complete what was begun.
pub trait Strategy: Debug + Send + Sync {
    /// The strategy's name in settings, messages and events.
    fn name(&self) -> &'static str;

    /// A new value, made from the current one. Called only while the version has no value, which a stale read may
    /// pretend.
    fn create<'a>(
        &'a self,
        cx: &'a Context<'a>,
        current: &'a Version,
    ) -> BoxFuture<'a, Result<Document, Error>>;

    /// The value was stored.
    fn stored<'a>(
        &'a self,
        cx: &'a Context<'a>,
        current: &'a Version,
        document: &'a Document,
    ) -> BoxFuture<'a, Result<(), Error>> {
        let _ = (cx, current, document);
        Box::pin(async { Ok(()) })
    }

    /// The value was not stored, because the version had another one already.
    fn discarded<'a>(
        &'a self,
        cx: &'a Context<'a>,
        current: &'a Version,
        document: &'a Document,
    ) -> BoxFuture<'a, Result<(), Error>> {
        let _ = (cx, current, document);
        Box::pin(async { Ok(()) })
    }

    /// Gives the new value to the resource. [`ErrorKind::Rejected`] says that it never will take it.
    fn set<'a>(&'a self, cx: &'a Context<'a>, pair: &'a Pair) -> BoxFuture<'a, Result<(), Error>>;

    /// Proves that the new value works, without side effects. [`ErrorKind::Refused`] is taken for final. `guard` is what
    /// [`Strategy::guard`] has just given, where the label is about to move: what it has proven need not be proven again.
    fn test<'a>(
        &'a self,
        cx: &'a Context<'a>,
        pair: &'a Pair,
        guard: Option<&'a Guard>,
    ) -> BoxFuture<'a, Result<(), Error>>;

    /// After a test that failed for good, or a rotation that was overtaken: makes the current value work again, where the
    /// strategy broke it.
    fn restore<'a>(&'a self, cx: &'a Context<'a>, pair: &'a Pair) -> BoxFuture<'a, Result<Restored, Error>> {
        let _ = (cx, pair);
        Box::pin(async { Ok(Restored::default()) })
    }

    /// Keeps other drivers away from the resource while the label moves.
    fn guard<'a>(
        &'a self,
        cx: &'a Context<'a>,
        pair: &'a Pair,
    ) -> BoxFuture<'a, Result<Option<Guard>, Error>> {
        let _ = (cx, pair);
        Box::pin(async { Ok(None) })
    }
}

/// What [`Strategy::restore`] came to.
#[derive(Debug, Default)]
pub struct Restored {
    /// Whether the new value is to be given up for a newer one.
    pub gives_up: bool,
    /// Whether the resource took neither value, so that nothing could be made to work.
    pub is_lost: bool,
    /// Whether the resource refuses the current value and accepts the new one, which must then keep its label.
    pub only_new_works: bool,
    /// Keeps other drivers away until the labels tell them.
    pub guard: Option<Guard>,
}

/// Before a new value is stored: what the dry run would find in the way ends the rotation here, with nothing changed and
/// no `AWSPENDING` left. `login` must have been proven, or be the user's own.
async fn check_obstacles(target: &dyn Target, requirements: Requirements<'_>) -> Result<(), Error> {
    let findings = match target.diagnose(requirements).await {
        Ok(diagnosis) => diagnosis.findings,
        // An older password may be the one that works, and the next step looks for it.
        Err(error) if matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Refused) => return Ok(()),
        Err(error) => return Err(error),
    };
    if findings.is_empty() {
        return Ok(());
    }
    let told: Vec<_> = findings
        .iter()
        .map(|finding| match &finding.mend {
            Some(mend) => format!("{} (fix: {mend})", finding.problem),
            None => finding.problem.clone(),
        })
        .collect();
    Err(Error::new(ErrorKind::Denied, told.join("; ")))
}

/// The same where one user's password changes: by an administrator, if one is named and the user's own credential works.
async fn check_own_obstacles(
    cx: &Context<'_>,
    target: &dyn Target,
    current: &Document,
    keeps_former: bool,
) -> Result<(), Error> {
    let admin = cx.admin(current).await?;
    if admin.is_some() && target.probe(current).await? == Probe::Refused {
        return Ok(());
    }
    let login = admin.as_ref().unwrap_or(current);
    check_obstacles(target, Requirements { keeps_former, ..Requirements::new(login, current) }).await
}

/// A new value as it is stored: with the fields made anew that are made of others. Before it is, for a stored value can
/// never be mended.
pub(crate) fn complete(target: &dyn Target, current: &Document, next: Document) -> Result<Document, Error> {
    let next = dependent::follow(current, target.derive(next)?)?;
    target.accepts(&next)?;
    Ok(next)
}

/// Refuses a new value with a field that is not what the credential makes it: programs may log in by that one. Before
/// the resource is changed, and once more when the new value is tested.
fn check_fields(target: &dyn Target, pair: &Pair) -> Result<(), Error> {
    if pair.is_copy() {
        return Ok(());
    }
    target.verify(&pair.pending.document)?;
    dependent::verify(&pair.current.document, &pair.pending.document)
}

/// What became of a change by a login that was proven a moment before: if it is refused now, another driver was faster.
fn proven_change(applied: Applied) -> Result<(), Error> {
    match applied {
        Applied::Done => Ok(()),
        Applied::LoginRefused => Err(Error::new(
            ErrorKind::Conflict,
            "somebody else has just changed the password; run the step again",
        )),
    }
}

/// Where one user's password changes: the login that took the lock, if there is one, has proven the new credential.
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

/// Tries the new credential until it is accepted or has been refused often enough.
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

/// A credential with which the user can log in, whether it is the new one, and the lock that keeps other drivers away.
///
/// The current one comes first: on the happy path no login fails, and failed logins lock accounts. Where the target has
/// locks, the login that takes one is the proof. Beyond the labelled versions, those that lost their label are tried,
/// newest first: a rotation that was abandoned or cancelled half-way leaves the resource with one of them.
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

/// The versions of a secret, as a search for a login sees them.
pub(crate) struct Versions<'a> {
    pub(crate) store: &'a dyn SecretStore,
    pub(crate) secret_id: &'a str,
    pub(crate) state: &'a SecretState,
    /// How many versions beside `AWSPREVIOUS` are tried.
    pub(crate) attempts: usize,
}

impl<'a> Versions<'a> {
    fn of(cx: &'a Context<'_>) -> Self {
        let attempts = cx.settings().recovery_attempts;
        Self { store: cx.store, secret_id: cx.secret_id(), state: cx.state(), attempts }
    }

    /// A credential that logs in as the user whom `user` names: that of `AWSPREVIOUS`, or of one of the latest versions.
    /// Passwords that were tried are not tried again: every try that fails brings the account nearer to being locked.
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

    /// Whether an existing user is the secret's: made for it, or one as whom a version of it logs in.
    pub(crate) async fn know(
        &self,
        target: &dyn Target,
        user: &Document,
        status: UserStatus,
    ) -> Result<bool, Error> {
        Ok(status != UserStatus::Foreign || self.find_login(target, user, Vec::new()).await?.is_some())
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
            // A value that is no credential is none of the user's.
            Err(error) if error.kind() != ErrorKind::Misconfigured => return Err(error),
            _ => return Ok(None),
        };
        // Another user's password, or another server's, must not be tried, let alone changed.
        if !document.is_same_resource(user) || document.field("username") != user.field("username") {
            return Ok(None);
        }
        let Some(password) = document.field("password").filter(|password| !tried.contains(password)) else {
            return Ok(None);
        };
        tried.push(password);
        let probe = target.probe(&document).await?;
        Ok((probe == Probe::Accepted).then_some(document))
    }
}

/// Refuses a stored value that is not for the resource and user it should be for. Such a value can't be mended, so it
/// counts as rejected.
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
