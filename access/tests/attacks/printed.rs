//! Policies that `policy` prints allow what is needed, and no more.

use secretcache_access::Document;
use secretcache_access::condition::Context;
use secretcache_access::evaluate::{Caller, Named, Outcome, Policies, Request, evaluate};
use secretcache_access::policy::{Kind, Scope};
use serde_json::json;

use super::policies::scope;
use super::{APP, READ, ROTATION};

/// A multi-Region trail is listed under its home Region, an organization's trail under the management account.
#[test]
fn an_audit_reads_trails_of_other_regions_and_accounts() {
    let policy = scope().policy(Kind::Operator, &["audit"]).unwrap();
    let document = Document::from_json(policy).unwrap();
    for place in ["eu-central-1:111122223333", "us-east-1:111122223333", "us-east-1:999999999999"] {
        let trail = format!("arn:aws:cloudtrail:{place}:trail/events");
        for action in ["cloudtrail:GetTrailStatus", "cloudtrail:GetEventSelectors"] {
            let caller = Caller::from_arn(APP);
            let context = Context::closed();
            let (account, resource) = ("111122223333", trail.as_str());
            let request =
                Request { caller: &caller, action, resource, resource_account: account, context: &context };
            let identity = vec![Named { name: "audit", document: &document }];
            let decision = evaluate(&request, &Policies { identity, ..Policies::default() });
            assert_eq!(decision.outcome, Outcome::Allowed, "{trail}");
        }
    }
}

#[test]
fn an_endpoint_lets_nobody_write_the_administrators_secret() {
    let scope =
        Scope { rotators: vec![ROTATION.into()], master_secrets: vec!["prod/admin".into()], ..scope() };
    let policy = scope.policy(Kind::Endpoint, &[]).unwrap();
    let admin = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:prod/admin-??????";
    let all = policy["Statement"].as_array().unwrap();
    let about: Vec<_> = all.iter().filter(|it| it["Resource"].to_string().contains(admin)).collect();
    assert_eq!(about.len(), 1, "{policy}");
    assert_eq!((&about[0]["Action"], &about[0]["Resource"]), (&json!(READ), &json!(admin)));
}
