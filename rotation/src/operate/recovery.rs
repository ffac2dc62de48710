//! Recovery when the staging labels and the resource disagree: finds a version that still logs in, and makes it
//! current.
//!
//! If a rotation is interrupted after setSecret and its `AWSPENDING` label is then removed, the resource has a password
//! that no label points to. The version still exists, and can be read by its id.

use std::collections::BTreeSet;

use secretcache::{AWSCURRENT, AWSPENDING, AWSPREVIOUS};
use serde::Serialize;
use zeroize::Zeroizing;

use crate::context::lock_is_busy;
use crate::diagnosis::{Finding, Requirements};
use crate::document::Document;
use crate::error::{Error, ErrorKind};
use crate::observer::Observer;
use crate::operate::context::{Backend, Content, Login, RotationContext, VersionReport};
use crate::operate::inspection::of_namesakes;
use crate::resource::StrategyName;
use crate::runner::Runner;
use crate::store::{Moved, SecretState, StageMove, Version, VersionState};
use crate::strategy::alternating_users::other_user;
use crate::target::{Applied, Change, Guard, Lock, Probe, Target};

/// How to make the labels and the resource agree again.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum RecoveryMethod {
    /// Make the version that logs in current. Nothing changes at the resource.
    #[default]
    LabelsFollow,
    /// Log in with the version that works, and set the current password at the resource. The labels stay.
    ResourceFollows,
    /// Like [`RecoveryMethod::ResourceFollows`], but if no version logs in, the administrator sets the current
    /// password. Anyone who can write the secret then decides which user the administrator changes, so this needs a
    /// person's decision.
    Administrator,
}

/// The result of a search, and what to do about it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
#[non_exhaustive]
pub struct Recovery {
    /// The versions that were examined, in order.
    pub versions: Vec<VersionReport>,
    /// The plan.
    pub plan: RecoveryPlan,
    /// The privileges that the user of the found version lacks compared to the current one, if an administrator can
    /// see them.
    pub lacks: Vec<String>,
    /// The accounts that share the name of the user that logs in, if there are several.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub namesakes: Vec<String>,
    /// The plan in a sentence.
    pub sentence: String,
    #[serde(skip)]
    state: SecretState,
}

/// What to do to recover a secret.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub enum RecoveryPlan {
    /// Nothing: the current version logs in.
    None,
    /// Finish the rotation in progress: its version logs in.
    Finish(String),
    /// Make this version current.
    MakeCurrent(String),
    /// Set the current password at the resource, logging in with this version.
    GiveCurrent(String),
    /// Set the current password at the resource, as the administrator.
    GiveCurrentByAdministrator,
    /// Recovery is impossible: nothing logs in.
    Impossible,
}

