//! An administrator's session that is kept open between two calls.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use zeroize::Zeroizing;

use crate::document::Document;

/// An administrator's session while it is idle. Rotating two users takes a dozen calls as the administrator, and one
/// login takes longer than all of them.
///
/// A session whose last call failed is not put back, because its state is unknown.
pub(super) struct Kept<S>(Arc<Mutex<Option<Opened<S>>>>);

/// A session, with the text of the credential that opened it.
type Opened<S> = (Zeroizing<String>, S);

impl<S> Kept<S> {
    /// Takes the session out and returns it if this credential opened it; otherwise closes it.
    pub(super) fn take(&self, credential: &Document) -> Option<S> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        kept.filter(|(opened_with, _)| opened_with.as_str() == credential.text()).map(|(_, session)| session)
    }

    /// Keeps a session, replacing the one kept before.
    pub(super) fn put(&self, credential: &Document, session: S) {
        let opened_with = Zeroizing::new(credential.text().to_owned());
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((opened_with, session));
    }
}

impl<S> Clone for Kept<S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<S> Default for Kept<S> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<S> fmt::Debug for Kept<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Kept")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_for_the_credential_that_opened_it_and_for_one_user_at_a_time() {
        let credential = |password| Document::parse(&format!(r#"{{"password":"{password}"}}"#)).unwrap();
        let kept = Kept::default();
        kept.put(&credential("canary"), 1);
        assert_eq!(kept.clone().take(&credential("canary")), Some(1));
        assert_eq!(kept.take(&credential("canary")), None);
        kept.put(&credential("canary"), 2);
        assert_eq!(kept.take(&credential("another")), None);
        assert!(!format!("{kept:?}").contains("canary"));
    }
}
