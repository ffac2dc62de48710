//! The ports through which strategies reach the resource whose credential rotates.
//!
//! A target knows how to log in and how to change a password; it knows nothing of versions and labels. A credential
//! reaches it as the secret's [`Document`], from which it reads what it needs: host, port, user name, password.

use std::any::Any;
use std::fmt::{self, Debug};

use crate::diagnosis::{Diagnosis, Requirements};
use crate::document::Document;
use crate::error::{Error, ErrorKind};
use crate::store::BoxFuture;

/// A resource whose users have passwords: a database, a cache.
///
/// Each call is atomic: it happens wholly or not at all, save for [`Accounts::reconcile`]. An answer that was lost is
/// [`ErrorKind::Unavailable`]. Passwords never travel in the clear inside a statement, and never appear in errors.
///
/// [`ErrorKind::Unavailable`]: crate::ErrorKind::Unavailable
pub trait Target: Debug + Send + Sync {
    /// Whether a user may have two passwords at a time, so that [`Change::keep`] is honoured.
    fn has_dual_passwords(&self) -> bool {
        false
    }

    /// Whether this credential could be applied, as far as can be told without asking the resource: lengths,
    /// characters, fields. Called before a new value is stored, for a stored one can never be mended.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Rejected`](crate::ErrorKind::Rejected) or
    /// [`ErrorKind::Misconfigured`](crate::ErrorKind::Misconfigured), without quoting the value.
    fn accepts(&self, credential: &Document) -> Result<(), Error>;

    /// A new value with the fields that are made of others, such as a connection URL.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Misconfigured`](crate::ErrorKind::Misconfigured) if a field to make one of is missing.
    fn derive(&self, credential: Document) -> Result<Document, Error> {
        Ok(credential)
    }

    /// Whether the fields of a new value that are made of others match them.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Rejected`](crate::ErrorKind::Rejected), naming the field.
    fn verify(&self, credential: &Document) -> Result<(), Error> {
        let _ = credential;
        Ok(())
    }

    /// Logs in and out.
    fn probe<'a>(&'a self, credential: &'a Document) -> BoxFuture<'a, Result<Probe, Error>>;

    /// Changes the password of one user. A user that changes its own must log in anew, where writes go, and may not rely
    /// on a login made before: that the login still works is what makes a change by somebody else noticed. An
    /// administrator's session tells nothing of that, and may be an older one.
    fn apply<'a>(&'a self, change: Change<'a>) -> BoxFuture<'a, Result<Applied, Error>>;

    /// The same under the lock that the user's own login has just taken. The lock ends with the change, which the session
    /// that holds it may make, if the user changes its own password: nobody else's change has come in between.
    fn apply_and_unlock<'a>(
        &'a self,
        change: Change<'a>,
        guard: Option<Guard>,
    ) -> BoxFuture<'a, Result<Applied, Error>> {
        Box::pin(async move {
            let applied = self.apply(change).await;
            drop(guard);
            applied
        })
    }

    /// Keeps other drivers of the same rotation away until the guard is dropped or the process ends. That the lock is
    /// held proves the login: where it had to be waited for, the credential proves itself once more, for whoever held it
    /// may have changed the password. A target without such a thing gives [`Lock::Unsupported`].
    fn lock<'a>(&'a self, login: &'a Document, name: &'a str) -> BoxFuture<'a, Result<Lock, Error>> {
        let _ = (login, name);
        Box::pin(async { Ok(Lock::Unsupported) })
    }

    /// What stands in the way of a rotation, as far as the resource can tell. Changes nothing, and logs in once, with a
    /// credential that must work.
    fn diagnose<'a>(&'a self, requirements: Requirements<'a>) -> BoxFuture<'a, Result<Diagnosis, Error>> {
        let _ = requirements;
        Box::pin(async { Ok(Diagnosis::default()) })
    }

    /// The accounts that share the user's name, if there are several: each has a password of its own, of which a secret
    /// holds one. `None` if `login` may not see that.
    fn namesakes<'a>(
        &'a self,
        login: &'a Document,
        user: &'a Document,
    ) -> BoxFuture<'a, Result<Option<Vec<String>>, Error>> {
        let _ = (login, user);
        Box::pin(async { Ok(Some(Vec::new())) })
    }

    /// The management of users and their privileges, for alternating users.
    fn accounts(&self) -> Option<&dyn Accounts> {
        None
    }
}

