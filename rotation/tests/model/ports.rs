//! The engine's ports on a [`World`]. They make one call at a time, and replay earlier calls from a log.
//!
//! A running step cannot be cloned, but it is a function of the responses it got. So a driver is stored as the list of
//! those responses. To continue, the step runs again from its start with the recorded responses, up to its next call.

use std::fmt;
use std::future::poll_fn;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::{Duration, SystemTime};

use secretcache::{AWSCURRENT, AWSPENDING, AWSPREVIOUS, Selector};
use secretcache_rotation::*;

use crate::commands::Command;
use crate::world::*;

/// The response to a call.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) enum Reply {
    State(Vec<Ver>, bool),
    Value(Option<(u8, u8, u8)>),
    Stored(bool),
    Moved(bool),
    Secret(u8),
    Ids(Vec<u8>),
    Accepted(bool),
    Lock(LockReply),
    UserStatus(u8),
    Missing(bool),
    Keys(Vec<LiveKey>),
    Unit,
    Failed(ErrorKind),
}

impl Reply {
    /// Returns the passwords and keys in a response, as bits.
    pub(crate) fn secrets(&self) -> u128 {
        match self {
            Self::Secret(secret) | Self::Value(Some((_, _, secret))) => 1 << secret,
            Self::Keys(keys) => keys.iter().fold(0, |bits, key| bits | 1 << key.secret),
            _ => 0,
        }
    }
}

#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) enum LockReply {
    None,
    Held,
    Busy,
    Refused,
}

/// A fault injected into a call.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Fault {
    None,
    /// A read shows the versions before the last write.
    Stale,
    /// The call takes effect, but its response is lost.
    LostAnswer,
    /// The call does not arrive.
    Lost,
    /// The call stops halfway.
    Partial,
    /// The resource's policy rejects the new password, and always will.
    Poison,
}

/// A deliberate defect, to see whether it is found.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum PortBug {
    #[default]
    None,
    /// The flip ignores which version must be current.
    NoCompareAndSwap,
    /// MySQL's `RETAIN CURRENT PASSWORD` alone. It retains the password in use, which can be another version's.
    RetainWhateverIsInUse,
    /// createSecret does not check whether the version has a value, and creates a new one every time.
    MakesValuesAgain,
    /// `recover` makes a version current without comparing which one was current before.
    RecoveryDoesNotCompare,
    /// An operator's command takes no lock, and so does not keep rotations away.
    CommandsTakeNoLock,
    /// The lock is granted without a working login, as if the login were not tested again after waiting for the lock.
    LockIsNoProof,
}

/// The kind of a call, which decides the faults that it can have.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) enum Call {
    /// Reads from the store.
    Read,
    /// Changes the store or the resource.
    Write,
    /// Changes the resource with several statements.
    Statements,
    /// Sets a password on the resource.
    Apply,
    /// Queries the resource, or waits. A failure here has the same effect as a crash of the driver.
    Ask,
}

impl Call {
    pub(crate) fn faults(self) -> &'static [Fault] {
        match self {
            Self::Read => &[Fault::Stale],
            Self::Write => &[Fault::LostAnswer, Fault::Lost],
            Self::Statements => &[Fault::LostAnswer, Fault::Lost, Fault::Partial],
            Self::Apply => &[Fault::LostAnswer, Fault::Lost, Fault::Partial, Fault::Poison],
            Self::Ask => &[],
        }
    }
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) world: World,
    pub(crate) log: Arc<Vec<Reply>>,
    /// The call to make next.
    pub(crate) next: Call,
    pub(crate) driver: u8,
    pub(crate) fault: Fault,
    /// Whether the fault made a difference to the current call.
    pub(crate) fault_applied: bool,
    pub(crate) allowance: usize,
    pub(crate) refused_logins: usize,
    pub(crate) bug: PortBug,
    /// Whether the step is createSecret.
    pub(crate) is_creating: bool,
    /// The operator's command, unless a step is running.
    pub(crate) command: Option<Command>,
    /// Passwords and keys in the other driver's log, as bits.
    pub(crate) remembered: u128,
    cursor: usize,
}

/// The world as seen by one driver's run of one step.
#[derive(Clone)]
pub(crate) struct Ports {
    inner: Arc<Mutex<Inner>>,
    pub(crate) guards: Arc<AtomicUsize>,
}

impl fmt::Debug for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ports")
    }
}

pub(crate) struct CountedGuard(pub(crate) Arc<AtomicUsize>);