impl RotationContext<'_> {
    /// Searches for a version that logs in, and plans the recovery. Changes nothing. In addition to the labelled
    /// versions, it tries up to [`Settings::recovery_attempts`](crate::Settings::recovery_attempts) others.
    ///
    /// # Errors
    ///
    /// Errors of the store, and [`ErrorKind::Unavailable`] if the resource is unreachable.
    pub async fn search(&self, method: RecoveryMethod) -> Result<Recovery, Error> {
        let state = self.store.describe(self.secret_id).await?;
        let Some(current) = state.labelled(AWSCURRENT) else {
            return Err(Error::new(ErrorKind::NotStaged, "the secret has no AWSCURRENT version"));
        };
        let mut search = Search::new(self, &state, method).await?;
        let (mut found, mut lesser) = (None, None);
        for version in self.candidates(&state).await? {
            if search.is_exhausted(&version) {
                break;
            }
            let Some(document) = search.tries(&version).await? else { continue };
            search.accepted = Some(document.clone());
            let lacks = search.lacks(&document).await;
            if lacks.is_empty() {
                found = Some((version, lacks));
                break;
            }
            // Use it if no better one is found.
            lesser.get_or_insert((version, lacks));
        }
        let (found, lacks) = found.or(lesser).unzip();
        let lacks = lacks.unwrap_or_default();
        let is_newer = search.is_newer(found.as_ref(), &current.id);
        let plan = match &found {
            Some(version) if version.id == current.id => RecoveryPlan::None,
            Some(version) if method != RecoveryMethod::LabelsFollow => {
                RecoveryPlan::GiveCurrent(version.id.clone())
            }
            // Do not finish a rotation whose user has fewer privileges.
            Some(version) if version.has(AWSPENDING) && is_newer && lacks.is_empty() => {
                RecoveryPlan::Finish(version.id.clone())
            }
            Some(version) => RecoveryPlan::MakeCurrent(version.id.clone()),
            None if method == RecoveryMethod::Administrator => RecoveryPlan::GiveCurrentByAdministrator,
            None => RecoveryPlan::Impossible,
        };
        let mut sentence = sentence(&plan, &search.reports, &state);
        let namesakes = match &search.accepted {
            Some(document) => self.namesakes(document).await,
            None => Vec::new(),
        };
        if !namesakes.is_empty() {
            sentence += &format!("; {}", of_namesakes(&namesakes));
        }
        if !lacks.is_empty() {
            sentence += &format!(
                "; its user lacks {}, so grant that before the next rotation, or run again with --administrator",
                lacks.join(", ")
            );
        }
        Ok(Recovery { versions: search.reports, plan, lacks, namesakes, sentence, state })
    }

    /// Whether an administrator's secret is named and can be read.
    pub async fn knows_administrator(&self) -> bool {
        match (self.backend, self.current().await) {
            (Backend::Target(_), Ok(current)) => matches!(self.admin(&current.document).await, Ok(Some(_))),
            _ => false,
        }
    }

    /// Carries out the plan of [`RotationContext::search`], and proves that `AWSCURRENT` logs in afterwards.
    ///
    /// # Errors
    ///
    /// Any [`ErrorKind`]; [`ErrorKind::Conflict`] if labels have moved since the search.
    pub async fn carry_out(&self, recovery: &Recovery, observer: &dyn Observer) -> Result<(), Error> {
        match &recovery.plan {
            RecoveryPlan::None => return Ok(()),
            RecoveryPlan::Impossible => {
                return Err(Error::new(ErrorKind::Refused, recovery.sentence.clone()));
            }
            RecoveryPlan::Finish(_) => {
                let strategy = self.strategy_object();
                let Self { store, pause, settings, .. } = *self;
                let runner = Runner { store, strategy: strategy.as_ref(), pause, settings, attempts: 3 };
                runner.resume(self.secret_id, observer).await?;
            }
            RecoveryPlan::MakeCurrent(id) => {
                let login = self.document(id).await?;
                let _guard = self.hold(&login, &recovery.state).await?;
                self.make_current(&recovery.state, id).await?;
                self.drop_dead_pending(&recovery.state, None).await?;
            }
            RecoveryPlan::GiveCurrent(id) => {
                let login = self.document(id).await?;
                self.give_current(&login, &recovery.state).await?;
            }
            RecoveryPlan::GiveCurrentByAdministrator => {
                let admin = self.admin(&self.current().await?.document).await?;
                let admin = admin.ok_or_else(|| {
                    Error::new(
                        ErrorKind::Misconfigured,
                        "no administrator is known: name the administrator's secret with --master-secret or in the field \"masterarn\"",
                    )
                })?;
                self.give_current(&admin, &recovery.state).await?;
            }
        }
        let current = self.current().await?.document;
        match self.probe(&current).await? {
            Probe::Accepted => Ok(()),
            Probe::Refused => Err(self.why_refused(&current).await),
        }
    }

    /// Explains why the right password is refused, for example because it has expired.
    async fn why_refused(&self, current: &Document) -> Error {
        if let (Backend::Target(target), Ok(Some(admin))) = (self.backend, self.admin(current).await) {
            let requirements =
                Requirements { login: &admin, user: current, other: None, keeps_former: false };
            if let Ok(diagnosis) = target.diagnose(requirements).await
                && let Some(Finding { problem, fix, .. }) = diagnosis.findings.into_iter().next()
            {
                let fix = fix.map(|fix| format!("; fix it with: {fix}")).unwrap_or_default();
                let text =
                    format!("the resource refuses AWSCURRENT although the password is right: {problem}{fix}");
                return Error::new(ErrorKind::Misconfigured, text);
            }
        }
        let text = "AWSCURRENT is still refused; something else is changing the secret or the resource at the same time";
        Error::new(ErrorKind::Refused, text)
    }

    /// Lists the versions to try: labelled ones in order of use, then the others, newest first.
    async fn candidates(&self, state: &SecretState) -> Result<Vec<VersionState>, Error> {
        let labelled = [AWSCURRENT, AWSPENDING, AWSPREVIOUS].map(|stage| state.labelled(stage));
        let listed = self.store.list_versions(self.secret_id).await?;
        let mut known = BTreeSet::new();
        let all = labelled.into_iter().flatten().cloned().chain(listed);
        Ok(all.filter(|version| known.insert(version.id.clone())).collect())
    }

    async fn document(&self, id: &str) -> Result<Document, Error> {
        match self.read(id).await? {
            Content::Value(version) => Ok(version.document),
            _ => Err(Error::new(
                ErrorKind::Conflict,
                "a version was removed while the command was running; run the command again",
            )),
        }
    }

    async fn make_current(&self, state: &SecretState, id: &str) -> Result<(), Error> {
        let current = state.labelled(AWSCURRENT).map(|version| version.id.as_str());
        let flip = StageMove { stage: AWSCURRENT, from: current, to: Some(id) };
        match self.store.move_stage(self.secret_id, flip).await? {
            Moved::Done => Ok(()),
            Moved::Conflict => Err(Error::new(
                ErrorKind::Conflict,
                "AWSCURRENT moved while the versions were being tried; nothing was changed",
            )),
        }
    }

    async fn give_current(&self, login: &Document, state: &SecretState) -> Result<(), Error> {
        let target = self.target()?;
        let _guard = self.hold(login, state).await?;
        let current = self.current_in(state).await?.document;
        if !login.is_same_resource(&current) {
            return Err(Error::new(
                ErrorKind::Misconfigured,
                "the credential that logs in is for another resource",
            ));
        }
        match target.apply(Change { login, credential: &current, keep: None }).await? {
            Applied::Done => self.drop_dead_pending(state, Some(&current)).await,
            Applied::LoginRefused => {
                Err(Error::new(ErrorKind::Conflict, "the credential that logged in a moment ago is refused"))
            }
        }
    }

    /// Removes `AWSPENDING` from a version that does not log in, so that a new rotation can start. A version without a
    /// value blocks nothing: its rotation starts by making one. `given` is the credential just set at the resource: any
    /// other password of the same user stopped working with that, even if a lagging replica still accepts it.
    async fn drop_dead_pending(&self, state: &SecretState, given: Option<&Document>) -> Result<(), Error> {
        let Some(pending) = state.labelled(AWSPENDING) else { return Ok(()) };
        if !pending.has(AWSCURRENT) {
            let content = self.read(&pending.id).await?;
            let is_replaced = match (&content, given) {
                (Content::Value(version), Some(given)) => {
                    let is_other = |field| version.document.field(field) != given.field(field);
                    !is_other("username") && is_other("password")
                }
                _ => false,
            };
            if !is_replaced && !matches!(self.login(&content).await?, Login::Refused | Login::Unusable(_)) {
                return Ok(());
            }
        }
        let stage = StageMove { stage: AWSPENDING, from: Some(&pending.id), to: None };
        self.store.move_stage(self.secret_id, stage).await.map(drop)
    }

    /// Takes the rotation lock, if the resource has locks, before a change that was decided on the basis of these
    /// labels, and checks that the labels have not changed.
    pub(crate) async fn hold(&self, login: &Document, state: &SecretState) -> Result<Option<Guard>, Error> {
        let lock = match self.backend {
            Backend::Target(target) => target.lock(login, &state.arn).await?,
            Backend::Provider(_) => Lock::Unsupported,
        };
        let guard = match lock {
            Lock::Held(guard) => Some(guard),
            Lock::Unsupported => None,
            Lock::LoginRefused => {
                let text = "the credential that logged in a moment ago is refused; run the command again";
                return Err(Error::new(ErrorKind::Conflict, text));
            }
            Lock::Busy => return Err(lock_is_busy()),
        };
        let now = self.store.describe(self.secret_id).await?;
        let holder = |state: &SecretState, stage| state.labelled(stage).map(|version| version.id.clone());
        if [AWSCURRENT, AWSPENDING].iter().any(|stage| holder(&now, stage) != holder(state, stage)) {
            let text =
                "the staging labels have moved in the meantime; nothing was changed: run the command again";
            return Err(Error::new(ErrorKind::Conflict, text));
        }
        Ok(guard)
    }
}

