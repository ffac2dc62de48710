//! Decides whether a principal can make a request, and which statement or missing policy is the reason.
//!
//! The order follows
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic_policy-eval-denyallow.html>.
//! An explicit deny in any policy is final. Otherwise the control policies and the VPC endpoint's policy must allow the
//! request. So must the resource policy or the identity policies, or both if the resource is in another account, and
//! the permissions boundary and session policies as far as they apply. A KMS grant can replace all of these except the
//! control policies and the endpoint's policy.

use std::fmt;

use crate::condition::{Context, Truth};
use crate::document::{Document, Scope, Statement};

mod logic;
mod statement;

use logic::{Evaluation, Permission};
pub(crate) use statement::{concerns_action, concerns_resource, conditions_hold, names_caller};

/// Who makes a request.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Caller {
    /// The ARN of a role, user, session or root user; the name of a service; empty for an anonymous caller.
    pub arn: String,
    /// The account's 12 digits; empty for services and anonymous callers.
    pub account: String,
    /// The kind of caller.
    pub kind: CallerKind,
    /// The unique id of the role or user, which policies can name instead of the ARN; empty if it is unknown.
    pub id: String,
}

/// The kind of a caller.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum CallerKind {
    /// An unspecified session of a role.
    Role,
    /// One session of a role, with the ARN `arn:aws:sts::…:assumed-role/…`.
    Session {
        /// The role's ARN.
        role: String,
    },
    /// A user.
    User,
    /// The root user of an account.
    Root,
    /// An AWS service.
    Service,
    /// Anyone, without credentials.
    Anonymous,
}

impl Caller {
    /// Derives the account and the kind from an ARN, or from the name of a service such as `lambda.amazonaws.com`.
    ///
    /// ```
    /// use secretcache_access::evaluate::{Caller, CallerKind};
    ///
    /// let role = Caller::from_arn("arn:aws:iam::111122223333:role/team/app");
    /// assert_eq!((role.account.as_str(), role.kind), ("111122223333", CallerKind::Role));
    /// let session = Caller::from_arn("arn:aws:sts::111122223333:assumed-role/app/i-0abc");
    /// assert_eq!(session.kind, CallerKind::Session { role: "arn:aws:iam::111122223333:role/app".into() });
    /// ```
    pub fn from_arn(arn: &str) -> Self {
        let parts: Vec<_> = arn.splitn(6, ':').collect();
        let [_, partition, service, _, account, resource] = parts[..] else {
            let kind = if arn.is_empty() { CallerKind::Anonymous } else { CallerKind::Service };
            return Self { arn: arn.to_owned(), account: String::new(), kind, id: String::new() };
        };
        let kind = match resource.split_once('/') {
            Some(("assumed-role", rest)) if service == "sts" => {
                let name = rest.split('/').next().unwrap_or(rest);
                CallerKind::Session { role: format!("arn:{partition}:iam::{account}:role/{name}") }
            }
            Some(("role", _)) => CallerKind::Role,
            _ if resource == "root" => CallerKind::Root,
            _ => CallerKind::User,
        };
        Self { arn: arn.to_owned(), account: account.to_owned(), kind, id: String::new() }
    }

    /// Sets the unique id, so that policies that name the caller by it match too.
    #[must_use]
    pub fn with_id(self, id: &str) -> Self {
        Self { id: id.to_owned(), ..self }
    }

    fn is_role(&self) -> bool {
        matches!(self.kind, CallerKind::Role | CallerKind::Session { .. })
    }
}

/// One request.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The caller.
    pub caller: &'a Caller,
    /// The action, such as `secretsmanager:GetSecretValue`.
    pub action: &'a str,
    /// The resource's ARN, or `*` for an action without resources.
    pub resource: &'a str,
    /// The account that owns the resource.
    pub resource_account: &'a str,
    /// The context keys of the request.
    pub context: &'a Context,
}

/// A policy and its name.
#[derive(Clone, Copy, Debug)]
pub struct Named<'a> {
    /// Its name or ARN.
    pub name: &'a str,
    /// Its document.
    pub document: &'a Document,
}

