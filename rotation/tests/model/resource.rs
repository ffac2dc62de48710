//! The resource's side of the ports: logins, passwords, privileges and keys.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use secretcache_rotation::*;

use crate::ports::{
    Call, CountedGuard, Fault, Inner, LockReply, PortBug, Ports, Reply, index, reading, version_id,
};
use crate::world::*;

/// Checks whether a login succeeds, on the primary or on the replica that probes see.
fn login(inner: &mut Inner, (user, secret): (u8, u8), at_primary: bool) -> bool {
    let world = &inner.world;
    let resource = world.replica.as_ref().filter(|_| !at_primary).unwrap_or(&world.primary);
    let is_accepted = resource.authenticates(world.kind, user, secret);
    inner.refused_logins += usize::from(!is_accepted);
    inner.world.astray |= (user, secret) == (ADMIN as u8, ELSEWHERE);
    is_accepted
}

/// Checks whether a login for a change succeeds. An administrator can also use a session opened earlier.
fn login_for_change(inner: &mut Inner, by: (u8, u8)) -> bool {
    let is_kept = by == (ADMIN as u8, inner.world.admin_session);
    is_kept || login(inner, by, true)
}

/// Checks whether a login for a change succeeds. The session that holds the lock needs no new login.
fn login_under_lock(inner: &mut Inner, by: (u8, u8)) -> bool {
    inner.world.lock == Some(inner.driver) || login_for_change(inner, by)
}

fn probing(is_accepted: bool) -> Probe {
    if is_accepted { Probe::Accepted } else { Probe::Refused }
}

impl Target for Ports {
    fn has_dual_passwords(&self) -> bool {
        self.with(|inner| matches!(inner.world.kind, Kind::Dual | Kind::DualRetained))
    }

    fn accepts(&self, _: &Document) -> Result<(), Error> {
        Ok(())
    }

    fn probe<'a>(&'a self, credential: &'a Document) -> BoxFuture<'a, Result<Probe, Error>> {
        let credential = read(credential);
        self.call(
            Call::Ask,
            move |inner| Reply::Accepted(login(inner, credential, false)),
            reading!(Reply::Accepted(accepted) => probing(accepted)),
        )
    }

    fn apply<'a>(&'a self, change: Change<'a>) -> BoxFuture<'a, Result<Applied, Error>> {
        self.change(change, login_for_change)
    }

    fn apply_and_unlock<'a>(
        &'a self,
        change: Change<'a>,
        guard: Option<Guard>,
    ) -> BoxFuture<'a, Result<Applied, Error>> {
        Box::pin(async move {
            let applied = self.change(change, login_under_lock).await;
            drop(guard);
            applied
        })
    }

    fn lock<'a>(&'a self, by: &'a Document, _: &'a str) -> BoxFuture<'a, Result<Lock, Error>> {
        let by = read(by);
        self.call(
            Call::Ask,
            move |inner| {
                if !inner.world.has_locks
                    || inner.command.is_some() && inner.bug == PortBug::CommandsTakeNoLock
                {
                    return Reply::Lock(LockReply::None);
                }
                if !login(inner, by, true) && inner.bug != PortBug::LockIsNoProof {
                    return Reply::Lock(LockReply::Refused);
                }
                if inner.world.lock.is_some_and(|holder| holder != inner.driver) {
                    return Reply::Lock(LockReply::Busy);
                }
                inner.world.lock = Some(inner.driver);
                Reply::Lock(LockReply::Held)
            },
            reading!(Reply::Lock(lock) => match lock {
                LockReply::None => Lock::Unsupported,
                LockReply::Busy => Lock::Busy,
                LockReply::Refused => Lock::LoginRefused,
                LockReply::Held => {
                    self.guards.fetch_add(1, Ordering::Relaxed);
                    Lock::Held(Guard::new(CountedGuard(Arc::clone(&self.guards))))
                }
            }),
        )
    }

    fn accounts(&self) -> Option<&dyn Accounts> {
        Some(self)
    }
}