/// A search in progress.
struct Search<'a> {
    context: &'a RotationContext<'a>,
    /// The credential whose resource and users can be tried. `None` means any.
    reference: Option<Reference>,
    tried: Vec<(Zeroizing<String>, Zeroizing<String>)>,
    unlabelled: usize,
    reports: Vec<VersionReport>,
    created: Vec<(String, Option<std::time::SystemTime>)>,
    /// The last credential that was accepted.
    accepted: Option<Document>,
}

struct Reference {
    document: Document,
    users: Vec<Zeroizing<String>>,
}

impl<'a> Search<'a> {
    async fn new(
        context: &'a RotationContext<'a>,
        state: &SecretState,
        method: RecoveryMethod,
    ) -> Result<Self, Error> {
        let mut reference = None;
        let mut previous = None;
        if let Some(version) = state.labelled(AWSPREVIOUS)
            && let Content::Value(version) = context.read(&version.id).await?
        {
            previous = Some(version.document);
        }
        if let Some(version) = state.labelled(AWSCURRENT)
            && let Content::Value(Version { document, .. }) = context.read(&version.id).await?
            && let Ok(user) = document.username()
        {
            let mut users = vec![user];
            // The other user can become the current one, but cannot change this one's password.
            if context.strategy == StrategyName::AlternatingUsers && method == RecoveryMethod::LabelsFollow {
                let declared = context.settings.users.as_ref();
                users.push(other_user(declared, &document, previous.as_ref())?);
            }
            reference = Some(Reference { document, users });
        }
        Ok(Self {
            context,
            reference,
            tried: Vec::new(),
            unlabelled: 0,
            reports: Vec::new(),
            created: Vec::new(),
            accepted: None,
        })
    }

