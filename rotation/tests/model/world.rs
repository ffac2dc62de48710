//! The world that rotations run in: a secret, a database or key provider, and what can happen to them.
//!
//! A world is kept small, because very many of them are hashed.

use secretcache_rotation::Document;
use std::sync::OnceLock;

/// The strategy that a world is for.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) enum Kind {
    Single,
    Alternating,
    Dual,
    DualRetained,
    ApiKey,
}

pub(crate) const CUR: u8 = 1;
pub(crate) const PEND: u8 = 2;
pub(crate) const PREV: u8 = 4;

/// The users: two that can alternate, an unrelated one, and the administrator.
pub(crate) const A: usize = 0;
pub(crate) const B: usize = 1;
pub(crate) const STRANGER: usize = 2;
pub(crate) const ADMIN: usize = 3;
pub(crate) const USERS: [&str; 4] = ["app", "app_clone", "billing", "admin"];

/// Used in place of the user: the value is a copy that must never become current.
pub(crate) const VOID: u8 = 5;

/// Used in place of the administrator's password: the master secret names another server.
pub(crate) const ELSEWHERE: u8 = 98;

/// The holder of the lock while a pooler keeps a crashed driver's session open.
pub(crate) const POOLER: u8 = 2;

/// A version: its user, its secret (0 means that it has no value yet), and its labels.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub(crate) struct Ver {
    pub(crate) user: u8,
    pub(crate) secret: u8,
    pub(crate) labels: u8,
}

/// A database user. Password 0 means no password.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub(crate) struct User {
    pub(crate) exists: bool,
    pub(crate) marked: bool,
    pub(crate) passwords: [u8; 2],
    pub(crate) grants: u8,
}

/// A key of a provider; its id is its secret.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) struct LiveKey {
    pub(crate) secret: u8,
    pub(crate) tag: u8,
}

/// The state of the primary, or an older one that a replica shows to probes.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Resource {
    pub(crate) users: [User; 4],
    pub(crate) keys: Vec<LiveKey>,
}

#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) struct World {
    pub(crate) kind: Kind,
    pub(crate) has_locks: bool,
    /// In order of creation.
    pub(crate) versions: Vec<Ver>,
    /// The versions before the last write, which a stale read shows.
    pub(crate) stale: Option<Vec<Ver>>,
    pub(crate) enabled: bool,
    pub(crate) primary: Resource,
    pub(crate) replica: Option<Resource>,
    /// The password in the master secret; the real one is the admin user's.
    pub(crate) admin_secret: u8,
    /// The administrator's previous password, if its sessions are still open.
    pub(crate) admin_session: u8,
    /// A password that the resource's policy rejects.
    pub(crate) poison: u8,
    pub(crate) lock: Option<u8>,
    /// The grants that every credential in use must have, as bits.
    pub(crate) required: u8,
    /// Whether the environment broke what must work, and no rotation has fixed it since.
    pub(crate) excused: bool,
    /// Whether the last change of the resource was made by a driver that others had overtaken.
    pub(crate) tampered: bool,
    /// Whether a flip promised that the previous credential keeps working.
    pub(crate) promise: bool,
    /// Whether an administrator's credential was used on a server that it is not for.
    pub(crate) astray: bool,
    /// The number of rotations begun.
    pub(crate) begun: u8,
    /// The environment's remaining budget.
    pub(crate) budget: u8,
}

impl World {
    pub(crate) fn new(kind: Kind, has_locks: bool, budget: u8) -> Self {
        let user = |password, grants| User { exists: true, marked: false, passwords: [password, 0], grants };
        let mut users = [user(1, 1), User::default(), user(9, 7), user(8, 7)];
        let mut versions = vec![Ver { user: A as u8, secret: 1, labels: CUR }];
        if kind == Kind::Alternating {
            (users[A].marked, users[B]) = (true, User { marked: true, ..user(2, 1) });
            versions.insert(0, Ver { user: B as u8, secret: 2, labels: PREV });
        }
        let keys = if kind == Kind::ApiKey { vec![LiveKey { secret: 1, tag: 0 }] } else { Vec::new() };
        Self {
            kind,
            has_locks,
            versions,
            stale: None,
            enabled: true,
            primary: Resource { users, keys },
            replica: None,
            admin_secret: 8,
            admin_session: 0,
            poison: 0,
            lock: None,
            required: 1,
            excused: false,
            tampered: false,
            promise: false,
            astray: false,
            begun: 0,
            budget,
        }
    }

    /// Resets the world to before the first rotation: there is one user, and someone else created it.
    pub(crate) fn forget_the_past(&mut self) {
        self.versions.retain(|version| version.labels & CUR != 0);
        self.primary.users[B] = User::default();
        self.primary.users[A].marked = false;
    }

    pub(crate) fn labelled(&self, label: u8) -> Option<usize> {
        labelled(&self.versions, label)
    }

    /// Returns the version of the rotation in progress.
    pub(crate) fn pending(&self) -> Option<usize> {
        self.labelled(PEND).filter(|pending| Some(*pending) != self.labelled(CUR))
    }

    /// Checks whether the primary accepts a version's credential.
    pub(crate) fn authenticates(&self, version: usize) -> bool {
        let version = self.versions[version];
        self.primary.authenticates(self.kind, version.user, version.secret)
    }

    /// Checks whether the primary accepts a version's credential, and its user has all required grants.
    pub(crate) fn works(&self, version: usize) -> bool {
        let version = self.versions[version];
        self.primary.authenticates(self.kind, version.user, version.secret)
            && (self.kind != Kind::Alternating
                || self.primary.users[version.user as usize].grants & self.required == self.required)
    }

