//! The ports through which strategies reach the resource whose credential rotates.
//!
//! A target can log in and change passwords. It knows nothing about versions and labels. Credentials are passed as the
//! secret's [`Document`], from which the target reads host, port, user name and password.

use std::any::Any;
use std::fmt::{self, Debug};

use crate::diagnosis::{Diagnosis, Requirements};
use crate::document::Document;
use crate::error::{Error, ErrorKind};
use crate::store::BoxFuture;

/// A resource whose users have passwords, such as a database or a cache.
///
/// Each call is atomic, except [`Accounts::reconcile`]. A lost response is [`ErrorKind::Unavailable`]. Passwords are
/// never sent in the clear inside a statement, and never appear in errors.
///
/// [`ErrorKind::Unavailable`]: crate::ErrorKind::Unavailable
pub trait Target: Debug + Send + Sync {
    /// Whether a user can have two passwords, so that [`Change::keep`] has an effect.
    fn has_dual_passwords(&self) -> bool {
        false
    }

    /// Checks, without contacting the resource, whether a credential can be applied: its length, characters, fields.
    /// Called before a new value is stored, because a stored one can never be fixed.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Rejected`](crate::ErrorKind::Rejected) or
    /// [`ErrorKind::Misconfigured`](crate::ErrorKind::Misconfigured), without quoting the value.
    fn accepts(&self, credential: &Document) -> Result<(), Error>;

    /// Fills in the fields of a new value that depend on others, such as a connection URL.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Misconfigured`](crate::ErrorKind::Misconfigured) if a field that they depend on is missing.
    fn derive(&self, credential: Document) -> Result<Document, Error> {
        Ok(credential)
    }

    /// Checks that the fields of a new value that depend on others match them.
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

    /// Changes one user's password. A user that changes its own password must log in again, at the server that takes
    /// writes, and must not reuse an earlier session: the new login is what detects a concurrent change by someone
    /// else. An administrator's login detects no such thing, so its session can be reused.
    fn apply<'a>(&'a self, change: Change<'a>) -> BoxFuture<'a, Result<Applied, Error>>;

    /// Like [`Target::apply`], under the lock that the user's own login has just taken, and releases it afterwards. If
    /// the user changes its own password, the session that holds the lock can be used for it: no other change has come
    /// in between.
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

    /// Locks out other drivers of the same rotation until the guard is dropped or the process ends. Holding the lock
    /// proves the login. If the lock had to be waited for, the target logs in once more, because the previous holder
    /// may have changed the password. A target without locks returns [`Lock::Unsupported`].
    fn lock<'a>(&'a self, login: &'a Document, name: &'a str) -> BoxFuture<'a, Result<Lock, Error>> {
        let _ = (login, name);
        Box::pin(async { Ok(Lock::Unsupported) })
    }

    /// Reports obstacles to a rotation, as far as the resource shows them. Changes nothing, and logs in once, with a
    /// credential that must work.
    fn diagnose<'a>(&'a self, requirements: Requirements<'a>) -> BoxFuture<'a, Result<Diagnosis, Error>> {
        let _ = requirements;
        Box::pin(async { Ok(Diagnosis::default()) })
    }

    /// Returns the accounts that share the user's name, if there are several. Each has its own password, and a secret
    /// has only one of them. `None` if `login` lacks the permission to see them.
    fn namesakes<'a>(
        &'a self,
        login: &'a Document,
        user: &'a Document,
    ) -> BoxFuture<'a, Result<Option<Vec<String>>, Error>> {
        let _ = (login, user);
        Box::pin(async { Ok(Some(Vec::new())) })
    }

    /// Returns the management of users and privileges that alternating users need, if the target supports it.
    fn accounts(&self) -> Option<&dyn Accounts> {
        None
    }
}

/// A resource on which users can be created and granted privileges.
///
/// `admin` is the credential to log in with, `reference` the user in use, `candidate` the user to be made equal to it.
pub trait Accounts: Debug + Send + Sync {
    /// Returns whether the candidate exists, and whether it was created for this secret. `mark` is the mark that
    /// [`Accounts::ensure`] leaves on users it creates.
    fn user_status<'a>(
        &'a self,
        admin: &'a Document,
        candidate: &'a Document,
        mark: &'a str,
    ) -> BoxFuture<'a, Result<UserStatus, Error>>;

    /// Creates the candidate if it does not exist, with the mark and unable to log in. If the resource restricts the
    /// hosts that users connect from, the candidate can connect from the same ones as the reference.
    fn ensure<'a>(
        &'a self,
        admin: &'a Document,
        reference: &'a Document,
        candidate: &'a Document,
        mark: &'a str,
    ) -> BoxFuture<'a, Result<(), Error>>;

    /// Grants the candidate the privileges and attributes of the reference, and revokes those that the reference lacks.
    /// Afterwards the candidate can also use what only the reference owns, if the resource has ownership. Can fail
    /// halfway; calling it again completes it. Marks the reference too, because its credential has proven to belong to
    /// this secret.
    fn reconcile<'a>(
        &'a self,
        admin: &'a Document,
        reference: &'a Document,
        candidate: &'a Document,
        mark: &'a str,
    ) -> BoxFuture<'a, Result<(), Error>>;

    /// Marks an existing user, as [`Accounts::ensure`] does.
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

    /// Returns objects that only the candidate owns, so that the reference cannot use them, in the resource's own
    /// words. Empty if the resource has no ownership.
    fn unshared_objects<'a>(
        &'a self,
        admin: &'a Document,
        reference: &'a Document,
        candidate: &'a Document,
    ) -> BoxFuture<'a, Result<Vec<String>, Error>> {
        let _ = (admin, reference, candidate);
        Box::pin(async { Ok(Vec::new()) })
    }

    /// Makes everything that either user owns, now or later, belong to both.
    fn share_ownership<'a>(
        &'a self,
        admin: &'a Document,
        reference: &'a Document,
        candidate: &'a Document,
    ) -> BoxFuture<'a, Result<(), Error>> {
        let _ = (admin, reference, candidate);
        Box::pin(async { Ok(()) })
    }

    /// Returns a warning, for the dry run, for each thing that depends on the name of the user who logged in, and so
    /// can treat the two differently despite equal privileges. Empty if nothing can depend on it.
    fn depends_on_name<'a>(
        &'a self,
        admin: &'a Document,
        reference: &'a Document,
        candidate: &'a Document,
    ) -> BoxFuture<'a, Result<Vec<String>, Error>> {
        let _ = (admin, reference, candidate);
        Box::pin(async { Ok(Vec::new()) })
    }

    /// Returns the privileges that the reference has and the candidate lacks, in the resource's own words.
    fn missing<'a>(
        &'a self,
        admin: &'a Document,
        reference: &'a Document,
        candidate: &'a Document,
    ) -> BoxFuture<'a, Result<Vec<String>, Error>>;
}