impl Ports {
    fn change<'a>(
        &'a self,
        change: Change<'a>,
        logs_in: fn(&mut Inner, (u8, u8)) -> bool,
    ) -> BoxFuture<'a, Result<Applied, Error>> {
        let (by, (user, secret), keep) = (read(change.login), read(change.credential), change.keep.map(read));
        self.call(
            Call::Apply,
            move |inner| {
                if !logs_in(inner, by) {
                    return Reply::Accepted(false);
                }
                // Only an administrator can change another user's password.
                if by.0 != user && by.0 != ADMIN as u8 {
                    return Reply::Failed(ErrorKind::Denied);
                }
                let pending = inner.world.pending().map(|version| inner.world.versions[version].secret);
                let holders = inner.world.versions.iter().filter(|version| version.secret == secret).count();
                if inner.fault == Fault::Poison && pending == Some(secret) && holders == 1 {
                    inner.fault_applied = true;
                    inner.world.poison = secret;
                }
                if inner.world.poison == secret {
                    return Reply::Failed(ErrorKind::Rejected);
                }
                let is_retaining = inner.world.kind == Kind::DualRetained;
                let (bug, fault) = (inner.bug, inner.fault);
                let user = &mut inner.world.primary.users[user as usize];
                match keep {
                    // Two statements: the kept password becomes the primary one, and then the retained one.
                    Some((_, kept)) if is_retaining => {
                        if bug != PortBug::RetainWhateverIsInUse {
                            user.passwords[0] = kept;
                        }
                        if fault == Fault::Partial {
                            inner.fault_applied = true;
                            return Reply::Failed(ErrorKind::Unavailable);
                        }
                        user.passwords = [secret, user.passwords[0]];
                    }
                    Some((_, kept)) => user.passwords = [secret, kept],
                    None => user.passwords = [secret, 0],
                }
                inner.world.promise = false;
                Reply::Accepted(true)
            },
            reading!(Reply::Accepted(done) => if done { Applied::Done } else { Applied::LoginRefused }),
        )
    }

    /// Makes a call as an administrator.
    fn administer<'a>(
        &'a self,
        kind: Call,
        admin: &Document,
        act: impl Fn(&mut Inner) -> Reply + Send + 'a,
    ) -> BoxFuture<'a, Result<Reply, Error>> {
        let admin = read(admin);
        self.call(
            kind,
            move |inner| {
                if login_for_change(inner, admin) {
                    act(inner)
                } else {
                    Reply::Failed(ErrorKind::Unavailable)
                }
            },
            |reply| reply,
        )
    }
}