    /// Whether enough versions without a label have been refused. Each refusal brings the account closer to being
    /// locked.
    fn is_exhausted(&self, version: &VersionState) -> bool {
        !version.is_in_use() && self.unlabelled >= self.context.settings.recovery_attempts
    }

    /// Tries a version, and returns its credential if it logs in.
    async fn tries(&mut self, version: &VersionState) -> Result<Option<Document>, Error> {
        let content = self.context.read(&version.id).await?;
        let mut login = Login::NotTried;
        match &content {
            Content::Value(value) => {
                self.created.push((version.id.clone(), value.created));
                if self.may_try(&value.document) {
                    login = self.context.login(&content).await?;
                    self.unlabelled += usize::from(!version.is_in_use() && login == Login::Refused);
                }
            }
            Content::Absent | Content::Unusable(_) => login = self.context.login(&content).await?,
        }
        if let Login::Unreachable(reason) = &login {
            return Err(Error::new(ErrorKind::Unavailable, format!("no version can be tried: {reason}")));
        }
        let is_accepted = login == Login::Accepted;
        self.reports.push(self.context.report(version, &content, login));
        Ok(match content {
            Content::Value(version) if is_accepted => Some(version.document),
            _ => None,
        })
    }

    /// Returns the privileges that the found user lacks compared to the current one. Empty if the users are the same,
    /// or no administrator can see them.
    async fn lacks(&self, found: &Document) -> Vec<String> {
        let Some(Reference { document: current, .. }) = &self.reference else { return Vec::new() };
        let accounts = self.context.target().ok().and_then(Target::accounts);
        let (Some(accounts), true) = (accounts, found.field("username") != current.field("username")) else {
            return Vec::new();
        };
        match self.context.admin(current).await {
            Ok(Some(admin)) => accounts.missing(&admin, current, found).await.unwrap_or_default(),
            _ => Vec::new(),
        }
    }