    pub(crate) fn label_works(&self, label: u8) -> bool {
        self.labelled(label).is_some_and(|version| self.works(version))
    }

    /// Checks what must be true at every moment: readers of `AWSCURRENT` can log in or, with one password per user,
    /// readers that fall back to `AWSPENDING` can.
    pub(crate) fn is_healthy(&self) -> bool {
        self.label_works(CUR) || self.kind == Kind::Single && self.label_works(PEND)
    }

    pub(crate) fn write(&mut self) {
        self.stale = Some(self.versions.clone());
    }

    /// Attaches a label, as the service does: `AWSPREVIOUS` follows `AWSCURRENT`.
    pub(crate) fn attach(&mut self, label: u8, to: usize) {
        let from = self.labelled(label);
        if from == Some(to) {
            return;
        }
        if let Some(from) = from {
            self.versions[from].labels &= !label;
        }
        self.versions[to].labels |= label;
        if let (CUR, Some(from)) = (label, from) {
            self.attach(PREV, from);
        }
    }

    pub(crate) fn detach(&mut self, label: u8) {
        self.versions.iter_mut().for_each(|version| version.labels &= !label);
    }

    /// Begins a rotation, as the service does: adds an empty version labelled `AWSPENDING`.
    pub(crate) fn begin(&mut self) -> u8 {
        self.write();
        self.versions.push(Ver::default());
        self.attach(PEND, self.versions.len() - 1);
        self.begun += 1;
        (self.versions.len() - 1) as u8
    }

    /// Returns a password or key that nothing in the world holds: the smallest such number, to keep the number of
    /// worlds small. Each minter has its own numbers, because what a driver has created but not yet stored is not in
    /// the world. Neither are the `remembered` ones.
    pub(crate) fn mint(&self, minter: u8, remembered: u128) -> u8 {
        let holds = |resource: &Resource, secret| {
            resource.users.iter().any(|user| user.passwords.contains(&secret))
                || resource.keys.iter().any(|key| key.secret == secret)
        };
        (10 + minter..)
            .step_by(3)
            .find(|secret| {
                let versions = self.versions.iter().chain(self.stale.iter().flatten());
                !versions.into_iter().any(|version| version.secret == *secret)
                    && !holds(&self.primary, *secret)
                    && !self.replica.as_ref().is_some_and(|replica| holds(replica, *secret))
                    && self.admin_secret != *secret
                    && self.poison != *secret
                    && remembered >> *secret & 1 == 0
            })
            .expect("more numbers than secrets")
    }
}

impl Resource {
    pub(crate) fn authenticates(&self, kind: Kind, user: u8, secret: u8) -> bool {
        if secret == 0 {
            return false;
        }
        match kind {
            Kind::ApiKey if user as usize != ADMIN => self.keys.iter().any(|key| key.secret == secret),
            _ => {
                let user = &self.users[user as usize];
                user.exists && user.passwords.contains(&secret)
            }
        }
    }
}

pub(crate) fn labelled(versions: &[Ver], label: u8) -> Option<usize> {
    versions.iter().position(|version| version.labels & label != 0)
}

/// Returns the JSON of a credential. Each is created only once, because it is requested a million times.
pub(crate) fn document(kind: Kind, user: u8, secret: u8) -> Document {
    static CACHE: OnceLock<Vec<Document>> = OnceLock::new();
    let all = CACHE.get_or_init(|| {
        let text = |user: usize, secret: u8| match user {
            5 => format!(r#"{{"key_id":"{secret:02}","key":"canary-{secret:02}","secretcache:void":"1"}}"#),
            4 => format!(r#"{{"key_id":"{secret:02}","key":"canary-{secret:02}"}}"#),
            3 if secret == ELSEWHERE => {
                format!(r#"{{"host":"elsewhere","username":"admin","password":"canary-{secret:02}"}}"#)
            }
            3 => format!(r#"{{"host":"db","username":"admin","password":"canary-{secret:02}"}}"#),
            _ => format!(
                r#"{{"host":"db","username":"{}","password":"canary-{secret:02}","masterarn":"m"}}"#,
                USERS[user]
            ),
        };
        (0..=VOID as usize)
            .flat_map(|user| (0..100).map(move |secret| Document::parse(&text(user, secret)).unwrap()))
            .collect()
    });
    let user = if kind == Kind::ApiKey && user == A as u8 { 4 } else { user as usize };
    let document = &all[user * 100 + secret as usize];
    if kind == Kind::Alternating || user >= 3 {
        return document.clone();
    }
    // Strategies that need no administrator get no master secret.
    static PLAIN: OnceLock<Vec<Document>> = OnceLock::new();
    let plain = PLAIN.get_or_init(|| {
        let text = |secret| format!(r#"{{"host":"db","username":"app","password":"canary-{secret:02}"}}"#);
        (0..100).map(|secret| Document::parse(&text(secret)).unwrap()).collect()
    });
    plain[secret as usize].clone()
}

/// Returns the user and the secret of a credential.
pub(crate) fn read(document: &Document) -> (u8, u8) {
    let number = |text: &str| text[text.len() - 2..].parse().unwrap();
    match document.field("key") {
        Some(key) if document.field("secretcache:void").is_some() => (VOID, number(&key)),
        Some(key) => (A as u8, number(&key)),
        None => {
            let name = document.username().unwrap();
            let user = USERS.iter().position(|user| *user == *name).expect("a user of this world");
            (user as u8, number(&document.password().unwrap()))
        }
    }
}
