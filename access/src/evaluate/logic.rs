//! The policy evaluation logic: what the policies of each type say about a request, and what they permit together.

use super::statement::{NamedAs, concerns_action, concerns_resource, conditions_hold, named_as};
use super::{CallerKind, Cited, Link, Named, Policies, Request};
use crate::condition::Truth;
use crate::document::Effect;

/// A request, and the statements of each type of policy that match it.
pub(super) struct Evaluation<'r, 'a> {
    request: &'r Request<'r>,
    policies: &'r Policies<'a>,
    service_control: Vec<Matched<'a>>,
    resource_control: Vec<Matched<'a>>,
    endpoint: Option<Matched<'a>>,
    identity: Matched<'a>,
    resource: Matched<'a>,
    grants: Matched<'a>,
    boundary: Option<Matched<'a>>,
    session: Option<Matched<'a>>,
}

impl<'r, 'a> Evaluation<'r, 'a> {
    pub(super) fn new(request: &'r Request<'r>, policies: &'r Policies<'a>) -> Self {
        let has_boundary = policies.boundary.is_some() || policies.have_unknown(Link::Boundary);
        let matched = |link, all: &[Named<'a>]| Matched::new(link, all, request, has_boundary);
        let levels = |link, levels: &[Vec<Named<'a>>]| -> Vec<Matched<'a>> {
            levels.iter().map(|level| matched(link, level)).collect()
        };
        let resource_link = policies.resource_link();
        Self {
            request,
            policies,
            service_control: levels(Link::ServiceControl, &policies.service_control),
            resource_control: levels(Link::ResourceControl, &policies.resource_control),
            endpoint: policies.endpoint.map(|policy| matched(Link::Endpoint, &[policy])),
            identity: matched(Link::Identity, &policies.identity),
            resource: policies.resource.map(|policy| matched(resource_link, &[policy])).unwrap_or_default(),
            grants: policies.grants.map(|grants| matched(Link::Grant, &[grants])).unwrap_or_default(),
            boundary: policies.boundary.map(|policy| matched(Link::Boundary, &[policy])),
            session: policies.session.as_ref().map(|all| matched(Link::Session, all)),
        }
    }

    /// Returns the explicit denies, at most one of each policy.
    pub(super) fn denies(&self) -> Vec<(Truth, Cited<'a>)> {
        let all = self
            .service_control
            .iter()
            .chain(&self.resource_control)
            .chain(&self.endpoint)
            .chain([&self.identity, &self.resource])
            .chain(&self.boundary)
            .chain(&self.session);
        all.filter_map(|matched| matched.deny).collect()
    }

    /// Returns what the policies permit together, apart from explicit denies.
    pub(super) fn permission(&self) -> Permission<'a> {
        let (by_grants, by_policies) = (self.grants(), self.policies_of_caller_and_resource());
        // A missing grant is not reported as missing: access is normally given by policies.
        let granted = if by_grants.truth > by_policies.truth { by_grants } else { by_policies };
        self.guardrails().and(granted)
    }

    /// The control policies of the organization and the endpoint's policy, which give no access and limit every caller.
    fn guardrails(&self) -> Permission<'a> {
        let mut permission = Permission::full();
        for (link, levels) in
            [(Link::ServiceControl, &self.service_control), (Link::ResourceControl, &self.resource_control)]
        {
            for level in levels {
                permission = permission.and(self.known_or_open(link, level.allow));
            }
        }
        match &self.endpoint {
            Some(endpoint) => permission.and(Permission::of(Link::Endpoint, endpoint.allow)),
            None => permission,
        }
    }