    /// Whether a version can be tried: not if it is for another user or another server, and never twice.
    fn may_try(&mut self, document: &Document) -> bool {
        let key = match self.context.holder(document) {
            Some(holder) => (Zeroizing::new(holder), Zeroizing::new(document.text().to_owned())),
            None => return true,
        };
        if let Some(reference) = self.reference.as_ref().filter(|_| self.context.target().is_ok())
            && (!document.is_same_resource(&reference.document) || !reference.users.contains(&key.0))
        {
            return false;
        }
        let key = match document.password() {
            Ok(password) => (key.0, password),
            Err(_) => key,
        };
        let is_new = !self.tried.contains(&key);
        self.tried.push(key);
        is_new
    }

    /// Whether a version was created after the current one. If it is older, its rotation was overtaken.
    fn is_newer(&self, version: Option<&VersionState>, current: &str) -> bool {
        let created =
            |id: &str| self.created.iter().find(|(known, _)| known == id).and_then(|(_, date)| *date);
        match version.map(|version| (created(&version.id), created(current))) {
            Some((Some(version), Some(current))) => version >= current,
            _ => true,
        }
    }
}

fn sentence(plan: &RecoveryPlan, tried: &[VersionReport], state: &SecretState) -> String {
    let labels = |id: &str| match state.version(id).map(|version| version.stages.join(" ")) {
        Some(labels) if !labels.is_empty() => format!("{id} ({labels})"),
        _ => format!("{id}, which has no label,"),
    };
    let refused = tried.iter().filter(|version| version.login == Login::Refused).count();
    match plan {
        RecoveryPlan::None => match state.labelled(AWSPENDING).filter(|version| !version.has(AWSCURRENT)) {
            Some(_) => "AWSCURRENT logs in, and a rotation is in progress: resume or revert it".into(),
            None => "AWSCURRENT logs in: there is nothing to recover".into(),
        },
        RecoveryPlan::Finish(id) => {
            format!("AWSCURRENT is refused and version {} logs in: finish the rotation", labels(id))
        }
        RecoveryPlan::MakeCurrent(id) => {
            format!("AWSCURRENT is refused and version {} logs in: make it current", labels(id))
        }
        RecoveryPlan::GiveCurrent(id) => format!(
            "AWSCURRENT is refused and version {} logs in: log in with it and set the AWSCURRENT password on the server",
            labels(id)
        ),
        RecoveryPlan::GiveCurrentByAdministrator => format!(
            "no version logs in ({refused} refused): let the administrator set the AWSCURRENT password on the server"
        ),
        RecoveryPlan::Impossible => format!(
            "no version logs in ({refused} refused); an administrator can set the AWSCURRENT password on the server: run again with --administrator and, unless the secret names one, --master-secret; or try more versions with --attempts"
        ),
    }
}
