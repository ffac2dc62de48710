//! Takes over secrets that AWS's own functions have rotated so far.

use secretcache::AWSPREVIOUS;
use serde::Serialize;

use crate::details::Details;
use crate::diagnosis::{Finding, Requirements};
use crate::document::Document;
use crate::error::Error;
use crate::operate::advice::by_name;
use crate::operate::context::{Backend, Content, RotationContext};
use crate::operate::shell::quoted;
use crate::resource::{Resource, StrategyName, from_function};
use crate::strategy::alternating_users::{CANNOT_ALTERNATE, NEEDS_ADMINISTRATOR, mark, other_user};
use crate::strategy::prove_to;
use crate::target::{Accounts, Probe, UserStatus};

/// What is needed to take over a secret's rotation.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
#[non_exhaustive]
pub struct Adoption {
    /// The strategy from now on.
    #[serde(serialize_with = "by_name")]
    pub strategy: StrategyName,
    /// The rotation function, if rotation is enabled at the service.
    pub function: Option<String>,
    /// The user in use.
    pub user: Option<String>,
    /// With alternating users, the user whose turn is next.
    pub other_user: Option<String>,
    /// Problems that block the rotation, with the statements that fix them.
    pub findings: Vec<Finding>,
    /// Things that the operator should know.
    pub notes: Vec<String>,
    /// The changes to make at the resource, in order.
    pub actions: Vec<Action>,
}

/// A change at the resource.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub enum Action {
    /// Marks a user as belonging to this secret.
    Mark(String),
    /// Transfers what only the second user owns to the first, and lets the second act as the first.
    ChangeOwnership {
        /// The objects whose owner changes.
        objects: Vec<String>,
    },
}

impl Action {
    /// Describes the action in a sentence.
    pub fn sentence(&self) -> String {
        match self {
            Self::Mark(user) => format!("mark the user {user} as belonging to this secret"),
            Self::ChangeOwnership { objects } => {
                let count = match objects.len() {
                    0 => "no object yet".to_owned(),
                    1 => "one object".to_owned(),
                    several => format!("{several} objects"),
                };
                let shown = objects.iter().take(5).cloned().collect::<Vec<_>>().join(", ");
                let shown = if shown.is_empty() {
                    shown
                } else {
                    format!(" ({shown}{})", if objects.len() > 5 { ", …" } else { "" })
                };
                format!("let both users own what either creates; changes the owner of {count}{shown}")
            }
        }
    }
}

/// The fields that a secret needs to be rotated.
const REQUIRED: [&str; 3] = ["host", "username", "password"];

impl RotationContext<'_> {
    /// Checks what is needed to take over a secret. Changes nothing.
    ///
    /// # Errors
    ///
    /// Errors of the store, and [`ErrorKind::Misconfigured`](crate::ErrorKind::Misconfigured) if the value is not a
    /// JSON object.
    pub async fn inspect_adoption(
        &self,
        details: &Details,
        changes_ownership: bool,
    ) -> Result<Adoption, Error> {
        let current = self.current().await?.document;
        let mut adoption = Adoption {
            strategy: self.strategy,
            function: details.function.clone().filter(|_| details.state.rotation_enabled == Some(true)),
            user: self.holder(&current),
            other_user: None,
            findings: Vec::new(),
            notes: Vec::new(),
            actions: Vec::new(),
        };
        check_schema(&current, details, &mut adoption);
        let Backend::Target(target) = self.backend else { return Ok(adoption) };
        if !adoption.findings.is_empty() {
            return Ok(adoption);
        }
        match target.probe(&current).await {
            Ok(Probe::Accepted) => {}
            Ok(Probe::Refused) => {
                let fix = format!("secretcache recover {}", quoted(&details.name));
                adoption.findings.push(Finding::new("the resource refuses AWSCURRENT").fixed_by(fix));
                return Ok(adoption);
            }
            Err(error) => {
                adoption.findings.push(Finding::from(&error));
                return Ok(adoption);
            }
        }
        let outcome = match self.strategy {
            StrategyName::AlternatingUsers => {
                self.look_at_users(details, &current, changes_ownership, &mut adoption).await
            }
            _ => {
                let keeps_former = self.strategy == StrategyName::DualPassword;
                let admin = self.admin(&current).await?;
                let login = admin.as_ref().unwrap_or(&current);
                let requirements = Requirements { keeps_former, ..Requirements::new(login, &current) };
                target.diagnose(requirements).await.map(|seen| {
                    adoption.findings.extend(seen.findings);
                    adoption.notes.extend(seen.warnings);
                })
            }
        };
        if let Err(error) = outcome {
            adoption.findings.push(Finding::from(&error));
        }
        Ok(adoption)
    }

    /// Carries out the actions.
    ///
    /// # Errors
    ///
    /// Errors of the store and the resource. Actions already carried out stay; repeating them is harmless.
    pub async fn adopt(&self, details: &Details, adoption: &Adoption) -> Result<(), Error> {
        let (Backend::Target(target), Some(other)) = (self.backend, &adoption.other_user) else {
            return Ok(());
        };
        let current = self.current().await?.document;
        let (Some(admin), Some(accounts)) = (self.admin(&current).await?, target.accounts()) else {
            return Ok(());
        };
        let _guard = self.hold(&admin, &details.state).await?;
        let candidate = current.with("username", other)?;
        for action in &adoption.actions {
            match action {
                Action::Mark(user) => {
                    let user = current.with("username", user)?;
                    accounts.mark(&admin, &user, &mark(&details.state.arn)).await?;
                }
                Action::ChangeOwnership { .. } => {
                    accounts.share_ownership(&admin, &current, &candidate).await?
                }
            }
        }
        Ok(())
    }

    async fn look_at_users(
        &self,
        details: &Details,
        current: &Document,
        changes_ownership: bool,
        adoption: &mut Adoption,
    ) -> Result<(), Error> {
        let target = self.target()?;
        let (admin, accounts) = match (self.admin(current).await?, target.accounts()) {
            (Some(admin), Some(accounts)) => (admin, accounts),
            (_, None) => {
                adoption.findings.push(Finding::new(CANNOT_ALTERNATE));
                return Ok(());
            }
            (None, _) => {
                adoption.findings.push(Finding::new(NEEDS_ADMINISTRATOR));
                return Ok(());
            }
        };
        prove_to(&admin, target, current).await?;
        let mut previous = None;
        if let Some(version) = details.state.labelled(AWSPREVIOUS)
            && let Content::Value(version) = self.read(&version.id).await?
        {
            previous = Some(version.document);
        }
        let declared = self.settings.users.as_ref();
        let name = other_user(declared, current, previous.as_ref())?;
        let other = current.with("username", &name)?;
        adoption.other_user = Some(name.to_string());
        let requirements = Requirements { other: Some(&other), ..Requirements::new(&admin, current) };
        let seen = target.diagnose(requirements).await?;
        adoption.findings.extend(seen.findings);
        adoption.notes.extend(seen.warnings);
        if !adoption.findings.is_empty() {
            return Ok(());
        }
        let status = accounts.user_status(&admin, &other, &mark(&details.state.arn)).await?;
        match status {
            UserStatus::Absent => {
                adoption
                    .notes
                    .push(format!("the user {} does not exist; the first rotation creates it", *name));
                return Ok(());
            }
            UserStatus::Foreign
                if declared.is_none()
                    && !self.versions(&details.state).know(target, &admin, &other, status).await? =>
            {
                let used = current.username()?;
                adoption.findings.push(Finding::new(format!(
                    "the user {} exists, and nothing shows that it belongs to this secret; if it does, declare it with --users {}",
                    *name,
                    quoted(&format!("{},{}", *used, *name))
                )));
                return Ok(());
            }
            UserStatus::Foreign => adoption.actions.push(Action::Mark(name.to_string())),
            UserStatus::Ours => {}
        }
        ownership(accounts, &admin, [current, &other], changes_ownership, adoption).await
    }
}