/// The outcome of a login.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Probe {
    /// The resource accepts the credential.
    Accepted,
    /// The resource answered, and refuses the credential.
    Refused,
}

/// A change of a user's password.
#[derive(Clone, Copy, Debug)]
pub struct Change<'a> {
    /// The credential to log in with.
    pub login: &'a Document,
    /// The user and its new password.
    pub credential: &'a Document,
    /// A credential of the same user, whose password stays valid beside the new one. Afterwards exactly these two are
    /// valid. Doing it again changes nothing.
    pub keep: Option<&'a Document>,
}

/// The outcome of a change of password.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Applied {
    /// The user has the new password.
    Done,
    /// The login was refused; nothing changed.
    LoginRefused,
}

/// Whether a user exists, and for whom it was created.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum UserStatus {
    /// The user does not exist.
    Absent,
    /// The user was created for this secret.
    Ours,
    /// The user exists, and does not have this secret's mark.
    Foreign,
}

/// The outcome of [`Target::lock`].
#[derive(Debug)]
#[non_exhaustive]
pub enum Lock {
    /// The lock is held until the guard is dropped.
    Held(Guard),
    /// The login was refused.
    LoginRefused,
    /// Another driver holds the lock.
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
    /// Makes a guard from a session that releases the lock when it is dropped.
    pub fn new(session: impl Any + Send + Sync) -> Self {
        Self(Box::new(session))
    }

    /// Returns the session, for the target that made the guard.
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

/// An issuer of keys, such as a cloud's access keys or any SaaS.
///
/// Unlike passwords, several keys are valid at once, and the provider generates their values and shows them once.
pub trait Provider: Debug + Send + Sync {
    /// Creates a key named or tagged `tag`. Returns the document with the new key's fields, including its id, in place
    /// of the old ones.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::LimitReached`](crate::ErrorKind::LimitReached) if there are too many keys already.
    fn create<'a>(&'a self, current: &'a Document, tag: &'a str) -> BoxFuture<'a, Result<Document, Error>>;

    /// Lists the keys that this secret's rotations may have created, logging in with `login`.
    fn list<'a>(&'a self, login: &'a Document) -> BoxFuture<'a, Result<Vec<Key>, Error>>;

    /// Uses the key once, for a harmless call.
    fn probe<'a>(&'a self, credential: &'a Document) -> BoxFuture<'a, Result<Probe, Error>>;

    /// Revokes a key. It is not an error if the key does not exist.
    fn revoke<'a>(&'a self, login: &'a Document, key_id: &'a str) -> BoxFuture<'a, Result<(), Error>>;

    /// Revokes the key of a former version that is not listed, because no rotation created it. Returns whether it was
    /// revoked.
    ///
    /// Anyone who can write the secret can name any key there, and choose the value beside it. So nothing happens unless
    /// the provider accepts the credential in `former`, which then revokes itself: with its own rights, not with those
    /// of the key in use. A provider that manages keys with other rights must check that the key has this id and belongs
    /// to the same holder as the one in `current`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Misconfigured`](crate::ErrorKind::Misconfigured) if `former` is no credential of this provider, and
    /// errors of the provider.
    fn revoke_former<'a>(
        &'a self,
        current: &'a Document,
        former: &'a Document,
    ) -> BoxFuture<'a, Result<bool, Error>> {
        let _ = current;
        Box::pin(async move {
            let key = self.key_id(former)?;
            match self.probe(former).await? {
                Probe::Refused => Ok(false),
                Probe::Accepted => self.revoke(former, &key).await.map(|()| true),
            }
        })
    }

    /// Checks the fields of a new value that depend on the key.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Rejected`](crate::ErrorKind::Rejected), naming the field.
    fn verify(&self, credential: &Document) -> Result<(), Error> {
        let _ = credential;
        Ok(())
    }

    /// Returns the id of the key in a document.
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
    /// The name or tag it was created with, if the provider returns it.
    pub tag: Option<String>,
}
