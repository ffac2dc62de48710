//! The dry run: what a rotation would do, and what blocks it.

use secretcache::{AWSCURRENT, AWSPREVIOUS};
use serde::Serialize;

use crate::dependent;
use crate::diagnosis::{Diagnosis, Finding, Requirements};
use crate::document::Document;
use crate::error::{Error, ErrorKind};
use crate::event::Step;
use crate::observer::Rotation;
use crate::operate::advice::{Clients, Recommendation, Situation, by_name, recommend};
use crate::operate::context::{Backend, Content, RotationContext};
use crate::operate::shell::quoted;
use crate::resource::StrategyName;
use crate::runner::Runner;
use crate::store::{SecretState, Version};
use crate::strategy::alternating_users::{CANNOT_ALTERNATE, NEEDS_ADMINISTRATOR, mark, not_ours, other_user};
use crate::strategy::{complete, prove_to};
use crate::target::{Probe, Target};

/// The result of a dry run.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
#[non_exhaustive]
pub struct Forecast {
    /// The strategy that this forecast assumes.
    #[serde(serialize_with = "by_name")]
    pub strategy: StrategyName,
    /// The server's name and version; empty if unknown.
    pub server: String,
    /// The id of the version that is current now.
    pub current_version_id: String,
    /// The id of the version that would become current.
    pub version_id: String,
    /// Whether a rotation is in progress and would be resumed.
    pub is_resumed: bool,
    /// The user in the new version.
    pub user: Option<String>,
    /// What each step would do, in order.
    pub steps: Vec<StepForecast>,
    /// Problems that block the rotation, with the statements that fix them.
    pub findings: Vec<Finding>,
    /// Things that do not block it, but that the operator should know.
    pub warnings: Vec<String>,
    /// The recommended strategy.
    pub recommendation: Recommendation,
}

/// What one step would do.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
#[non_exhaustive]
pub struct StepForecast {
    /// The step's name.
    pub step: &'static str,
    /// What it would do, in a sentence.
    pub what: String,
}

/// With fewer random bits than this, a password can be guessed from its hash.
const FEWEST_BITS: f64 = 64.0;

impl RotationContext<'_> {
    /// Runs a dry run. Changes neither the labels nor the resource. `strategy` is the chosen strategy, and defaults to
    /// the recommended one.
    ///
    /// # Errors
    ///
    /// Errors of the store, and of a value that is not a credential. Everything else is a [`Finding`].
    pub async fn forecast(
        &self,
        strategy: Option<StrategyName>,
        clients: Option<Clients>,
    ) -> Result<Forecast, Error> {
        let state = self.store.describe(self.secret_id).await?;
        let current = self.current().await?;
        let mut dry_run = DryRun {
            context: *self,
            current: &current,
            state: &state,
            findings: Vec::new(),
            warnings: Vec::new(),
        };
        // Try the application's credential first. The administrator, who only reads here, can see why it is refused.
        let may_log_in = dry_run.current_logs_in().await?;
        let admin = dry_run.administrator().await?;
        let login = admin.as_ref().or(may_log_in.then_some(&current.document));
        let mut situation = Situation {
            is_key: matches!(self.backend, Backend::Provider(_)),
            has_administrator: admin.is_some(),
            clients,
            ..Situation::default()
        };
        let mut server = String::new();
        // Nothing is known about a server that was not asked.
        let mut unseen = match (self.backend, login) {
            (Backend::Target(_), None) => dry_run.findings.first().map(|finding| finding.problem.clone()),
            _ => None,
        };
        if let (Backend::Target(target), Some(login)) = (self.backend, login) {
            let requirements =
                Requirements { keeps_former: true, ..Requirements::new(login, &current.document) };
            let seen = match dry_run.diagnose(target, requirements).await {
                Ok(seen) => seen,
                Err(error) => {
                    unseen = Some(error.in_full());
                    Diagnosis::default()
                }
            };
            situation.has_accounts = target.accounts().is_some();
            situation.dual_passwords = seen.dual_passwords;
            situation.may_keep_former = seen.findings.is_empty();
            server = seen.server;
        }
        let recommendation = match &unseen {
            Some(reason) => Recommendation::unknown(format!("could not inspect the server ({reason})")),
            None => recommend(situation),
        };
        let strategy = strategy.unwrap_or(recommendation.strategy);
        dry_run.context.strategy = strategy;
        let whose = if server.is_empty() { "this resource" } else { &server };
        let problem = match strategy {
            StrategyName::DualPassword if !situation.dual_passwords && unseen.is_none() => {
                Some(format!("{whose} supports one password per user; choose another strategy"))
            }
            StrategyName::AlternatingUsers if !situation.has_accounts => Some(CANNOT_ALTERNATE.to_owned()),
            _ => None,
        };
        if let Some(problem) = problem.filter(|_| login.is_some()) {
            let other = recommendation.strategy.name();
            let fix = format!("secretcache rotate {} --strategy {other}", quoted(self.secret_id));
            dry_run.findings.push(Finding::new(problem).fixed_by(fix));
        }
        let user = dry_run.next_user().await?;
        if let (Backend::Target(target), Some(login)) = (self.backend, login) {
            dry_run.at_target(target, login, admin.as_ref(), user.as_deref()).await?;
        }
        dry_run.password().await?;
        let rotation = dry_run.rotation().await?;
        let steps = steps(strategy, &rotation, &current.document, user.as_deref(), admin.as_ref());
        Ok(Forecast {
            strategy,
            server,
            current_version_id: rotation.current,
            version_id: rotation.token,
            is_resumed: rotation.is_resumed,
            user,
            steps,
            findings: dry_run.findings,
            warnings: dry_run.warnings,
            recommendation,
        })
    }
}

