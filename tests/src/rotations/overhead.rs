//! Compares a full rotation with the bare calls that no four-step rotation can avoid, in alternating runs.
//!
//! In a bare rotation, each step reads the labels and the values it needs, and does its one task, without checks,
//! locks, proofs or anything that would help a second run. With alternating users, the task of setSecret is to check
//! who the other user belongs to, adjust its privileges, compare them once, and set its password, all in one session.

use secretcache::{AWSCURRENT, AWSPENDING, AWSPREVIOUS, Selector};
use secretcache_rotation::{
    AwsStore, Change, Document, PasswordPolicy, Pending, SecretStore, StageMove, StrategyName, derive_token,
};
use std::time::Duration;
use tokio::time::Instant;

use super::lane::Lane;
use super::resource::{Bare, Kind, Subject};
use super::secrets::{Secrets, rotate, text};

/// The cost of a full rotation compared with a bare one.
#[derive(Clone, Debug)]
pub struct Overhead {
    /// The kind of server and the strategy.
    pub subject: Subject,
    /// The duration of the fastest full rotation.
    pub full: Duration,
    /// The duration of the fastest bare one.
    pub bare: Duration,
}

impl Overhead {
    /// Returns how many times as long the full rotation takes.
    pub fn ratio(&self) -> f64 {
        self.full.as_secs_f64() / self.bare.as_secs_f64()
    }
}

/// Measures `turns` rotations of each sort, with every strategy that the kind supports.
///
/// # Errors
///
/// If a server cannot be started, or a rotation fails.
pub async fn overhead(kind: Kind, turns: usize) -> Result<Vec<Overhead>, String> {
    let mut lane = Lane::straight(kind, Secrets::start().await?).await?;
    let mut found = Vec::new();
    for subject in kind.subjects() {
        let (full, bare) = (lane.add_user(subject).await?, lane.add_user(subject).await?);
        let mut overhead = Overhead { subject, full: Duration::MAX, bare: Duration::MAX };
        // The first rotation of each creates what later ones find.
        let store = lane.secrets.store.clone();
        rotate(&store, &full, subject.strategy, lane.description()).await?;
        rotate(&store, &bare, subject.strategy, lane.description()).await?;
        for _ in 0..turns {
            let start = Instant::now();
            rotate(&store, &full, subject.strategy, lane.description()).await?;
            let middle = Instant::now();
            rotate_barely(&lane, &store, subject, &bare).await?;
            overhead.full = overhead.full.min(middle - start);
            overhead.bare = overhead.bare.min(middle.elapsed());
        }
        found.push(overhead);
    }
    Ok(found)
}

async fn rotate_barely(lane: &Lane, store: &AwsStore, subject: Subject, secret: &str) -> Result<(), String> {
    let get = |selector| async move {
        let version = store.get(secret, selector).await.map_err(text)?;
        version.map(|version| version.document).ok_or_else(|| "no such version".to_owned())
    };

    // createSecret
    let state = store.describe(secret).await.map_err(text)?;
    let from = state.labelled(AWSCURRENT).map(|version| version.id.clone()).ok_or("nothing is current")?;
    let token = derive_token(&state.arn, &from, 0);
    let current = get(Selector::CURRENT).await?;
    let needs_previous = matches!(subject.strategy, StrategyName::AlternatingUsers | StrategyName::ApiKey);
    let alternates = subject.strategy == StrategyName::AlternatingUsers;
    let previous = match state.labelled(AWSPREVIOUS) {
        Some(_) if needs_previous => Some(get(Selector::stage(AWSPREVIOUS)).await?),
        _ => None,
    };
    let pending = match lane.resource.make(&current, previous.as_ref()).await? {
        Some(pending) => pending,
        None => {
            let password = store.random_password(&PasswordPolicy::default()).await.map_err(text)?;
            let user = if alternates { previous.as_ref() } else { None }.unwrap_or(&current);
            user.with("password", &password).map_err(text)?
        }
    };
    let put = Pending { secret_id: secret, token: &token, document: &pending, rotation_token: None };
    store.put_pending(put).await.map_err(text)?;

    // setSecret
    store.describe(secret).await.map_err(text)?;
    let (current, pending) = (get(Selector::CURRENT).await?, get(Selector::version_id(&token)).await?);
    let login = match subject.has_administrator {
        true => administrator(store, &lane.administrator(), &current).await?,
        false => current.clone(),
    };
    if alternates {
        let target = lane.resource.target().ok_or("users do not alternate here")?;
        let accounts = target.accounts().ok_or("users do not alternate here")?;
        let mark = format!("secretcache {}", state.arn);
        accounts.user_status(&login, &pending, &mark).await.map_err(text)?;
        accounts.reconcile(&login, &current, &pending, &mark).await.map_err(text)?;
        accounts.missing(&login, &current, &pending).await.map_err(text)?;
        let change = Change { login: &login, credential: &pending, keep: None };
        target.apply(change).await.map_err(text)?;
    } else {
        let bare = Bare { subject, login: &login, current: &current, pending: &pending };
        lane.resource.change(bare).await?;
    }

    // testSecret
    store.describe(secret).await.map_err(text)?;
    let pending = get(Selector::version_id(&token)).await?;
    if !lane.resource.logs_in(&pending).await? {
        return Err("the new credential does not work".to_owned());
    }

    // finishSecret
    store.describe(secret).await.map_err(text)?;
    let flip = StageMove { stage: AWSCURRENT, from: Some(&from), to: Some(&token) };
    store.move_stage(secret, flip).await.map_err(text)?;
    let drop_pending = StageMove { stage: AWSPENDING, from: Some(&token), to: None };
    store.move_stage(secret, drop_pending).await.map(drop).map_err(text)
}

async fn administrator(store: &AwsStore, name: &str, user: &Document) -> Result<Document, String> {
    let version = store.get(name, Selector::CURRENT).await.map_err(text)?.ok_or("no administrator")?;
    let host = user.require("host").map_err(text)?;
    let port = user.require("port").map_err(text)?;
    version.document.with("host", &host).and_then(|document| document.with("port", &port)).map_err(text)
}
