//! Policies that `policy` prints: what they allow, and no more.

use secretcache_access::Document;
use secretcache_access::condition::Context;
use secretcache_access::evaluate::{Caller, Named, Outcome, Policies, Request, evaluate};
use secretcache_access::policy::{Kind, Scope};

use super::APP;

fn scope() -> Scope {
    Scope {
        secrets: vec!["prod/checkout/db".into()],
        account: "111122223333".into(),
        region: "eu-central-1".into(),
        ..Scope::default()
    }
}

/// A trail of several Regions is found under its home Region, one of an organization under the management account.
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