/// A dry run in progress.
struct DryRun<'a> {
    context: RotationContext<'a>,
    current: &'a Version,
    state: &'a SecretState,
    findings: Vec<Finding>,
    warnings: Vec<String>,
}

impl DryRun<'_> {
    /// Returns the administrator's credential, if one is named and works.
    async fn administrator(&mut self) -> Result<Option<Document>, Error> {
        let Backend::Target(target) = self.context.backend else { return Ok(None) };
        let admin = match self.context.admin(&self.current.document).await {
            Ok(admin) => admin,
            Err(error) if error.kind() == ErrorKind::Unavailable => return Err(error),
            Err(error) => {
                self.findings.push(Finding::new(format!("the administrator's secret: {}", error.in_full())));
                None
            }
        };
        let Some(admin) = admin else { return Ok(None) };
        match target.probe(&admin).await {
            Ok(Probe::Accepted) => return Ok(Some(admin)),
            Ok(Probe::Refused) => {
                self.findings.push(Finding::new("the resource refuses the administrator's credential"));
            }
            Err(error) => self.findings.push(Finding::from(&error)),
        }
        Ok(None)
    }

    async fn current_logs_in(&mut self) -> Result<bool, Error> {
        match self.context.probe(&self.current.document).await {
            Ok(Probe::Accepted) => return Ok(true),
            Ok(Probe::Refused) => {
                let fix = format!("secretcache recover {}", quoted(self.context.secret_id));
                self.findings.push(Finding::new("the resource refuses AWSCURRENT").fixed_by(fix));
            }
            Err(error) => self.findings.push(Finding::from(&error)),
        }
        Ok(false)
    }

    /// Returns the target's diagnosis. A failure to diagnose is a finding too.
    async fn diagnose(
        &mut self,
        target: &dyn Target,
        requirements: Requirements<'_>,
    ) -> Result<Diagnosis, Error> {
        let diagnosis = target.diagnose(requirements).await;
        if let Err(error) = &diagnosis {
            let finding = Finding::from(error);
            if !self.findings.contains(&finding) {
                self.findings.push(finding);
            }
        }
        diagnosis
    }

    /// Returns the user in the new version.
    async fn next_user(&mut self) -> Result<Option<String>, Error> {
        let current = &self.current.document;
        if self.context.strategy != StrategyName::AlternatingUsers {
            return Ok(match self.context.backend {
                Backend::Target(_) => Some(current.username()?.to_string()),
                Backend::Provider(_) => None,
            });
        }
        let previous = self.previous().await?;
        match other_user(self.context.settings.users.as_ref(), current, previous.as_ref()) {
            Ok(user) => Ok(Some(user.to_string())),
            Err(error) => {
                self.findings.push(Finding::from(&error));
                Ok(None)
            }
        }
    }

    async fn previous(&self) -> Result<Option<Document>, Error> {
        let Some(previous) = self.state.labelled(AWSPREVIOUS) else { return Ok(None) };
        Ok(match self.context.read(&previous.id).await? {
            Content::Value(version) => Some(version.document),
            _ => None,
        })
    }

    /// Collects the target's objections to the strategy.
    async fn at_target(
        &mut self,
        target: &dyn Target,
        login: &Document,
        admin: Option<&Document>,
        user: Option<&str>,
    ) -> Result<(), Error> {
        let current = &self.current.document;
        let strategy = self.context.strategy;
        if let Some(admin) = admin
            && let Err(error) = prove_to(admin, target, current).await
        {
            self.findings.push(Finding::from(&error));
            return Ok(());
        }
        let keeps_former = strategy == StrategyName::DualPassword;
        if strategy != StrategyName::AlternatingUsers {
            let found = self
                .diagnose(target, Requirements { keeps_former, ..Requirements::new(login, current) })
                .await
                .unwrap_or_default();
            self.findings.extend(found.findings);
            self.warnings.extend(found.warnings);
            return Ok(());
        }
        let (Some(admin), Some(accounts), Some(user)) = (admin, target.accounts(), user) else {
            if target.accounts().is_some() {
                self.findings.push(Finding::new(NEEDS_ADMINISTRATOR));
            }
            return Ok(());
        };
        let other = current.with("username", user)?;
        let requirements =
            Requirements { other: Some(&other), keeps_former, ..Requirements::new(admin, current) };
        let found = self.diagnose(target, requirements).await.unwrap_or_default();
        // Without the permission to look up users, it cannot be checked who the other one belongs to.
        let may_look = found.findings.is_empty();
        self.findings.extend(found.findings);
        self.warnings.extend(found.warnings);
        if !may_look {
            return Ok(());
        }
        match accounts.depends_on_name(admin, current, &other).await {
            Ok(warnings) => self.warnings.extend(warnings),
            // Not a finding: a rotation does not check this.
            Err(error) => self
                .warnings
                .push(format!("could not find out what depends on the user's name: {}", error.in_full())),
        }
        if self.context.settings.users.is_some() {
            return Ok(());
        }
        let is_known = match accounts.user_status(admin, &other, &mark(&self.state.arn)).await {
            Ok(status) => self.context.versions(self.state).know(target, admin, &other, status).await?,
            Err(error) => {
                self.findings.push(Finding::from(&error));
                return Ok(());
            }
        };
        if !is_known {
            let current = current.username()?;
            let problem = not_ours(user);
            let fix = format!(
                "secretcache rotate {} --strategy alternating-users --users {}",
                quoted(self.context.secret_id),
                quoted(&format!("{},{user}", *current))
            );
            self.findings.push(Finding::new(problem).fixed_by(fix));
        }
        Ok(())
    }

    /// Checks that passwords can be generated under the policy, and that the target accepts them.
    async fn password(&mut self) -> Result<(), Error> {
        let Backend::Target(target) = self.context.backend else { return Ok(()) };
        let policy = &self.context.settings.password;
        let bits = policy.bits();
        if bits < FEWEST_BITS {
            self.warnings.push(format!(
                "passwords under this policy have {bits:.0} random bits; use {FEWEST_BITS:.0} or more: make them longer or exclude less"
            ));
        }
        let made = async {
            let password = self.context.store.random_password(policy).await?;
            policy.check(&password)?;
            let next = self.current.document.with("password", &password)?;
            complete(target, &self.current.document, next).map(drop)
        };
        match made.await {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == ErrorKind::Unavailable => Err(error),
            Err(error) => {
                self.findings.push(Finding::from(&error));
                Ok(())
            }
        }
    }

    async fn rotation(&self) -> Result<Rotation, Error> {
        let strategy = self.context.strategy_object();
        let RotationContext { store, pause, settings, .. } = self.context;
        let runner = Runner { store, strategy: strategy.as_ref(), pause, settings, attempts: 1 };
        runner.find(self.context.secret_id).await
    }
}

