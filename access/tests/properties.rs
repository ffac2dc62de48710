//! Properties of all policies: a Deny never grants, and widening an Allow never takes away.

use proptest::prelude::*;
use secretcache_access::Document;
use secretcache_access::condition::Context;
use secretcache_access::evaluate::{Caller, Decision, Named, Outcome, Policies, Request, evaluate};
use serde_json::{Value, json};

const ACCOUNT: &str = "111122223333";
const SECRET: &str = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:prod/checkout/db-AbCdEf";

fn action() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(json!("*")),
        Just(json!("secretsmanager:*")),
        Just(json!("secretsmanager:GetSecretValue")),
        Just(json!(["kms:Decrypt", "secretsmanager:get*"])),
        Just(json!("kms:Decrypt")),
    ]
}

fn resource() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(json!("*")),
        Just(json!(SECRET)),
        Just(json!("arn:aws:secretsmanager:*:*:secret:prod/checkout/*")),
        Just(json!("arn:aws:secretsmanager:*:*:secret:prod/checkout/db-??????")),
        Just(json!(["arn:aws:secretsmanager:*:*:secret:dev/*"])),
        Just(json!("arn:aws:secretsmanager:*:*:secret:${aws:PrincipalTag/path}/*")),
    ]
}

fn condition() -> impl Strategy<Value = Value> {
    prop_oneof![
        4 => Just(json!({})),
        1 => Just(json!({"StringEquals": {"aws:PrincipalTag/path": "prod"}})),
        1 => Just(json!({"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}})),
        1 => Just(json!({"StringNotEquals": {"aws:SourceVpce": "vpce-1"}})),
        1 => Just(json!({"ForAllValues:StringLike": {"aws:TagKeys": ["a*"]}})),
    ]
}

fn principal() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(json!("*")),
        Just(json!({"AWS": "arn:aws:iam::111122223333:root"})),
        Just(json!({"AWS": ["arn:aws:iam::111122223333:role/app", "444455556666"]})),
        Just(json!({"AWS": "arn:aws:iam::444455556666:role/app"})),
        Just(json!({"Service": "lambda.amazonaws.com"})),
    ]
}

prop_compose! {
    fn statement(with_principal: bool)
        (deny in prop::bool::weighted(0.25), action in action(), resource in resource(), condition in condition(),
         principal in principal(), is_not in prop::bool::weighted(0.15)) -> Value {
        let mut statement = json!({
            "Effect": if deny { "Deny" } else { "Allow" },
            "Resource": resource,
            "Condition": condition,
        });
        statement[if is_not { "NotAction" } else { "Action" }] = action;
        if with_principal {
            statement["Principal"] = principal;
        }
        statement
    }
}

fn document(with_principal: bool) -> impl Strategy<Value = Vec<Value>> {
    prop::collection::vec(statement(with_principal), 0..4)
}

#[derive(Clone, Debug)]
struct World {
    identity: Vec<Value>,
    resource: Option<Vec<Value>>,
    boundary: Option<Vec<Value>>,
    scp: Vec<Value>,
    caller: &'static str,
    is_key: bool,
    is_open: bool,
    path: Option<&'static str>,
}

prop_compose! {
    fn world()
        (identity in document(false), resource in prop::option::of(document(true)),
         boundary in prop::option::weighted(0.3, document(false)), scp in document(false), has_scp in any::<bool>(),
         caller in prop::sample::select(vec!["arn:aws:iam::111122223333:role/app", "arn:aws:iam::111122223333:user/a",
            "arn:aws:iam::444455556666:role/app", "arn:aws:sts::111122223333:assumed-role/app/s"]),
         is_key in any::<bool>(), is_open in any::<bool>(), path in prop::sample::select(vec![None, Some("prod"), Some("*")]))
        -> World {
        let mut scp = scp;
        if !has_scp {
            scp.push(json!({"Effect": "Allow", "Action": "*", "Resource": "*"}));
        }
        World { identity, resource, boundary, scp, caller, is_key, is_open, path }
    }
}

fn parse(statements: &[Value]) -> Document {
    Document::from_json(json!({"Version": "2012-10-17", "Statement": statements})).unwrap()
}

impl World {
    fn outcome(&self) -> Outcome {
        self.decide(|decision| decision.outcome)
    }

    fn decide<T>(&self, read: impl FnOnce(&Decision<'_>) -> T) -> T {
        let mut context = if self.is_open { Context::open() } else { Context::closed() };
        if let Some(path) = self.path {
            context.set("aws:PrincipalTag/path", path);
        }
        let identity = parse(&self.identity);
        let (resource, boundary) = (self.resource.as_deref().map(parse), self.boundary.as_deref().map(parse));
        let scp = parse(&self.scp);
        let named = |document| Named { name: "p", document };
        let policies = Policies {
            identity: vec![named(&identity)],
            resource: resource.as_ref().map(named),
            boundary: boundary.as_ref().map(named),
            service_control: vec![vec![named(&scp)]],
            is_key_policy: self.is_key,
            ..Policies::default()
        };
        let caller = Caller::from_arn(self.caller);
        let request = Request {
            caller: &caller,
            action: "secretsmanager:GetSecretValue",
            resource: SECRET,
            resource_account: ACCOUNT,
            context: &context,
        };
        read(&evaluate(&request, &policies))
    }
}

fn is_allow(statement: &Value) -> bool {
    statement["Effect"] == "Allow"
}

proptest! {
    #[test]
    fn adding_a_deny_never_grants(world in world(), deny in statement(false), with in statement(true)) {
        let before = world.outcome();
        let mut changed = world.clone();
        let mut deny = deny;
        deny["Effect"] = json!("Deny");
        changed.identity.push(deny.clone());
        changed.scp.push(deny);
        if let Some(resource) = &mut changed.resource {
            let mut deny = with;
            deny["Effect"] = json!("Deny");
            resource.push(deny);
        }
        prop_assert!(changed.outcome() <= before);
    }

    #[test]
    fn adding_an_allow_never_takes_away(world in world(), allow in statement(true)) {
        let before = world.outcome();
        let mut changed = world.clone();
        let mut allow = allow;
        allow["Effect"] = json!("Allow");
        changed.resource.get_or_insert_default().push(allow.clone());
        allow.as_object_mut().unwrap().remove("Principal");
        changed.identity.push(allow);
        prop_assert!(changed.outcome() >= before);
    }

    #[test]
    fn widening_the_resource_of_an_allow_never_takes_away(world in world()) {
        let before = world.outcome();
        let mut changed = world.clone();
        for statement in changed.identity.iter_mut().chain(&mut changed.scp).filter(|it| is_allow(it)) {
            statement["Resource"] = json!("*");
        }
        prop_assert!(changed.outcome() >= before);
    }

    #[test]
    fn narrowing_an_allow_never_grants(world in world(), narrower in condition()) {
        let before = world.outcome();
        let mut changed = world.clone();
        for statement in changed.identity.iter_mut().filter(|it| is_allow(it)) {
            for (operator, keys) in narrower.as_object().unwrap() {
                // Conditions are only added: replacing one could widen the statement.
                if statement["Condition"].get(operator).is_none() {
                    statement["Condition"][operator] = keys.clone();
                }
            }
        }
        prop_assert!(changed.outcome() <= before);
    }

    #[test]
    fn a_boundary_never_grants(world in world(), boundary in document(false)) {
        let without = World { boundary: None, ..world.clone() };
        let with = World { boundary: Some(boundary), ..world };
        prop_assert!(with.outcome() <= without.outcome());
    }

    #[test]
    fn the_order_of_statements_does_not_matter(world in world()) {
        let mut changed = world.clone();
        changed.identity.reverse();
        changed.scp.reverse();
        if let Some(resource) = &mut changed.resource {
            resource.reverse();
        }
        prop_assert_eq!(changed.outcome(), world.outcome());
    }

    /// An open context gives "it depends", or the answer of every complete context.
    #[test]
    fn knowing_more_never_turns_a_sure_answer_round(world in world(), address in any::<bool>()) {
        let open = World { is_open: true, ..world.clone() };
        let outcome = open.outcome();
        let complete = World { is_open: false, ..world };
        prop_assume!(outcome != Outcome::Conditional && (address || open.path.is_some()));
        prop_assert_eq!(complete.outcome(), outcome);
    }

    #[test]
    fn a_denial_names_what_is_missing_or_the_statement(world in world()) {
        world.decide(|decision| {
            let explained = match decision.outcome {
                Outcome::Denied => decision.because.len() + decision.missing.len() > 0,
                Outcome::Conditional => !decision.depends_on.is_empty(),
                Outcome::Allowed => !decision.because.is_empty(),
            };
            prop_assert!(explained, "{decision:?}");
            Ok(())
        })?;
    }

    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,80}") {
        drop(Document::parse(&text));
    }
}