impl Drop for CountedGuard {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Ports {
    pub(crate) fn new(world: World, driver: u8, log: Arc<Vec<Reply>>, bug: PortBug) -> Self {
        let inner = Inner {
            world,
            log,
            next: Call::Read,
            driver,
            bug,
            fault: Fault::None,
            fault_applied: false,
            allowance: 0,
            refused_logins: 0,
            is_creating: false,
            command: None,
            remembered: 0,
            cursor: 0,
        };
        Self { inner: Arc::new(Mutex::new(inner)), guards: Arc::default() }
    }

    pub(crate) fn with<T>(&self, look: impl FnOnce(&mut Inner) -> T) -> T {
        look(&mut self.inner.lock().unwrap())
    }

    /// Releases the lock if its guard was dropped.
    pub(crate) fn settle_lock(&self) {
        let is_held = self.guards.load(Ordering::Relaxed) > 0;
        self.with(|inner| {
            if !is_held && inner.world.lock == Some(inner.driver) {
                inner.world.lock = None;
            }
        });
    }

    pub(crate) fn call<'a, T>(
        &'a self,
        kind: Call,
        act: impl Fn(&mut Inner) -> Reply + Send + 'a,
        read: impl Fn(Reply) -> T + Send + 'a,
    ) -> BoxFuture<'a, Result<T, Error>> {
        Box::pin(poll_fn(move |_| {
            let mut inner = self.inner.lock().unwrap();
            if inner.cursor == inner.log.len() {
                if inner.allowance == 0 {
                    inner.next = kind;
                    return Poll::Pending;
                }
                inner.allowance -= 1;
                let reply = match inner.fault {
                    Fault::Lost => {
                        inner.fault_applied = true;
                        Reply::Failed(ErrorKind::Unavailable)
                    }
                    Fault::LostAnswer => {
                        let before = inner.world.clone();
                        act(&mut inner);
                        inner.fault_applied = inner.world != before;
                        Reply::Failed(ErrorKind::Unavailable)
                    }
                    _ => act(&mut inner),
                };
                Arc::make_mut(&mut inner.log).push(reply);
            }
            let reply = inner.log[inner.cursor].clone();
            inner.cursor += 1;
            drop(inner);
            Poll::Ready(match reply {
                Reply::Failed(kind) => Err(Error::new(kind, "so the model decided")),
                reply => Ok(read(reply)),
            })
        }))
    }
}

macro_rules! reading {
    ($pattern:pat => $value:expr) => {
        |reply| match reply {
            $pattern => $value,
            other => unreachable!("the log holds {other:?} here: the step is not deterministic"),
        }
    };
}
pub(crate) use reading;

fn stages(labels: u8) -> Vec<String> {
    [(CUR, AWSCURRENT), (PEND, AWSPENDING), (PREV, AWSPREVIOUS)]
        .into_iter()
        .filter(|(label, _)| labels & label != 0)
        .map(|(_, name)| name.to_owned())
        .collect()
}

pub(crate) fn version_id(index: usize) -> String {
    format!("v{index}")
}

pub(crate) fn index(id: &str) -> usize {
    id[1..].parse().expect("an id of this world")
}

/// Returns the versions that a read shows.
fn shown(inner: &mut Inner) -> Vec<Ver> {
    match (&inner.world.stale, inner.fault) {
        (Some(stale), Fault::Stale) if *stale != inner.world.versions => {
            let stale = stale.clone();
            inner.fault_applied = true;
            stale
        }
        _ => inner.world.versions.clone(),
    }
}

impl SecretStore for Ports {
    fn describe<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<SecretState, Error>> {
        self.call(
            Call::Read,
            |inner| Reply::State(shown(inner), inner.world.enabled),
            reading!(Reply::State(versions, enabled) => SecretState {
                arn: "arn".into(),
                rotation_enabled: Some(enabled),
                is_replica: false,
                versions: versions
                    .iter()
                    .enumerate()
                    .filter(|(_, version)| version.labels != 0)
                    .map(|(i, version)| VersionState { id: version_id(i), stages: stages(version.labels) })
                    .collect(),
            }),
        )
    }