    fn policies_of_caller_and_resource(&self) -> Permission<'a> {
        let caller = self.request.caller;
        if matches!(caller.kind, CallerKind::Service | CallerKind::Anonymous) {
            self.service_or_anonymous()
        } else if caller.account != self.request.resource_account {
            self.cross_account()
        } else {
            self.same_account()
        }
    }

    /// A caller without identity policies: only the resource policy can allow its requests.
    fn service_or_anonymous(&self) -> Permission<'a> {
        let Matched { allow, allow_itself, .. } = self.resource;
        self.resource_policy(allow).or(self.resource_policy(allow_itself))
    }

    /// A caller from another account: both accounts must allow the request.
    fn cross_account(&self) -> Permission<'a> {
        let Matched { allow, allow_itself, allow_account, .. } = self.resource;
        let resource_policy = self
            .resource_policy(allow_itself)
            .or(self.resource_policy(allow))
            .or(self.resource_policy(allow_account));
        self.identity_policies().and(self.boundary_and_session()).and(resource_policy)
    }

    /// A caller from the resource's account: the resource policy or the identity policies must allow the request. The
    /// permissions boundary and session policies limit both, except a resource policy that names the caller itself
    /// rather than its role.
    fn same_account(&self) -> Permission<'a> {
        let Matched { allow, allow_itself, allow_account, .. } = self.resource;
        let mut resource_policy = self.resource_policy(allow);
        if self.request.caller.is_role() {
            resource_policy = resource_policy.and(self.boundary_and_session());
        }
        // Identity policies count for a key only if its policy delegates to the account.
        let delegation = if self.policies.is_key_policy {
            self.resource_policy(allow_account)
        } else {
            Permission::full()
        };
        let identity_policies = delegation.and(self.identity_policies()).and(self.boundary_and_session());
        self.resource_policy(allow_itself).or(resource_policy).or(identity_policies)
    }

    /// The identity policies. The root user has none and needs none.
    fn identity_policies(&self) -> Permission<'a> {
        match self.request.caller.kind {
            CallerKind::Root => Permission::full(),
            _ => self.known_or_open(Link::Identity, self.identity.allow),
        }
    }

    /// The permissions boundary and the session policies, which only limit what other policies allow.
    fn boundary_and_session(&self) -> Permission<'a> {
        let mut permission = Permission::full();
        if self.boundary.is_some() || self.policies.have_unknown(Link::Boundary) {
            let allow = self.boundary.as_ref().and_then(|boundary| boundary.allow);
            permission = permission.and(self.known_or_open(Link::Boundary, allow));
        }
        match &self.session {
            Some(session) => permission.and(Permission::of(Link::Session, session.allow)),
            None => permission,
        }
    }

    /// The resource policy, by the statement `allow`. A key policy must allow the request whatever other policies do,
    /// so an unknown one counts as a possible Allow. An unknown policy of another resource counts only as a possible
    /// Deny.
    fn resource_policy(&self, allow: Option<(Truth, Cited<'a>)>) -> Permission<'a> {
        let link = self.policies.resource_link();
        if self.policies.is_key_policy {
            self.known_or_open(link, allow)
        } else {
            Permission::of(link, allow)
        }
    }

    /// The grants on a key. One to an account still needs its identity policies.
    fn grants(&self) -> Permission<'a> {
        let Matched { allow, allow_itself, allow_account, .. } = self.grants;
        let to_caller = [allow_itself, allow].into_iter().flatten().max_by_key(|(truth, _)| *truth);
        let to_account = Permission::of(Link::Grant, allow_account).and(self.identity_policies());
        Permission::of(Link::Grant, to_caller).or(to_account)
    }

    /// Like [`Permission::of`], but if a policy of this type is unknown, it may allow what the others do not.
    fn known_or_open(&self, link: Link, allow: Option<(Truth, Cited<'a>)>) -> Permission<'a> {
        let permission = Permission::of(link, allow);
        if permission.truth == Truth::No && self.policies.have_unknown(link) {
            Permission { truth: Truth::Maybe, ..Permission::full() }
        } else {
            permission
        }
    }
}

/// What some of the policies permit together.
pub(super) struct Permission<'a> {
    pub(super) truth: Truth,
    pub(super) because: Vec<Cited<'a>>,
    pub(super) depends_on: Vec<Cited<'a>>,
    pub(super) missing: Vec<Link>,
}

impl<'a> Permission<'a> {
    fn full() -> Self {
        Self { truth: Truth::Yes, because: Vec::new(), depends_on: Vec::new(), missing: Vec::new() }
    }

    /// Returns what a type of policy permits, given its strongest statement that allows the request.
    fn of(link: Link, allow: Option<(Truth, Cited<'a>)>) -> Self {
        let mut permission = Self { truth: allow.map_or(Truth::No, |(truth, _)| truth), ..Self::full() };
        match allow {
            Some((Truth::Maybe, cited)) => permission.depends_on.push(cited),
            Some((_, cited)) => permission.because.push(cited),
            None => permission.missing.push(link),
        }
        permission
    }

    fn and(mut self, other: Self) -> Self {
        self.truth = self.truth.min(other.truth);
        self.because.extend(other.because);
        self.depends_on.extend(other.depends_on);
        self.missing.extend(other.missing);
        self
    }

    /// Returns the wider of two. If neither permits anything, returns `other`, which reports the usual missing
    /// policies, unless only a boundary or session policy limits `self`.
    fn or(self, other: Self) -> Self {
        let restricts = |link: &Link| matches!(link, Link::Boundary | Link::Session);
        let is_restricted = !self.missing.is_empty() && self.missing.iter().all(restricts);
        if self.truth > other.truth || self.truth == other.truth && (self.truth != Truth::No || is_restricted)
        {
            self
        } else {
            other
        }
    }
}

/// The strongest statements of one type of policy that match the request.
#[derive(Default)]
struct Matched<'a> {
    deny: Option<(Truth, Cited<'a>)>,
    /// An allow that names everyone or the caller's role, or that is in a policy without principals.
    allow: Option<(Truth, Cited<'a>)>,
    /// For resource policies: an allow that names the account, and one that names the caller itself.
    allow_account: Option<(Truth, Cited<'a>)>,
    allow_itself: Option<(Truth, Cited<'a>)>,
}

impl<'a> Matched<'a> {
    fn new(link: Link, policies: &[Named<'a>], request: &Request<'_>, has_boundary: bool) -> Self {
        let names_principals = matches!(
            link,
            Link::Resource | Link::KeyPolicy | Link::Grant | Link::Endpoint | Link::ResourceControl
        );
        let mut matched = Self::default();
        for Named { name, document } in policies {
            for (index, statement) in document.statements.iter().enumerate() {
                if !concerns_action(statement, request.action) {
                    continue;
                }
                let cited = Cited { link, policy: name, index, statement };
                let named = if names_principals {
                    named_as(statement, request.caller, has_boundary)
                } else {
                    vec![(Truth::Yes, NamedAs::Role)]
                };
                let Some(principal) = named.iter().map(|(truth, _)| *truth).max() else { continue };
                let rest = concerns_resource(statement, request, document.has_variables)
                    .min(conditions_hold(statement, request.context, document.has_variables));
                if principal.min(rest) == Truth::No {
                    continue;
                }
                if statement.effect == Effect::Deny {
                    keep(&mut matched.deny, principal.min(rest), cited);
                    continue;
                }
                for (truth, named) in named {
                    let slot = match named {
                        // Endpoint policies and RCPs only filter: any way of naming the caller lets it pass.
                        _ if matches!(link, Link::Endpoint | Link::ResourceControl) => &mut matched.allow,
                        NamedAs::Account => &mut matched.allow_account,
                        NamedAs::Role => &mut matched.allow,
                        NamedAs::Itself => &mut matched.allow_itself,
                    };
                    keep(slot, truth.min(rest), cited);
                }
            }
        }
        matched
    }
}

/// Keeps the stronger of two statements, and the first of equals.
fn keep<'a>(best: &mut Option<(Truth, Cited<'a>)>, truth: Truth, cited: Cited<'a>) {
    if best.as_ref().is_none_or(|(known, _)| *known < truth) {
        *best = Some((truth, cited));
    }
}