/// A resource on which users can be made and given privileges.
///
/// `admin` is the credential to log in with, `reference` the user in use, `candidate` the one to be made its equal.
pub trait Accounts: Debug + Send + Sync {
    /// What the candidate is to us. `mark` is what [`Accounts::ensure`] left on users it made.
    fn user_status<'a>(
        &'a self,
        admin: &'a Document,
        candidate: &'a Document,
        mark: &'a str,
    ) -> BoxFuture<'a, Result<UserStatus, Error>>;

    /// Makes the candidate, unable to log in and marked, if it does not exist; else does nothing. Where users are let in
    /// from certain places only, it is let in from where the reference is.
    fn ensure<'a>(
        &'a self,
        admin: &'a Document,
        reference: &'a Document,
        candidate: &'a Document,
        mark: &'a str,
    ) -> BoxFuture<'a, Result<(), Error>>;

    /// Gives the candidate the privileges and attributes of the reference, and takes away what the reference has not.
    /// What belongs to the reference alone, where things belong to users, the candidate can use afterwards. May end
    /// half-way; doing it again completes it. The reference is marked as well, for its credential has proven to
    /// be this secret's.
    fn reconcile<'a>(
        &'a self,
        admin: &'a Document,
        reference: &'a Document,
        candidate: &'a Document,
        mark: &'a str,
    ) -> BoxFuture<'a, Result<(), Error>>;

    /// Leaves the mark of [`Accounts::ensure`] on a user that exists.
    fn mark<'a>(
        &'a self,
        admin: &'a Document,
        candidate: &'a Document,
        mark: &'a str,
    ) -> BoxFuture<'a, Result<(), Error>> {
        let _ = (admin, candidate, mark);
        Box::pin(async {
            Err(Error::new(
                ErrorKind::Unsupported,
                "users of this resource cannot be marked; declare both users instead",
            ))
        })
    }

    /// What belongs to the candidate alone, so that the reference cannot use it, in the resource's own words. Where
    /// nothing belongs to users, there is nothing.
    fn unshared_objects<'a>(
        &'a self,
        admin: &'a Document,
        reference: &'a Document,
        candidate: &'a Document,
    ) -> BoxFuture<'a, Result<Vec<String>, Error>> {
        let _ = (admin, reference, candidate);
        Box::pin(async { Ok(Vec::new()) })
    }

    /// Makes what belongs to either user, now and later, belong to both.
    fn share_ownership<'a>(
        &'a self,
        admin: &'a Document,
        reference: &'a Document,
        candidate: &'a Document,
    ) -> BoxFuture<'a, Result<(), Error>> {
        let _ = (admin, reference, candidate);
        Box::pin(async { Ok(()) })
    }

    /// What asks for the name of whoever logged in, and so may not treat the two alike though both may do the same: a
    /// warning each, for the dry run. Where nothing can ask, there is none.
    fn depends_on_name<'a>(
        &'a self,
        admin: &'a Document,
        reference: &'a Document,
        candidate: &'a Document,
    ) -> BoxFuture<'a, Result<Vec<String>, Error>> {
        let _ = (admin, reference, candidate);
        Box::pin(async { Ok(Vec::new()) })
    }

    /// What the reference may do and the candidate may not, in the resource's own words.
    fn missing<'a>(
        &'a self,
        admin: &'a Document,
        reference: &'a Document,
        candidate: &'a Document,
    ) -> BoxFuture<'a, Result<Vec<String>, Error>>;
}

/// Whether a login succeeded.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Probe {
    /// The resource accepts the credential.
    Accepted,
    /// The resource answered, and does not accept it.
    Refused,
}

/// A change of password.
#[derive(Clone, Copy, Debug)]
pub struct Change<'a> {
    /// The credential to log in with.
    pub login: &'a Document,
    /// The user and the password it gets.
    pub credential: &'a Document,
    /// A credential of the same user whose password is to be valid beside the new one. Afterwards these two are, and no
    /// other; doing it again changes nothing.
    pub keep: Option<&'a Document>,
}

/// What became of a change of password.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Applied {
    /// The user has the password.
    Done,
    /// The login was not accepted; nothing changed.
    LoginRefused,
}

/// Who a user is to us.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum UserStatus {
    /// There is no such user.
    Absent,
    /// We made it for this secret.
    Ours,
    /// It exists and does not bear our mark.
    Foreign,
}

/// The answer to [`Target::lock`].
#[derive(Debug)]
#[non_exhaustive]
pub enum Lock {
    /// The lock is held until the guard is dropped.
    Held(Guard),
    /// The login was not accepted.
    LoginRefused,
    /// Another driver holds it.
    Busy,
    /// The target has no locks.
    Unsupported,
}

/// Holds a lock until it is dropped.
pub struct Guard(
    #[cfg_attr(not(feature = "postgres"), expect(dead_code, reason = "held for its Drop alone"))]
    Box<dyn Any + Send + Sync>,
);

impl Guard {
    /// A guard that ends with `session`, which gives the lock up when dropped.
    pub fn new(session: impl Any + Send + Sync) -> Self {
        Self(Box::new(session))
    }

    /// The session, for the target that made the guard.
    #[cfg(feature = "postgres")]
    pub(crate) fn session<S: Any>(&self) -> Option<&S> {
        self.0.downcast_ref()
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Guard")
    }
}

/// Something that issues keys: a cloud's access keys, any SaaS.
///
/// Unlike passwords, keys overlap, and their values are made by the other side and shown once.
pub trait Provider: Debug + Send + Sync {
    /// Makes a key named or tagged `tag` and gives back the document with the new key's fields, the key's id among
    /// them, in place of the old ones.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::LimitReached`](crate::ErrorKind::LimitReached) if there are too many keys already.
    fn create<'a>(&'a self, current: &'a Document, tag: &'a str) -> BoxFuture<'a, Result<Document, Error>>;

    /// The keys there are of those this secret's rotations may have made, logging in with `login`.
    fn list<'a>(&'a self, login: &'a Document) -> BoxFuture<'a, Result<Vec<Key>, Error>>;

    /// Uses the key once, for something harmless.
    fn probe<'a>(&'a self, credential: &'a Document) -> BoxFuture<'a, Result<Probe, Error>>;

    /// Ends a key. One that does not exist is none to complain about.
    fn revoke<'a>(&'a self, login: &'a Document, key_id: &'a str) -> BoxFuture<'a, Result<(), Error>>;

    /// Whether a new value is whole, beyond the key itself: fields that are made of others match them.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Rejected`](crate::ErrorKind::Rejected), naming the field.
    fn verify(&self, credential: &Document) -> Result<(), Error> {
        let _ = credential;
        Ok(())
    }

    /// The id of the key in a document.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Misconfigured`](crate::ErrorKind::Misconfigured) if it has none.
    fn key_id(&self, credential: &Document) -> Result<String, Error>;
}

/// A key as its provider lists it.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Key {
    /// The provider's id of the key.
    pub id: String,
    /// What it was named or tagged with when made; absent where the provider cannot tell.
    pub tag: Option<String>,
}
