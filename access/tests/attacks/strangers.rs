//! Conditions that anyone can meet, and some that keep strangers out although they name no principal.

use secretcache_access::audit::{Report, Severity};
use serde_json::{Value, json};

use super::{READ, allow, found, of, policy, shared, with};

fn deny(condition: Value) -> Value {
    json!({"Effect": "Deny", "Principal": "*", "Action": "*", "Resource": "*", "Condition": condition})
}

/// The key's policy with a statement that lets everyone decrypt, on this condition.
fn of_key(condition: &Value) -> Report {
    with(|json| {
        let all = json["Keys"][0]["Policy"]["Statement"].as_array_mut().unwrap();
        all.push(allow("kms:Decrypt", json!("*"), condition.clone()));
    })
}

/// The account with these statements, which have no resource, as the trust policy of the application's role.
fn trusted(statements: &Value) -> Report {
    let mut statements = statements.clone();
    for statement in statements.as_array_mut().unwrap() {
        statement.as_object_mut().unwrap().remove("Resource");
    }
    with(|json| json["Principals"][0]["TrustPolicy"] = policy(statements.clone()))
}

fn trusts(principal: &Value, condition: &Value) -> Report {
    trusted(&json!([allow("sts:AssumeRole", principal.clone(), condition.clone())]))
}

#[test]
fn everybody_comes_through_some_endpoint() {
    for condition in [
        json!({"Null": {"aws:SourceVpce": "false"}}),
        json!({"Null": {"aws:SourceVpc": "false"}}),
        json!({"Null": {"aws:VpceAccount": "false"}}),
        json!({"StringNotEquals": {"aws:SourceVpce": "vpce-1"}, "Null": {"aws:SourceVpce": "false"}}),
    ] {
        let report = shared(json!([allow(READ, json!("*"), condition.clone())]));
        assert_eq!(of(&report, "sharing.public").severity, Severity::Critical, "{condition}");
        assert!(found(&of_key(&condition)).contains("key.policy-public"), "{condition}");
        let report = trusts(&json!({"AWS": "*"}), &condition);
        assert!(found(&report).contains("access.trust-public"), "{condition}");
        let report = trusts(&json!({"AWS": "999999999999"}), &condition);
        assert!(found(&report).contains("access.trust-shared"), "{condition}");
    }
}

#[test]
fn a_deny_with_an_exception_that_everybody_meets_keeps_nobody_out() {
    for (condition, is_public) in [
        (json!({"Null": {"aws:SourceVpce": "true"}}), true),
        (json!({"StringNotLike": {"aws:SourceVpce": "vpce-*"}}), true),
        (json!({"StringNotLike": {"aws:SourceVpc": "*"}}), true),
        (json!({"ArnNotLike": {"aws:PrincipalArn": "arn:aws:iam::*:role/app"}}), true),
        (json!({"StringNotLike": {"aws:PrincipalOrgID": "o-*"}}), true),
        (json!({"StringNotEquals": {"aws:SourceVpce": "vpce-1"}}), false),
        (json!({"StringNotEquals": {"aws:VpceAccount": "111122223333"}}), false),
        (json!({"StringNotEquals": {"aws:VpceOrgID": "o-a1b2c3d4e5"}}), false),
        (json!({"ArnNotLike": {"aws:PrincipalArn": "arn:aws:iam::111122223333:role/*"}}), false),
        (json!({"ArnNotLike": {"aws:SourceArn": "arn:aws:s3:::*"}}), false),
    ] {
        let statements = json!([allow(READ, json!("*"), json!({})), deny(condition.clone())]);
        assert_eq!(found(&shared(statements)).contains("sharing.public"), is_public, "{condition}");
        let statements = json!([allow("sts:AssumeRole", json!("*"), json!({})), deny(condition.clone())]);
        assert_eq!(found(&trusted(&statements)).contains("access.trust-public"), is_public, "{condition}");
    }
}

#[test]
fn an_organization_through_some_endpoint_is_an_organization() {
    let condition =
        json!({"StringEquals": {"aws:PrincipalOrgID": "o-a1b2c3d4e5"}, "Null": {"aws:SourceVpce": "false"}});
    let report = shared(json!([allow(READ, json!("*"), condition)]));
    assert!(found(&report).contains("sharing.organization") && !found(&report).contains("sharing.public"));
}

