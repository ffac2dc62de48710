//! VPC endpoint policies: the many ways to close one, and some that look closed but are open.

use secretcache_access::audit::{Report, audit};
use serde_json::{Value, json};

use super::{found, good, of, policy, snapshot, with};

const ORGANIZATION: &str = "o-a1b2c3d4e5";
const OWN: &str = "111122223333";

fn endpoint(statements: Value) -> Report {
    with(|json| json["VpcEndpoints"][0]["Policy"] = policy(statements.clone()))
}

fn statement(effect: &str, condition: Value) -> Value {
    json!({"Effect": effect, "Principal": "*", "Action": "*", "Resource": "*", "Condition": condition})
}

fn everything() -> Value {
    json!({"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"})
}

/// The policy in a command.
fn put(run: &str) -> Value {
    let (_, text) = run.split_once("--policy-document '").unwrap_or_else(|| panic!("no policy in {run}"));
    serde_json::from_str(text.split('\'').next().unwrap()).unwrap()
}

#[test]
fn an_endpoint_is_closed_in_many_ways() {
    for statements in [
        json!([
            everything(),
            statement("Deny", json!({"StringNotEquals": {"aws:PrincipalOrgID": ORGANIZATION}}))
        ]),
        json!([
            everything(),
            statement("Deny", json!({"StringNotEquals": {"aws:ResourceOrgID": ORGANIZATION}}))
        ]),
        json!([
            everything(),
            statement("Deny", json!({"StringNotEqualsIfExists": {"aws:ResourceOrgID": ORGANIZATION}}))
        ]),
        json!([everything(), statement("Deny", json!({"StringNotEquals": {"aws:PrincipalAccount": OWN}}))]),
        json!([everything(), statement("Deny", json!({"StringNotEquals": {"aws:ResourceAccount": OWN}}))]),
        json!([
            everything(),
            statement(
                "Deny",
                json!({"StringNotEquals": {"aws:ResourceOrgID": ORGANIZATION},
            "BoolIfExists": {"aws:PrincipalIsAWSService": "false", "aws:ViaAWSService": "false"}})
            )
        ]),
        json!([
            everything(),
            statement(
                "Deny",
                json!({"ForAnyValue:StringNotLike": {"aws:PrincipalOrgPaths": "o-a1b2c3d4e5/r-ab12/*"}})
            ),
            statement("Deny", json!({"Null": {"aws:PrincipalOrgPaths": "true"}}))
        ]),
        json!([statement("Allow", json!({"StringEquals": {"aws:PrincipalAccount": OWN}}))]),
        json!([statement("Allow", json!({"StringEquals": {"aws:PrincipalOrgID": ORGANIZATION}}))]),
        json!([statement("Allow", json!({"StringEquals": {"aws:ResourceOrgID": ORGANIZATION}}))]),
        json!([statement(
            "Allow",
            json!({"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::111122223333:role/*"}})
        )]),
        json!([{"Effect": "Allow", "Principal": "*", "Action": "secretsmanager:*",
            "Resource": "arn:aws:secretsmanager:*:111122223333:secret:*"}]),
        json!([everything(), {"Effect": "Deny", "Principal": "*", "Action": "*",
            "NotResource": "arn:aws:secretsmanager:*:111122223333:secret:*"}]),
        json!([{"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:root"}, "Action": "*", "Resource": "*"}]),
    ] {
        let report = endpoint(statements.clone());
        assert!(!found(&report).contains("network.endpoint-policy"), "{statements:#}");
    }
}