fn steps(
    strategy: StrategyName,
    rotation: &Rotation,
    current: &Document,
    user: Option<&str>,
    admin: Option<&Document>,
) -> Vec<StepForecast> {
    let name = |document: &Document| {
        document.field("username").map_or_else(|| "the user".to_owned(), |name| name.to_string())
    };
    let by = admin.map_or_else(|| name(current), name);
    let user = user.unwrap_or("the other user");
    let host = current.field("host").map_or_else(|| "the resource".to_owned(), |host| host.to_string());
    let token = &rotation.token;
    let create = match (rotation.is_resumed, strategy) {
        (true, _) => format!("continue with version {token}, which is AWSPENDING"),
        (false, StrategyName::ApiKey) => format!(
            "revoke keys that no version in use contains, create a key, and store it as version {token} (AWSPENDING)"
        ),
        (false, _) => {
            let more = match &dependent::names(current, user)[..] {
                [] => String::new(),
                names => format!(" and update {}", names.join(", ")),
            };
            format!("store a new password for {user} as version {token} (AWSPENDING){more}")
        }
    };
    let set = match strategy {
        StrategyName::SingleUser => {
            format!(
                "change the password of {user} at {host}, as {by}; from then until finishSecret, only AWSPENDING logs in"
            )
        }
        StrategyName::AlternatingUsers => format!(
            "as {by} at {host}, create {user} if it does not exist, give it the rights of {}, then the password",
            name(current)
        ),
        StrategyName::DualPassword => {
            format!(
                "as {by} at {host}, give {user} the new password in addition to the current one; an older one stops working"
            )
        }
        StrategyName::ApiKey => "nothing: the key works as soon as it is created".to_owned(),
    };
    let test = match strategy {
        StrategyName::AlternatingUsers => {
            format!("log in as {user}, and compare its rights with those of {}", name(current))
        }
        StrategyName::ApiKey => "make a harmless request with the new key".to_owned(),
        _ => format!("log in as {user} with the new password"),
    };
    let finish = format!("move {AWSCURRENT} from version {} to {token}", rotation.current);
    let whats = [create, set, test, finish];
    Step::ALL.iter().zip(whats).map(|(step, what)| StepForecast { step: step.name(), what }).collect()
}
