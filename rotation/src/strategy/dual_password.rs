//! One user with two passwords. The new one is added beside the current one, so logins never fail in between.

use super::{
    Strategy, Wanted, check_fields, check_identity, check_own_obstacles, complete, find_login, proven_change,
    test_own_login, who_changes,
};
use crate::context::{Context, Pair};
use crate::document::Document;
use crate::error::{Error, ErrorKind};
use crate::store::{BoxFuture, Version};
use crate::target::{Change, Guard, Target};

/// One user with two passwords. The older one stops working when the next rotation sets a new one.
#[derive(Clone, Copy, Debug)]
pub struct DualPassword<'a> {
    /// The resource.
    pub target: &'a dyn Target,
}

impl Strategy for DualPassword<'_> {
    fn name(&self) -> &'static str {
        "dual-password"
    }

    fn create<'a>(
        &'a self,
        cx: &'a Context<'a>,
        current: &'a Version,
    ) -> BoxFuture<'a, Result<Document, Error>> {
        Box::pin(async move {
            if !self.target.has_dual_passwords() {
                return Err(Error::new(
                    ErrorKind::Unsupported,
                    "this resource supports one password per user; choose single-user or alternating-users",
                ));
            }
            let document = complete(
                self.target,
                &current.document,
                current.document.with("password", &cx.random_password().await?)?,
            )?;
            check_own_obstacles(cx, self.target, &current.document, true).await?;
            Ok(document)
        })
    }

    fn set<'a>(&'a self, cx: &'a Context<'a>, pair: &'a Pair) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async move {
            check_identity(pair, Wanted::SameUser)?;
            check_fields(self.target, pair)?;
            let (current, pending) = (&pair.current.document, &pair.pending.document);
            // Log in with any working password of the user: the change makes the current one valid too, even if it had
            // stopped working. So do not skip it if the new one already works.
            let (login, is_new, guard) = find_login(cx, self.target, pair).await?;
            let _guard = if is_new { cx.lock(self.target, &login).await? } else { guard };
            let login = who_changes(cx, self.target, current, login).await?;
            let change = Change { login: &login, credential: pending, keep: Some(current) };
            proven_change(self.target.apply(change).await?)
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

    fn guard<'a>(
        &'a self,
        cx: &'a Context<'a>,
        pair: &'a Pair,
    ) -> BoxFuture<'a, Result<Option<Guard>, Error>> {
        Box::pin(cx.lock(self.target, &pair.pending.document))
    }
}