    fn get<'a>(&'a self, id: &'a str, wanted: Selector<'a>) -> BoxFuture<'a, Result<Option<Version>, Error>> {
        let kind = self.with(|inner| inner.world.kind);
        self.call(
            Call::Read,
            move |inner| {
                if id == "m" {
                    return Reply::Value(Some((0, ADMIN as u8, inner.world.admin_secret)));
                }
                let versions = shown(inner);
                let found = match wanted.as_stage() {
                    Some(AWSCURRENT) => labelled(&versions, CUR),
                    Some(AWSPREVIOUS) => labelled(&versions, PREV),
                    Some(_) => labelled(&versions, PEND),
                    // A version id that a runner derives does not exist in this world.
                    None => {
                        let id = wanted.as_version_id().and_then(|id| id.strip_prefix('v')?.parse().ok());
                        id.filter(|index| *index < versions.len())
                    }
                };
                let is_blind = inner.bug == PortBug::MakesValuesAgain && inner.is_creating;
                let found = found.filter(|_| !is_blind || wanted.as_stage().is_some());
                let found = found.map(|index| (index as u8, versions[index].user, versions[index].secret));
                Reply::Value(found.filter(|(_, _, secret)| *secret != 0))
            },
            move |reply| match reply {
                Reply::Value(found) => found.map(|(index, user, secret)| Version {
                    id: version_id(index.into()),
                    created: Some(SystemTime::UNIX_EPOCH + Duration::from_secs(index.into())),
                    document: document(kind, user, secret),
                }),
                other => unreachable!("the log holds {other:?}"),
            },
        )
    }

    fn put_pending<'a>(&'a self, pending: Pending<'a>) -> BoxFuture<'a, Result<Put, Error>> {
        let (token, (user, secret)) = (index(pending.token), read(pending.document));
        self.call(
            Call::Write,
            move |inner| {
                let version = inner.world.versions[token];
                if version.secret != 0 && inner.bug == PortBug::MakesValuesAgain {
                    return Reply::Failed(ErrorKind::Unavailable);
                }
                if version.secret != 0 {
                    return Reply::Stored(version.secret == secret && version.user == user);
                }
                inner.world.write();
                inner.world.versions[token] = Ver { user, secret, labels: version.labels };
                inner.world.attach(PEND, token);
                Reply::Stored(true)
            },
            reading!(Reply::Stored(stored) => if stored { Put::Stored } else { Put::Exists }),
        )
    }

    fn move_stage<'a>(&'a self, _: &'a str, stage: StageMove<'a>) -> BoxFuture<'a, Result<Moved, Error>> {
        self.call(
            Call::Write,
            move |inner| {
                let label = if stage.stage == AWSCURRENT { CUR } else { PEND };
                let holder = inner.world.labelled(label);
                let is_defective = match inner.bug {
                    PortBug::NoCompareAndSwap => true,
                    PortBug::RecoveryDoesNotCompare => inner.command == Some(Command::Recover),
                    _ => false,
                };
                let no_swap = is_defective && label == CUR;
                if holder != stage.from.map(index) && !no_swap {
                    return Reply::Moved(holder.is_none() && stage.to.is_none());
                }
                inner.world.write();
                match stage.to {
                    Some(to) => {
                        inner.world.promise =
                            inner.world.kind != Kind::Single && inner.world.label_works(CUR);
                        inner.world.attach(label, index(to));
                    }
                    None => inner.world.detach(label),
                }
                Reply::Moved(true)
            },
            reading!(Reply::Moved(done) => if done { Moved::Done } else { Moved::Conflict }),
        )
    }

    fn random_password<'a>(
        &'a self,
        _: &'a PasswordPolicy,
    ) -> BoxFuture<'a, Result<zeroize::Zeroizing<String>, Error>> {
        self.call(
            Call::Ask,
            |inner| Reply::Secret(inner.world.mint(inner.driver, inner.remembered)),
            reading!(Reply::Secret(secret) => format!("canary-{secret:02}").into()),
        )
    }

    fn list_versions<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Vec<VersionState>, Error>> {
        self.call(
            Call::Read,
            |inner| {
                let versions = shown(inner);
                let ids = (0..versions.len()).rev().filter(|index| versions[*index].secret != 0);
                Reply::Ids(ids.map(|index| index as u8).collect())
            },
            reading!(Reply::Ids(ids) => {
                ids.iter().map(|id| VersionState { id: version_id((*id).into()), stages: vec![] }).collect()
            }),
        )
    }
}

impl Pause for Ports {
    fn pause(&self, _: Duration) -> BoxFuture<'_, ()> {
        let call = self.call(Call::Ask, |_| Reply::Unit, |_| ());
        Box::pin(async { drop(call.await) })
    }
}