#[test]
fn an_endpoint_is_open_though_it_looks_closed() {
    for statements in [
        // Not closed to a caller without an organization.
        json!([
            everything(),
            statement(
                "Deny",
                json!({"StringNotEquals": {"aws:PrincipalOrgID": "o-*"}, "Null": {"aws:PrincipalOrgID": "false"}})
            )
        ]),
        json!([statement("Allow", json!({"StringEqualsIfExists": {"aws:PrincipalOrgID": ORGANIZATION}}))]),
        json!([statement("Allow", json!({"StringLike": {"aws:PrincipalOrgID": "o-*"}}))]),
        json!([statement("Allow", json!({"StringEquals": {"aws:SourceVpc": "vpc-1"}}))]),
        json!([statement("Allow", json!({"StringLike": {"aws:PrincipalArn": "arn:aws:iam::*:role/app"}}))]),
        json!([{"Effect": "Allow", "Principal": "*", "Action": "secretsmanager:Put*", "Resource": "*"}]),
        json!([{"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "arn:aws:secretsmanager:*:*:secret:prod/*"}]),
        // Only reads are denied.
        json!([everything(), {"Effect": "Deny", "Principal": "*", "Action": "secretsmanager:GetSecretValue", "Resource": "*"}]),
    ] {
        let report = endpoint(statements.clone());
        assert!(found(&report).contains("network.endpoint-policy"), "{statements:#}");
    }
}

#[test]
fn closing_an_endpoint_keeps_whom_its_conditions_let_in() {
    let fix = |statements: Value| {
        let report = endpoint(statements);
        let policy = put(&of(&report, "network.endpoint-policy").run[0]);
        // The command removes the finding.
        let after = with(|json| json["VpcEndpoints"][0]["Policy"] = policy.clone());
        assert!(!found(&after).contains("network.endpoint-policy"), "{policy:#}");
        policy
    };
    let organization = json!({"aws:PrincipalOrgID": ORGANIZATION, "aws:ResourceOrgID": ORGANIZATION});
    let partner = statement("Allow", json!({"StringEquals": {"aws:PrincipalOrgID": "o-partner0000"}}));
    let deny = statement("Deny", json!({"Bool": {"aws:SecureTransport": "false"}}));
    let closed = fix(json!([everything(), partner, deny]));
    assert_eq!(closed["Statement"][0]["Condition"], json!({"StringEquals": organization}));
    assert_eq!((&closed["Statement"][1], &closed["Statement"][2]), (&partner, &deny));
    // An endpoint without a policy has the default policy.
    let bare = with(|json| drop(json["VpcEndpoints"][0].as_object_mut().unwrap().remove("Policy")));
    assert_eq!(
        put(&of(&bare, "network.endpoint-policy").run[0])["Statement"][0]["Condition"]["StringEquals"],
        organization
    );
    // The intended organizations of a condition that others also pass.
    let both = json!([ORGANIZATION, "o-partner0000"]);
    let closed =
        fix(json!([statement("Allow", json!({"StringEqualsIfExists": {"aws:PrincipalOrgID": both}}))]));
    assert_eq!(closed["Statement"][0]["Condition"]["StringEquals"]["aws:PrincipalOrgID"], both);
}

#[test]
fn who_is_inside_depends_on_the_organization() {
    let of_default = |edit: fn(&mut Value)| {
        with(|json| {
            json["VpcEndpoints"][0]["Policy"] = policy(json!([everything()]));
            json.as_object_mut().unwrap().remove("OrganizationId");
            edit(json);
        })
    };
    let alone = of_default(|_| ());
    let account = json!({"aws:PrincipalAccount": OWN, "aws:ResourceAccount": OWN});
    assert_eq!(
        put(&of(&alone, "network.endpoint-policy").run[0])["Statement"][0]["Condition"]["StringEquals"],
        account
    );
    // If the organization is not known, no command may cut anyone off.
    let unknown = of_default(|json| {
        json["NotCollected"] =
            json!([{"Permission": "organizations:DescribeOrganization", "Error": "AccessDenied"}]);
    });
    let finding = of(&unknown, "network.endpoint-policy");
    assert!(
        finding.run.is_empty() && finding.advice.as_ref().unwrap().contains("aws:PrincipalOrgID"),
        "{finding:?}"
    );
}

#[test]
fn another_account_leaves_an_endpoint_without_the_others_of_its_statement() {
    let listed = json!({"Effect": "Allow", "Action": "*", "Resource": "*",
        "Principal": {"AWS": ["arn:aws:iam::111122223333:root", "arn:aws:iam::444455556666:root"]}});
    let report = endpoint(json!([listed]));
    let policy = put(&of(&report, "network.endpoint-trust").run[0]);
    assert_eq!(policy["Statement"][0]["Principal"]["AWS"], json!(["arn:aws:iam::111122223333:root"]));
    let named = statement("Allow", json!({"StringEquals": {"aws:PrincipalAccount": [OWN, "444455556666"]}}));
    let policy = put(&of(&endpoint(json!([named])), "network.endpoint-trust").run[0]);
    assert_eq!(policy["Statement"][0]["Condition"]["StringEquals"]["aws:PrincipalAccount"], json!([OWN]));
}

#[test]
fn a_service_is_no_other_account() {
    let own = statement("Allow", json!({"StringEquals": {"aws:PrincipalOrgID": ORGANIZATION}}));
    for services in [
        statement("Allow", json!({"Bool": {"aws:PrincipalIsAWSService": "true"}})),
        json!({"Effect": "Allow", "Principal": {"Service": "rds.amazonaws.com"}, "Action": "*", "Resource": "*"}),
    ] {
        let report = endpoint(json!([own, services]));
        assert!(!found(&report).contains("network.endpoint-trust"), "{services}");
    }
}

#[test]
fn an_endpoint_that_is_made_again_keeps_its_policy() {
    let own = statement("Allow", json!({"StringEquals": {"aws:PrincipalOrgID": ORGANIZATION}}));
    let report = with(|json| {
        json["VpcEndpoints"][0]["State"] = json!("failed");
        json["VpcEndpoints"][0]["Policy"] = policy(json!([own]));
    });
    assert_eq!(put(&of(&report, "network.endpoint-state").run[1])["Statement"][0], own);
}

#[test]
fn a_condition_on_the_organization_of_the_account_s_own_secrets_is_decided() {
    let mut json = good();
    json["VpcEndpoints"][0]["Policy"] = policy(json!([
        everything(),
        statement("Deny", json!({"StringNotEquals": {"aws:ResourceOrgID": ORGANIZATION}}))
    ]));
    let report = audit(&snapshot(json));
    assert!(report.findings.is_empty(), "{report:#?}");
}

#[test]
fn a_new_endpoint_lets_every_range_of_the_vpc_in() {
    let report = with(|json| json["VpcEndpoints"] = json!([]));
    let run = &of(&report, "network.no-endpoint").run[0];
    for part in ["CidrBlockAssociationSet", "Ipv6CidrBlockAssociationSet", "associated", "CidrIpv6"] {
        assert!(run.contains(part), "{run}");
    }
}
