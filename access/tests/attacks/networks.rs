//! Security groups and endpoints: rules that look narrow but are open, and cases that cannot be known.

use secretcache_access::audit::Report;
use secretcache_access::evaluate::Outcome;
use secretcache_access::reach::Account;
use serde_json::{Value, json};

use super::{APP, READ, allow, found, good, of, policy, snapshot, with};

fn ingress(rules: Value) -> Report {
    with(|json| json["SecurityGroups"][0]["Ingress"] = rules.clone())
}

fn https(more: Value) -> Value {
    let mut rule = json!({"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443});
    more.as_object().unwrap().iter().for_each(|(name, value)| rule[name] = value.clone());
    rule
}

#[test]
fn two_halves_are_everybody() {
    for (halves, seen) in [
        (json!(["0.0.0.0/1", "128.0.0.0/1"]), "lets 0.0.0.0/1 and 128.0.0.0/1 in on port 443"),
        (json!(["::/1", "8000::/1"]), "lets ::/1 and 8000::/1 in on port 443"),
        (
            json!(["10.0.0.0/8", "0.0.0.0/1", "128.0.0.0/2", "192.0.0.0/2"]),
            "lets 0.0.0.0/1 and 128.0.0.0/2 and 192.0.0.0/2 in on port 443",
        ),
        (json!(["0.0.0.0/0", "10.0.0.0/8"]), "lets 0.0.0.0/0 in on port 443"),
    ] {
        let report = ingress(json!([https(json!({"Cidrs": halves, "Groups": ["sg-function"]}))]));
        let finding = of(&report, "network.open-group");
        assert_eq!(finding.seen, seen);
        let revoked = finding.run.iter().filter(|run| run.contains("revoke-security-group-ingress")).count();
        assert_eq!(revoked, seen.matches('/').count(), "{:?}", finding.run);
        assert_eq!(found(&report).len(), 1, "{report:#?}");
    }
    // Two rules together count as well; one half or private ranges never do.
    let report = ingress(json!([
        https(json!({"Cidrs": ["0.0.0.0/1"], "Groups": ["sg-function"]})),
        https(json!({"Cidrs": ["128.0.0.0/1"]})),
    ]));
    assert!(found(&report).contains("network.open-group"));
    for cidrs in [json!(["0.0.0.0/1"]), json!(["10.0.0.0/8", "fc00::/7"]), json!(["0.0.0.0/1", "8000::/1"])] {
        let report = ingress(json!([https(json!({"Cidrs": cidrs, "Groups": ["sg-function"]}))]));
        assert!(found(&report).is_empty(), "{report:#?}");
    }
}

#[test]
fn a_reader_is_let_in_by_ranges_taken_together() {
    for (cidrs, expected) in [
        (json!(["10.0.0.0/25", "10.0.0.128/25", "10.0.1.0/24"]), false),
        (json!(["10.0.0.0/25", "10.0.1.0/24"]), true),
        (json!(["10.0.0.0/23"]), false),
        (json!(["0.0.0.0/1", "128.0.0.0/1"]), false),
        (json!([]), true),
    ] {
        let report = ingress(json!([https(json!({"Cidrs": cidrs}))]));
        assert_eq!(found(&report).contains("network.security-group"), expected, "{cidrs}");
    }
}

#[test]
fn what_a_prefix_list_lets_through_is_not_known() {
    let report = ingress(json!([https(json!({"PrefixLists": ["pl-0a1b"]}))]));
    assert!(found(&report).is_empty(), "{report:#?}");
    let unknown = &report.not_checked[0];
    assert_eq!(unknown.check, "network.security-group");
    assert!(unknown.reason.contains("prefix lists"), "{unknown:?}");
    // If another rule lets the reader in, the list does not matter.
    let report = ingress(json!([https(json!({"PrefixLists": ["pl-0a1b"], "Groups": ["sg-function"]}))]));
    assert!(report.not_checked.is_empty(), "{report:#?}");
    let egress = with(|json| {
        json["SecurityGroups"][1]["Egress"] = json!([{"IpProtocol": "-1", "PrefixLists": ["pl-1"]}])
    });
    assert!(found(&egress).is_empty() && egress.not_checked.len() == 1, "{egress:#?}");
    // A rule for another port does not count.
    let report =
        ingress(json!([{"IpProtocol": "tcp", "FromPort": 80, "ToPort": 80, "PrefixLists": ["pl-0a1b"]}]));
    assert!(found(&report).contains("network.security-group"));
}

#[test]
fn ipv6_is_no_way_to_an_endpoint_that_has_ipv4() {
    let open = |cidrs: Value, kind: &'static str, blocks: Value| {
        let report = with(|json| {
            json["SecurityGroups"][1]["Egress"] = json!([{"IpProtocol": "-1", "Cidrs": cidrs}]);
            json["VpcEndpoints"][0]["IpAddressType"] = json!(kind);
            json["Subnets"][0]["Ipv6CidrBlocks"] = blocks.clone();
            json["Subnets"][1]["Ipv6CidrBlocks"] = blocks.clone();
        });
        !found(&report).contains("network.security-group")
    };
    let (all, one) = (json!(["::/0"]), json!(["2001:db8:0:1::/64"]));
    assert!(!open(all.clone(), "", json!([])) && !open(all.clone(), "ipv4", one.clone()));
    assert!(!open(json!(["::/1", "8000::/1"]), "ipv4", one.clone()));
    assert!(
        open(json!(["0.0.0.0/0"]), "ipv4", json!([])) && !open(json!(["0.0.0.0/0"]), "ipv6", one.clone())
    );
    for kind in ["ipv6", "dualstack"] {
        assert!(open(all.clone(), kind, one.clone()) && open(json!(["2001:db8::/48"]), kind, one.clone()));
        assert!(!open(json!(["2001:db8:1::/48"]), kind, one.clone()));
        assert!(!open(json!(["2001:db8::/48"]), kind, json!([])));
    }
    // Inbound rules work like outbound ones.
    let report = ingress(json!([https(json!({"Cidrs": ["::/0"]}))]));
    assert!(found(&report).contains("network.security-group"), "{report:#?}");
}

#[test]
fn a_rule_for_the_endpoint_s_group_lets_out() {
    let out = |groups: Value| {
        let report = with(|json| {
            json["SecurityGroups"][1]["Egress"] = json!([https(json!({"Groups": groups}))]);
        });
        !found(&report).contains("network.security-group")
    };
    assert!(out(json!(["sg-endpoint"])) && out(json!(["sg-x", "sg-endpoint"])));
    assert!(!out(json!(["sg-x"])) && !out(json!([])));
}

#[test]
fn nobody_who_is_not_known_is_locked_out() {
    let report = with(|json| {
        json["SecurityGroups"][0]["Ingress"][0]["Cidrs"] = json!(["0.0.0.0/0"]);
        json["NotCollected"] = json!([{"Permission": "ecs:ListServices", "Error": "AccessDenied"}]);
    });
    let finding = of(&report, "network.open-group");
    assert!(finding.run.is_empty() && finding.advice.is_some(), "{finding:?}");
}

/// The service's usual name does not resolve to the FIPS endpoint.
#[test]
fn an_endpoint_for_fips_is_none_for_the_usual_name() {
    const FIPS: &str = "com.amazonaws.eu-central-1.secretsmanager-fips";
    let alone = |is_asked_for: bool| {
        with(|json| {
            json["VpcEndpoints"][0]["ServiceName"] = json!(FIPS);
            json["Functions"][0]["UsesFipsEndpoint"] = json!(is_asked_for);
        })
    };
    let report = alone(false);
    let finding = of(&report, "network.no-endpoint");
    assert!(finding.seen.contains("vpce-1") && finding.seen.contains("service/shop/checkout"), "{finding:?}");
    assert!(
        finding.run[0].contains("--service-name com.amazonaws.eu-central-1.secretsmanager "),
        "{finding:?}"
    );
    let report = alone(true);
    let seen = &of(&report, "network.no-endpoint").seen;
    assert!(!seen.contains("rotate-MultiUser") && seen.contains("service/shop/checkout"), "{seen}");
    let report = with(|json| {
        json["VpcEndpoints"][0]["ServiceName"] = json!(FIPS);
        json["Functions"][0]["UsesFipsEndpoint"] = json!(true);
        json["Workloads"] = json!([]);
    });
    assert!(!found(&report).contains("network.no-endpoint"), "{report:#?}");
    // In addition to the usual endpoint, it does no harm.
    let report = with(|json| {
        let mut fips = json["VpcEndpoints"][0].clone();
        fips["ServiceName"] = json!(FIPS);
        fips["VpcEndpointId"] = json!("vpce-2");
        json["VpcEndpoints"].as_array_mut().unwrap().insert(0, fips);
    });
    assert!(found(&report).is_empty(), "{report:#?}");
}

/// The FIPS name does not resolve to the usual endpoint either.
#[test]
fn who_asks_for_fips_does_not_take_the_usual_endpoint() {
    let closed = policy(json!([allow(READ, json!({"AWS": APP}), json!({}))]));
    let fips = |json: &mut Value| {
        json["Functions"][0]["UsesFipsEndpoint"] = json!(true);
        json["VpcEndpoints"][0]["Policy"] = closed.clone();
        json["SecurityGroups"][0]["Ingress"] = json!([]);
    };
    let report = with(|json| {
        fips(json);
        json["Workloads"] = json!([]);
    });
    let finding = of(&report, "network.no-endpoint");
    assert!(finding.seen.contains("vpce-1") && finding.seen.contains("rotate-MultiUser"), "{finding:?}");
    assert!(
        finding.run[0].contains("--service-name com.amazonaws.eu-central-1.secretsmanager-fips "),
        "{finding:?}"
    );
    let checks = found(&report);
    assert!(
        !checks.contains("network.endpoint-refuses") && !checks.contains("network.security-group"),
        "{checks:?}"
    );
    let mut json = good();
    fips(&mut json);
    let snapshot = snapshot(json);
    let access = Account::new(&snapshot).read(&snapshot.secrets[0], &snapshot.principals[1]);
    assert_eq!(access.outcome(), Outcome::Allowed);
}

#[test]
fn one_endpoint_of_a_vpc_has_the_name() {
    let second = |json: &mut Value| {
        let mut second = json["VpcEndpoints"][0].clone();
        second["VpcEndpointId"] = json!("vpce-2");
        second["PrivateDnsEnabled"] = json!(false);
        json["VpcEndpoints"].as_array_mut().unwrap().push(second);
    };
    let report = with(second);
    assert!(found(&report).is_empty(), "{report:#?}");
    let report = with(|json| {
        second(json);
        json["VpcEndpoints"][0]["PrivateDnsEnabled"] = json!(false);
    });
    assert!(found(&report).contains("network.private-dns"));
}

#[test]
fn an_endpoint_for_another_region_is_none() {
    let report = with(|json| {
        json["VpcEndpoints"][0]["ServiceName"] = json!("com.amazonaws.us-east-1.secretsmanager");
    });
    assert!(of(&report, "network.no-endpoint").seen.starts_with("no endpoint; "), "{report:#?}");
}

#[test]
fn an_endpoint_that_refuses_a_reader_is_a_finding() {
    let report =
        |statements: Value| with(|json| json["VpcEndpoints"][0]["Policy"] = policy(statements.clone()));
    let own = json!({"StringEquals": {"aws:PrincipalAccount": "111122223333", "aws:ResourceAccount": "111122223333"}});
    let some = |resource: &str| {
        let mut statement = allow("secretsmanager:*", json!("*"), own.clone());
        statement["Resource"] = json!(resource);
        statement
    };
    let other = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:other/*";
    let refused = report(json!([some(other)]));
    let all: Vec<_> = refused.findings.iter().filter(|it| it.check == "network.endpoint-refuses").collect();
    assert_eq!(all.len(), 2, "{all:#?}");
    assert!(
        all.iter().any(|it| it.seen.contains(APP)) && all.iter().all(|it| it.resource == "vpce-1"),
        "{all:#?}"
    );
    // With the first command, its reader can read again. The other still cannot.
    let after: Value = {
        let (_, text) = all[0].run[0].split_once("--policy-document '").unwrap();
        serde_json::from_str(text.split('\'').next().unwrap()).unwrap()
    };
    let report_after = with(|json| json["VpcEndpoints"][0]["Policy"] = after.clone());
    assert_eq!(report_after.findings.iter().filter(|it| it.check == "network.endpoint-refuses").count(), 1);
    let mut deny = allow("secretsmanager:GetSecretValue", json!("*"), json!({}));
    deny["Effect"] = json!("Deny");
    let denied = report(json!([some("*"), deny]));
    assert!(of(&denied, "network.endpoint-refuses").run.is_empty());
    assert!(!found(&report(json!([some("*")]))).contains("network.endpoint-refuses"));
    // A principal that cannot read anyway is not reported.
    let closed = with(|json| {
        json["VpcEndpoints"][0]["Policy"] = policy(json!([some(other)]));
        json["Principals"][0]["InlinePolicies"] = json!([]);
    });
    let all: Vec<_> = closed.findings.iter().filter(|it| it.check == "network.endpoint-refuses").collect();
    assert!(all.len() == 1 && !all[0].seen.contains(APP), "{all:#?}");
}

#[test]
fn readers_are_let_in_before_the_rule_for_all_is_revoked() {
    let open = |groups: Value| {
        with(|json| {
            json["SecurityGroups"][0]["Ingress"][0]["Groups"] = groups.clone();
            json["SecurityGroups"][0]["Ingress"][0]["Cidrs"] = json!(["0.0.0.0/0"]);
        })
    };
    let report = open(json!([]));
    let run = &of(&report, "network.open-group").run;
    assert!(
        run[0].contains("authorize-security-group-ingress") && run[0].contains("GroupId=sg-function"),
        "{run:?}"
    );
    assert!(run[1].contains("revoke-security-group-ingress"), "{run:?}");
    assert_eq!(of(&open(json!(["sg-function"])), "network.open-group").run.len(), 1);
}