#[test]
fn an_external_id_that_may_be_any_is_none() {
    let account = json!({"AWS": "999999999999"});
    for (condition, is_shared) in [
        (json!({"Null": {"sts:ExternalId": "false"}}), true),
        (json!({"StringLike": {"sts:ExternalId": "????"}}), true),
        (json!({"StringNotEquals": {"sts:ExternalId": "old"}}), true),
        (json!({"Null": {"aws:PrincipalOrgID": "false"}}), true),
        (json!({"StringEquals": {"sts:ExternalId": "k7"}}), false),
        (json!({"StringEquals": {"aws:PrincipalOrgID": "o-a1b2c3d4e5"}}), false),
    ] {
        let report = trusts(&account, &condition);
        assert_eq!(found(&report).contains("access.trust-shared"), is_shared, "{condition}");
    }
    for condition in
        [json!({"Null": {"sts:ExternalId": "true"}}), json!({"StringNotLike": {"sts:ExternalId": "*"}})]
    {
        let statements =
            json!([allow("sts:AssumeRole", account.clone(), json!({})), deny(condition.clone())]);
        assert!(found(&trusted(&statements)).contains("access.trust-shared"), "{condition}");
    }
}

#[test]
fn the_organization_of_the_secret_is_no_stranger_s() {
    let own = json!({"StringEquals": {"aws:PrincipalOrgID": "${aws:ResourceOrgID}"}});
    let report = shared(json!([allow(READ, json!("*"), own.clone())]));
    assert!(!found(&report).contains("sharing.public"), "{report:#?}");
    assert!(found(&report).contains("sharing.organization"), "{report:#?}");
    assert!(!found(&of_key(&own)).contains("key.policy-public"));
    let unknown = |condition: &Value| {
        with(|json| {
            json.as_object_mut().unwrap().remove("OrganizationId");
            json["NotCollected"] =
                json!([{"Permission": "organizations:DescribeOrganization", "Error": "AccessDenied"}]);
            json["Secrets"][0]["ResourcePolicy"] =
                policy(json!([allow(READ, json!("*"), condition.clone())]));
        })
    };
    assert!(!found(&unknown(&own)).contains("sharing.public"));
    // The secret can be in that organization.
    let named = json!({"StringEquals": {"aws:ResourceOrgID": "o-a1b2c3d4e5"}});
    assert!(found(&unknown(&named)).contains("sharing.public"));
    let report = shared(json!([
        allow(READ, json!("*"), json!({})),
        deny(json!({"StringNotEquals": {"aws:PrincipalOrgID": "${aws:ResourceOrgID}"}}))
    ]));
    assert!(!found(&report).contains("sharing.public"), "{report:#?}");
}

#[test]
fn an_organization_that_a_deny_spares_is_let_in() {
    let spared = || deny(json!({"StringNotEquals": {"aws:PrincipalOrgID": "o-a1b2c3d4e5"}}));
    let report = shared(json!([allow(READ, json!("*"), json!({})), spared()]));
    assert!(of(&report, "sharing.organization").seen.contains("o-a1b2c3d4e5"), "{report:#?}");
    let own = json!({"StringEquals": {"aws:PrincipalAccount": "111122223333"}});
    let report = shared(json!([allow(READ, json!("*"), own), spared()]));
    assert!(!found(&report).contains("sharing.organization"), "{report:#?}");
}