/// All policies that apply to a request.
#[derive(Clone, Debug, Default)]
pub struct Policies<'a> {
    /// The service control policies, one list per level of the organization.
    pub service_control: Vec<Vec<Named<'a>>>,
    /// The resource control policies, one list per level of the organization.
    pub resource_control: Vec<Vec<Named<'a>>>,
    /// The caller's identity policies, including those of its groups.
    pub identity: Vec<Named<'a>>,
    /// The permissions boundary.
    pub boundary: Option<Named<'a>>,
    /// The session policies; `None` if the session was created without any.
    pub session: Option<Vec<Named<'a>>>,
    /// The resource's policy.
    pub resource: Option<Named<'a>>,
    /// Whether `resource` is a KMS key's policy, without which identity policies have no effect.
    pub is_key_policy: bool,
    /// The grants on that key, each converted to a statement.
    pub grants: Option<Named<'a>>,
    /// The policy of the VPC endpoint that the request takes.
    pub endpoint: Option<Named<'a>>,
    /// Policies that also apply but whose documents are unknown. Each may deny. Each may also allow, except for a
    /// resource policy that is not a key's.
    pub unknown: Vec<(Link, &'a str)>,
}

impl Policies<'_> {
    /// The type of the resource's policy.
    fn resource_link(&self) -> Link {
        if self.is_key_policy { Link::KeyPolicy } else { Link::Resource }
    }

    /// Checks whether the document of a policy of this type is unknown.
    fn have_unknown(&self, link: Link) -> bool {
        self.unknown.iter().any(|(unknown, _)| *unknown == link)
    }

    /// Checks whether any statement has a condition on a key.
    pub(crate) fn have_condition(&self, key: &str) -> bool {
        let control = self.service_control.iter().chain(&self.resource_control).flatten();
        let own = self.identity.iter().chain(&self.boundary).chain(self.session.iter().flatten());
        let all = control.chain(own).chain(&self.resource).chain(&self.endpoint);
        let statements = all.flat_map(|policy| &policy.document.statements);
        statements.flat_map(|it| &it.conditions).any(|it| it.key.eq_ignore_ascii_case(key))
    }
}

/// A kind of policy.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
#[allow(missing_docs, reason = "they say it")]
pub enum Link {
    ServiceControl,
    ResourceControl,
    Endpoint,
    Identity,
    Resource,
    KeyPolicy,
    Grant,
    Boundary,
    Session,
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ServiceControl => "service control policy",
            Self::ResourceControl => "resource control policy",
            Self::Endpoint => "endpoint policy",
            Self::Identity => "identity policy",
            Self::Resource => "resource policy",
            Self::KeyPolicy => "key policy",
            Self::Grant => "grant",
            Self::Boundary => "permissions boundary",
            Self::Session => "session policy",
        })
    }
}

/// A statement that contributed to a decision.
#[derive(Clone, Copy, Debug)]
pub struct Cited<'a> {
    /// The kind of policy.
    pub link: Link,
    /// The policy's name.
    pub policy: &'a str,
    /// The index of the statement in the policy, from 0.
    pub index: usize,
    /// The statement.
    pub statement: &'a Statement,
}

impl fmt::Display for Cited<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}, {}", self.link, self.policy, self.statement.title(self.index))
    }
}