/// Checks object ownership: objects that only one of the two users can use would break the other after the next flip.
async fn ownership(
    accounts: &dyn Accounts,
    admin: &Document,
    [current, other]: [&Document; 2],
    changes_ownership: bool,
    adoption: &mut Adoption,
) -> Result<(), Error> {
    let objects = accounts.unshared_objects(admin, current, other).await?;
    if changes_ownership {
        adoption.actions.push(Action::ChangeOwnership { objects });
    } else if !objects.is_empty() {
        let shown = objects.iter().take(5).cloned().collect::<Vec<_>>().join(", ");
        adoption.notes.push(format!(
            "{} object(s) belong to only one of the users, and the other cannot use them after the next rotation ({shown}); --change-ownership lets both own them",
            objects.len()
        ));
    }
    Ok(())
}

fn check_schema(current: &Document, details: &Details, adoption: &mut Adoption) {
    if let Some(service) = &details.managed_by {
        let problem = format!("the secret is managed by {service}, which rotates it; do not adopt it");
        adoption.findings.push(Finding::new(problem));
    }
    if details.under_way().is_some() {
        let resume = format!("secretcache rotate {} --resume", quoted(&details.name));
        adoption.findings.push(
            Finding::new("a rotation is in progress; let it finish, or resume or revert it, first")
                .fixed_by(resume),
        );
    }
    if let Some(function) = &adoption.function {
        let name = function.rsplit(':').next().unwrap_or(function);
        adoption.notes.push(format!(
            "{name} also rotates this secret while rotation is on; after adopting, turn it off: aws secretsmanager cancel-rotate-secret --secret-id {}",
            quoted(&details.name)
        ));
        if let Some((_, strategy)) = from_function(function)
            && strategy != adoption.strategy
        {
            let (theirs, ours) = (strategy.name(), adoption.strategy.name());
            adoption.notes.push(format!("{name} rotates with {theirs}; this would change it to {ours}"));
        }
    }
    if adoption.strategy == StrategyName::ApiKey {
        return;
    }
    for field in REQUIRED.iter().filter(|field| current.field(field).is_none_or(|value| value.is_empty())) {
        adoption.findings.push(Finding::new(format!("the secret has no {field:?}")));
    }
    match Resource::of(current, None, details.function.as_deref()) {
        Ok((_, Some(guess))) => adoption.notes.push(guess),
        Ok((_, None)) => {}
        Err(error) => adoption.notes.push(error.message().to_owned()),
    }
    if current.field("ssl").is_none() {
        adoption.notes.push(
            "the secret has no \"ssl\": AWS's functions then fall back to no TLS if TLS fails; this one never does"
                .to_owned(),
        );
    }
}
