//! Keys that a provider makes. The current key keeps working beside the new one until the next rotation revokes it.
//!
//! A key that was made but not stored is lost, because its value is shown only once. Such orphans are found by their
//! tag, which is the version id, and revoked; but never because of a single read, which may be stale.
//!
//! The id in `AWSPREVIOUS` alone revokes nothing: anyone who can write the secret can name somebody else's key there. A
//! key is revoked if the provider lists it as ours, or if the whole credential in `AWSPREVIOUS` still works.

use secretcache::AWSPENDING;

use super::{Restored, Strategy};
use crate::context::{Context, Pair};
use crate::document::Document;
use crate::error::{Error, ErrorKind};
use crate::store::{BoxFuture, Version};
use crate::target::{Guard, Key, Probe, Provider};

/// Overlapping keys of a provider.
#[derive(Clone, Copy, Debug)]
pub struct ApiKey<'a> {
    /// The provider that makes the keys.
    pub provider: &'a dyn Provider,
}

impl ApiKey<'_> {
    /// Revokes the keys that no version in use can contain: the previous one, and those that earlier rotations left
    /// behind.
    async fn clean_up(&self, cx: &Context<'_>, current: &Version) -> Result<(), Error> {
        let former = cx.previous().await?.map(|previous| previous.document);
        self.revoke(cx, current, former.as_ref(), |key| {
            // The key of a version being rotated in may not be known yet. That of the current version is.
            let is_pending = |tag: &str| {
                tag == cx.token() || cx.state().version(tag).is_some_and(|version| version.has(AWSPENDING))
            };
            !key.tag.as_deref().is_some_and(is_pending)
        })
        .await
    }

    /// Revokes keys, but never the current one.
    async fn revoke(
        &self,
        cx: &Context<'_>,
        current: &Version,
        former: Option<&Document>,
        is_unused: impl Fn(&Key) -> bool,
    ) -> Result<(), Error> {
        let in_use = self.provider.key_id(&current.document)?;
        let keys = self.provider.list(&current.document).await?;
        // The previous key is not listed if no rotation created it. Without an id, there is none.
        let is_unlisted = |id: String| id != in_use && !keys.iter().any(|key| key.id == id);
        let former = former.filter(|former| self.provider.key_id(former).is_ok_and(is_unlisted));
        let unused: Vec<_> = keys.iter().filter(|key| is_unused(key) && key.id != in_use).collect();
        if !unused.is_empty() || former.is_some() {
            // The keys were listed before the labels are checked here, so none belongs to a rotation that starts later.
            cx.confirm().await?;
        }
        for key in unused {
            self.provider.revoke(&current.document, &key.id).await?;
        }
        let Some(former) = former else { return Ok(()) };
        match self.provider.revoke_former(&current.document, former).await {
            // Not a credential, whatever it is. It must not be in the way of a rotation.
            Err(error) if error.kind() == ErrorKind::Misconfigured => Ok(()),
            revoked => revoked.map(drop),
        }
    }
}

/// The field that makes a version void. A void version has a copy of the value that was current, and must never become
/// current itself.
const VOID: &str = "secretcache:void";

pub(crate) fn is_void(document: &Document) -> bool {
    document.field(VOID).is_some()
}

fn check_not_void(pair: &Pair) -> Result<(), Error> {
    match is_void(&pair.pending.document) {
        false => Ok(()),
        true => Err(Error::new(
            ErrorKind::Rejected,
            "the provider allows no further key: either an interrupted rotation left one, which the next rotation revokes; or someone else created one, or the key in AWSPREVIOUS is disabled, and then you have to delete it yourself",
        )),
    }
}

impl Strategy for ApiKey<'_> {
    fn name(&self) -> &'static str {
        "api-key"
    }

    fn create<'a>(
        &'a self,
        cx: &'a Context<'a>,
        current: &'a Version,
    ) -> BoxFuture<'a, Result<Document, Error>> {
        Box::pin(async move {
            if self.provider.probe(&current.document).await? == Probe::Refused {
                return Err(Error::new(
                    ErrorKind::Refused,
                    "the provider refuses the current key, so no other key is revoked and none is created",
                ));
            }
            self.clean_up(cx, current).await?;
            match self.provider.create(&current.document, cx.token()).await {
                // A key with our tag takes up the last slot. Either a run that was killed left it, or another driver
                // made it and is about to store it. No read shows which, and revoking it could end the key in use.
                // So make the version void: from then on, no driver can store that key.
                Err(error) if error.kind() == ErrorKind::LimitReached => {
                    current.document.with(VOID, cx.token())
                }
                made => made,
            }
        })
    }

    /// The version's value is now final, so every other key with its tag is an orphan.
    fn stored<'a>(
        &'a self,
        cx: &'a Context<'a>,
        current: &'a Version,
        document: &'a Document,
    ) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async move {
            let ours = self.provider.key_id(document)?;
            if is_void(document) {
                return Ok(());
            }
            self.revoke(cx, current, None, |key| key.tag.as_deref() == Some(cx.token()) && key.id != ours)
                .await
        })
    }

    /// The key that was not stored is certainly in no version.
    fn discarded<'a>(
        &'a self,
        _: &'a Context<'a>,
        current: &'a Version,
        document: &'a Document,
    ) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async move {
            let key = self.provider.key_id(document)?;
            if is_void(document) {
                return Ok(());
            }
            self.provider.revoke(&current.document, &key).await
        })
    }

    /// Nothing to set: the key works as soon as it is made, if one was made.
    fn set<'a>(&'a self, _: &'a Context<'a>, pair: &'a Pair) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async { check_not_void(pair) })
    }

    fn test<'a>(
        &'a self,
        cx: &'a Context<'a>,
        pair: &'a Pair,
        _: Option<&'a Guard>,
    ) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async move {
            check_not_void(pair)?;
            if !pair.is_copy() {
                self.provider.verify(&pair.pending.document)?;
            }
            let mut attempt = 0;
            while self.provider.probe(&pair.pending.document).await? == Probe::Refused {
                if !cx.wait(&mut attempt).await {
                    return Err(Error::new(ErrorKind::Refused, "the provider refuses the new key"));
                }
            }
            Ok(())
        })
    }

    /// A dead key stays dead, so a new version is needed. It is not revoked here: if the refusal was transient and
    /// another driver makes the version current, that would end the key in use. The next rotation's cleanup finds it.
    fn restore<'a>(&'a self, _: &'a Context<'a>, pair: &'a Pair) -> BoxFuture<'a, Result<Restored, Error>> {
        Box::pin(async move {
            Ok(Restored {
                gives_up: self.provider.probe(&pair.current.document).await? == Probe::Accepted,
                ..Restored::default()
            })
        })
    }
}