impl Accounts for Ports {
    fn user_status<'a>(
        &'a self,
        admin: &'a Document,
        candidate: &'a Document,
        _: &'a str,
    ) -> BoxFuture<'a, Result<UserStatus, Error>> {
        let (user, _) = read(candidate);
        let call = self.administer(Call::Ask, admin, move |inner| {
            let user = inner.world.primary.users[user as usize];
            Reply::UserStatus(u8::from(user.exists) + u8::from(user.exists && !user.marked))
        });
        Box::pin(async move {
            Ok(match call.await? {
                Reply::UserStatus(0) => UserStatus::Absent,
                Reply::UserStatus(1) => UserStatus::Ours,
                _ => UserStatus::Foreign,
            })
        })
    }

    fn ensure<'a>(
        &'a self,
        admin: &'a Document,
        _: &'a Document,
        candidate: &'a Document,
        _: &'a str,
    ) -> BoxFuture<'a, Result<(), Error>> {
        let (user, _) = read(candidate);
        let call = self.administer(Call::Write, admin, move |inner| {
            let user = &mut inner.world.primary.users[user as usize];
            if !user.exists {
                *user = User { exists: true, marked: true, passwords: [0, 0], grants: 0 };
            }
            Reply::Unit
        });
        Box::pin(async move { call.await.map(drop) })
    }

    fn reconcile<'a>(
        &'a self,
        admin: &'a Document,
        reference: &'a Document,
        candidate: &'a Document,
        _: &'a str,
    ) -> BoxFuture<'a, Result<(), Error>> {
        let ((reference, _), (candidate, _)) = (read(reference), read(candidate));
        let call = self.administer(Call::Statements, admin, move |inner| {
            let grants = inner.world.primary.users[reference as usize].grants;
            let user = &mut inner.world.primary.users[candidate as usize];
            if inner.fault == Fault::Partial {
                // The last grant is refused.
                let half = user.grants | (grants & !(1 << grants.ilog2()));
                inner.fault_applied = true;
                user.grants = half;
                return Reply::Failed(ErrorKind::Unavailable);
            }
            user.grants = grants;
            user.marked = true;
            inner.world.primary.users[reference as usize].marked = true;
            Reply::Unit
        });
        Box::pin(async move { call.await.map(drop) })
    }

    fn missing<'a>(
        &'a self,
        admin: &'a Document,
        reference: &'a Document,
        candidate: &'a Document,
    ) -> BoxFuture<'a, Result<Vec<String>, Error>> {
        let ((reference, _), (candidate, _)) = (read(reference), read(candidate));
        let call = self.administer(Call::Ask, admin, move |inner| {
            let users = &inner.world.primary.users;
            Reply::Missing(users[reference as usize].grants & !users[candidate as usize].grants != 0)
        });
        Box::pin(async move {
            Ok(if call.await? == Reply::Missing(true) { vec!["a grant".into()] } else { vec![] })
        })
    }
}

impl Provider for Ports {
    fn create<'a>(&'a self, current: &'a Document, tag: &'a str) -> BoxFuture<'a, Result<Document, Error>> {
        let (by, tag) = (read(current), index(tag) as u8);
        self.call(
            Call::Write,
            move |inner| {
                if !login(inner, by, true) {
                    return Reply::Failed(ErrorKind::Refused);
                }
                // The same limit as in IAM.
                if inner.world.primary.keys.len() == 2 {
                    return Reply::Failed(ErrorKind::LimitReached);
                }
                let secret = inner.world.mint(inner.driver, inner.remembered);
                inner.world.primary.keys.push(LiveKey { secret, tag });
                Reply::Secret(secret)
            },
            reading!(Reply::Secret(secret) => document(Kind::ApiKey, A as u8, secret)),
        )
    }

    fn list<'a>(&'a self, by: &'a Document) -> BoxFuture<'a, Result<Vec<Key>, Error>> {
        let by = read(by);
        self.call(
            Call::Ask,
            move |inner| match login(inner, by, true) {
                true => Reply::Keys(inner.world.primary.keys.clone()),
                false => Reply::Failed(ErrorKind::Refused),
            },
            reading!(Reply::Keys(keys) => {
                let key = |key: &LiveKey| Key {
                    id: format!("{:02}", key.secret),
                    tag: Some(version_id(key.tag.into())),
                };
                keys.iter().map(key).collect()
            }),
        )
    }

    fn probe<'a>(&'a self, credential: &'a Document) -> BoxFuture<'a, Result<Probe, Error>> {
        Target::probe(self, credential)
    }

    fn revoke<'a>(&'a self, by: &'a Document, key_id: &'a str) -> BoxFuture<'a, Result<(), Error>> {
        let (by, secret): (_, u8) = (read(by), key_id.parse().unwrap());
        self.call(
            Call::Write,
            move |inner| {
                if !login(inner, by, true) {
                    return Reply::Failed(ErrorKind::Refused);
                }
                inner.world.primary.keys.retain(|key| key.secret != secret);
                inner.world.promise = false;
                Reply::Unit
            },
            |_| (),
        )
    }

    fn key_id(&self, credential: &Document) -> Result<String, Error> {
        credential.require("key_id").map(|id| id.to_string())
    }
}
