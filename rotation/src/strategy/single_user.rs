//! One user, whose password changes in place.
//!
//! Between the change at the resource and the move of the label, `AWSCURRENT` has a password that no longer works. With
//! one password per user, that is unavoidable. This strategy keeps the gap short, rolls forward from wherever a
//! rotation was killed, and puts the current password back if the new one proves unusable.

use super::{
    Restored, Strategy, Wanted, check_fields, check_identity, check_own_obstacles, complete, find_login,
    find_older_login, proven_change, test_own_login, who_changes,
};
use crate::context::{Context, Pair};
use crate::document::Document;
use crate::error::{Error, ErrorKind};
use crate::store::{BoxFuture, Version};
use crate::target::{Applied, Change, Guard, Probe, Target};

/// One user, whose password changes in place, by the user itself or by an administrator.
#[derive(Clone, Copy, Debug)]
pub struct SingleUser<'a> {
    /// The resource.
    pub target: &'a dyn Target,
}

impl Strategy for SingleUser<'_> {
    fn name(&self) -> &'static str {
        "single-user"
    }

    fn create<'a>(
        &'a self,
        cx: &'a Context<'a>,
        current: &'a Version,
    ) -> BoxFuture<'a, Result<Document, Error>> {
        Box::pin(async move {
            let document = complete(
                self.target,
                &current.document,
                current.document.with("password", &cx.random_password().await?)?,
            )?;
            check_own_obstacles(cx, self.target, &current.document, false).await?;
            Ok(document)
        })
    }

    fn set<'a>(&'a self, cx: &'a Context<'a>, pair: &'a Pair) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async move {
            check_identity(pair, Wanted::SameUser)?;
            check_fields(self.target, pair)?;
            let (login, is_new, guard) = find_login(cx, self.target, pair).await?;
            if is_new {
                return Ok(());
            }
            // Even if an administrator makes the change, a login must have been proven: otherwise anyone who can write
            // the secret could point the administrator at any user.
            let login = who_changes(cx, self.target, &pair.current.document, login).await?;
            let change = Change { login: &login, credential: &pair.pending.document, keep: None };
            proven_change(self.target.apply_and_unlock(change, guard).await?)
        })
    }

    fn test<'a>(
        &'a self,
        cx: &'a Context<'a>,
        pair: &'a Pair,
        guard: Option<&'a Guard>,
    ) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(test_own_login(cx, self.target, pair, guard))
    }

    /// Puts the current password back. A login proves nothing here, because it may reach a replica that lags. The
    /// change itself does, because it goes to the server that takes writes.
    fn restore<'a>(&'a self, cx: &'a Context<'a>, pair: &'a Pair) -> BoxFuture<'a, Result<Restored, Error>> {
        Box::pin(async move {
            if check_identity(pair, Wanted::SameUser).is_err() {
                // The new version is for another user or resource, so the current version's user was not changed.
                let is_lost = self.target.probe(&pair.current.document).await? == Probe::Refused;
                return Ok(Restored { gives_up: true, is_lost, ..Restored::default() });
            }
            // Log in with the new password if it works. Otherwise use the current one: it never stopped working, and
            // the new version is as good as before.
            let logins = [(&pair.pending.document, true), (&pair.current.document, false)];
            for (login, gives_up) in logins {
                let guard = match cx.lock(self.target, login).await {
                    Err(error) if error.kind() == ErrorKind::Refused => continue,
                    guard => guard?,
                };
                let change = Change { login, credential: &pair.current.document, keep: None };
                // The value is a copy of the current one, which has just logged in.
                let is_proven = pair.is_copy() && login.text() == pair.current.document.text();
                if is_proven || self.target.apply(change).await? == Applied::Done {
                    return Ok(Restored { gives_up, guard, ..Restored::default() });
                }
            }
            // An administrator acts only if some credential of the user works. Otherwise anyone who can write the
            // secret could name any user and have its password changed.
            let (current, lost) = (&pair.current.document, Restored { is_lost: true, ..Restored::default() });
            let older = match find_older_login(cx, self.target, pair).await {
                Err(error) if error.kind() == ErrorKind::Refused => return Ok(lost),
                older => older?,
            };
            let guard = cx.lock(self.target, &older).await?;
            let login = who_changes(cx, self.target, current, older).await?;
            let change = Change { login: &login, credential: current, keep: None };
            match self.target.apply(change).await? {
                Applied::Done => Ok(Restored { gives_up: true, guard, ..Restored::default() }),
                Applied::LoginRefused => Ok(lost),
            }
        })
    }

    fn guard<'a>(
        &'a self,
        cx: &'a Context<'a>,
        pair: &'a Pair,
    ) -> BoxFuture<'a, Result<Option<Guard>, Error>> {
        Box::pin(cx.lock(self.target, &pair.pending.document))
    }
}