impl Cited<'_> {
    /// Describes the requirements for the statement to apply: its conditions, or that the caller is a session it names.
    pub fn depends_on(&self) -> String {
        let conditions = self.statement.conditions.iter().map(ToString::to_string);
        let sessions = self.statement.principal.iter().flat_map(|scope| scope.listed().0.values().flatten());
        let sessions: Vec<_> = sessions
            .filter(|id| matches!(Caller::from_arn(id).kind, CallerKind::Session { .. }))
            .map(String::as_str)
            .collect();
        let is = if matches!(self.statement.principal, Some(Scope::AllBut(_))) { "is not" } else { "is" };
        let named = (!sessions.is_empty()).then(|| format!("the session {is} {}", sessions.join(" or ")));
        let all: Vec<_> = named.into_iter().chain(conditions).collect();
        if !all.is_empty() {
            return all.join(" and ");
        }
        // The only unknown left is the value of a variable in its resources.
        let (verb, between) = match self.statement.resource {
            Some(Scope::AllBut(_)) => ("does not match", " and "),
            _ => ("matches", " or "),
        };
        let resources = self.statement.resource.iter().flat_map(|scope| scope.listed());
        let variables = resources.filter(|it| it.contains("${"));
        variables.map(|it| format!("the resource {verb} {it}")).collect::<Vec<_>>().join(between)
    }
}

/// The result of a request.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Outcome {
    /// The request is refused.
    Denied,
    /// The result depends on something unknown, such as where the request comes from.
    Conditional,
    /// The request is allowed.
    Allowed,
}

/// The result of a request, and the reasons.
#[derive(Clone, Debug)]
pub struct Decision<'a> {
    /// The result.
    pub outcome: Outcome,
    /// The explicit deny, or the statements that allow the request.
    pub because: Vec<Cited<'a>>,
    /// The kinds of policy that would have to allow the request and do not. Empty after an explicit deny.
    pub missing: Vec<Link>,
    /// The statements whose conditions may or may not hold.
    pub depends_on: Vec<Cited<'a>>,
    /// Policies with unknown documents that could change the outcome.
    pub unknown: Vec<(Link, &'a str)>,
}

impl<'a> Decision<'a> {
    fn denied(because: Vec<Cited<'a>>, missing: Vec<Link>) -> Self {
        Self { outcome: Outcome::Denied, because, missing, depends_on: Vec::new(), unknown: Vec::new() }
    }
}

/// Decides a request.
///
/// ```
/// use secretcache_access::Document;
/// use secretcache_access::condition::Context;
/// use secretcache_access::evaluate::{Caller, Named, Outcome, Policies, Request, evaluate};
///
/// let document = Document::parse(
///     r#"{"Version": "2012-10-17", "Statement": [
///         {"Effect": "Allow", "Action": "secretsmanager:GetSecretValue",
///          "Resource": "arn:aws:secretsmanager:*:*:secret:prod/checkout/*"}]}"#,
/// )?;
/// let policies = Policies {
///     identity: vec![Named { name: "read", document: &document }],
///     ..Policies::default()
/// };
/// let caller = Caller::from_arn("arn:aws:iam::111122223333:role/app");
/// let context = Context::closed();
/// let request = Request {
///     caller: &caller,
///     action: "secretsmanager:GetSecretValue",
///     resource: "arn:aws:secretsmanager:eu-central-1:111122223333:secret:prod/checkout/db-AbCdEf",
///     resource_account: "111122223333",
///     context: &context,
/// };
/// assert_eq!(evaluate(&request, &policies).outcome, Outcome::Allowed);
/// # Ok::<(), secretcache_access::document::PolicyError>(())
/// ```
pub fn evaluate<'a>(request: &Request<'_>, policies: &Policies<'a>) -> Decision<'a> {
    let evaluation = Evaluation::new(request, policies);
    let denies = evaluation.denies();
    if let Some((_, cited)) = denies.iter().find(|(truth, _)| *truth == Truth::Yes) {
        return Decision::denied(vec![*cited], Vec::new());
    }
    let Permission { truth, because, depends_on: conditional_allows, missing } = evaluation.permission();
    let mut depends_on: Vec<_> = denies.into_iter().map(|(_, cited)| cited).collect();
    depends_on.extend(conditional_allows);
    let outcome = match truth {
        Truth::No => Outcome::Denied,
        Truth::Yes if depends_on.is_empty() && policies.unknown.is_empty() => Outcome::Allowed,
        _ => Outcome::Conditional,
    };
    if outcome == Outcome::Denied {
        return Decision::denied(Vec::new(), missing);
    }
    Decision { outcome, because, missing, depends_on, unknown: policies.unknown.clone() }
}