#[test]
fn a_few_addresses_are_for_few_strangers() {
    for (addresses, severity) in [
        (json!("203.0.113.4/32"), Severity::Medium),
        (json!(["203.0.113.4", "198.51.100.0/24"]), Severity::Medium),
        (json!("2001:db8:7::/48"), Severity::Medium),
        (json!("10.0.0.0/8"), Severity::Medium),
        (json!("203.0.0.0/16"), Severity::Critical),
        (json!(["203.0.113.4", "0.0.0.0/1", "128.0.0.0/1"]), Severity::Critical),
        (json!("2001:db8::/32"), Severity::Critical),
    ] {
        let condition = json!({"IpAddress": {"aws:SourceIp": addresses}});
        let report = shared(json!([allow(READ, json!("*"), condition.clone())]));
        assert_eq!(of(&report, "sharing.public").severity, severity, "{condition}");
        assert_eq!(of(&of_key(&condition), "key.policy-public").severity, severity, "{condition}");
        let check = if severity == Severity::Medium { "access.trust-shared" } else { "access.trust-public" };
        let report = trusts(&json!({"AWS": "*"}), &condition);
        assert_eq!(of(&report, check).severity, severity, "{condition}");
        // The same with a Deny, which also applies if the key is absent from the request.
        let statements = json!([
            allow(READ, json!("*"), json!({})),
            deny(json!({"NotIpAddress": condition["IpAddress"]}))
        ]);
        assert_eq!(of(&shared(statements), "sharing.public").severity, severity, "{condition}");
    }
    for condition in [
        json!({"NotIpAddress": {"aws:SourceIp": "203.0.113.4/32"}}),
        json!({"NotIpAddress": {"aws:SourceIp": "0.0.0.0/1"}}),
        json!({"IpAddressIfExists": {"aws:SourceIp": "203.0.113.4/32"}}),
        json!({"IpAddress": {"aws:VpcSourceIp": "10.0.0.0/24"}}),
    ] {
        let report = shared(json!([allow(READ, json!("*"), condition.clone())]));
        assert_eq!(of(&report, "sharing.public").severity, Severity::Critical, "{condition}");
    }
}

#[test]
fn services_that_a_condition_lets_in_are_services() {
    for (condition, who) in [
        (json!({"Bool": {"aws:PrincipalIsAWSService": "true"}}), "every AWS service"),
        (json!({"StringEquals": {"aws:PrincipalServiceName": "rds.amazonaws.com"}}), "rds.amazonaws.com"),
        (json!({"StringLike": {"aws:PrincipalServiceName": "*.amazonaws.com"}}), "*.amazonaws.com"),
        (
            json!({"ForAnyValue:StringEquals": {"aws:PrincipalServiceNamesList": "rds.amazonaws.com"}}),
            "rds.amazonaws.com",
        ),
    ] {
        let report = shared(json!([allow(READ, json!("*"), condition.clone())]));
        assert!(!found(&report).contains("sharing.public"), "{condition}");
        assert!(of(&report, "sharing.service").seen.contains(who), "{condition} {report:#?}");
        let run = of(&report, "sharing.open-to-account").run.join("\n");
        assert!(run.contains("aws:PrincipalIsAWSService\":\"false"), "{run}");
        assert!(of(&of_key(&condition), "sharing.service").seen.contains(who), "{condition}");
        let mut tied = condition.clone();
        tied["StringEquals"]["aws:SourceAccount"] = json!("111122223333");
        let report = shared(json!([allow(READ, json!("*"), tied)]));
        assert!(!found(&report).contains("sharing.service"), "{condition}");
    }
}

#[test]
fn services_that_a_deny_leaves_of_everybody_are_services() {
    let others = json!({"Bool": {"aws:PrincipalIsAWSService": "false"}});
    let report = shared(json!([allow(READ, json!("*"), json!({})), deny(others.clone())]));
    assert!(!found(&report).contains("sharing.public"), "{report:#?}");
    assert!(of(&report, "sharing.service").seen.contains("every AWS service"), "{report:#?}");
    // The services that an organization's Deny exempts.
    let outside = json!({"Bool": {"aws:PrincipalIsAWSService": "false"}, "StringNotEquals": {"aws:PrincipalOrgID": "o-a1b2c3d4e5"}});
    let report = shared(json!([allow(READ, json!("*"), json!({})), deny(outside.clone())]));
    assert!(of(&report, "sharing.service").seen.contains("every AWS service"), "{report:#?}");
    for tied in [
        json!({"StringEquals": {"aws:SourceAccount": "111122223333"}}),
        json!({"StringEquals": {"aws:PrincipalOrgID": "o-a1b2c3d4e5"}}),
        json!({"StringEquals": {"aws:SourceVpce": "vpce-0a1b2c3d4e5f60718"}}),
    ] {
        let report = shared(json!([allow(READ, json!("*"), tied.clone()), deny(others.clone())]));
        assert!(!found(&report).contains("sharing.service"), "{tied} {report:#?}");
    }
}
