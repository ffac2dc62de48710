//! Principals that cannot read a secret but are one call away from reading it.

use secretcache_access::audit::{Report, Severity};
use serde_json::{Value, json};

use super::{APP, ROTATION, SECRET, allow, found, of, policy, with};

const CI: &str = "arn:aws:iam::111122223333:role/ci";
const CHECK: &str = "access.becomes-reader";

/// A role that reads nothing, with these statements.
fn ci(statements: Value) -> Value {
    json!({"Arn": CI, "Id": "AROACI00000000000000", "InlinePolicies": [{"Name": "own", "Document": policy(statements)}]})
}

fn may(action: impl Into<Value>, resource: &str) -> Value {
    json!({"Effect": "Allow", "Action": action.into(), "Resource": resource})
}

fn report(statements: Value, edit: impl Fn(&mut Value)) -> Report {
    with(|json| {
        json["Principals"].as_array_mut().unwrap().push(ci(statements.clone()));
        edit(json);
    })
}

/// Opens the secret: removes its Deny, and uses a key that every principal of the account can use through it.
fn open(json: &mut Value) {
    let secret = json["Secrets"][0].as_object_mut().unwrap();
    secret.shift_remove("ResourcePolicy");
    secret.shift_remove("KmsKeyId");
}

#[test]
fn one_call_that_changes_rights_makes_a_reader() {
    let boundary = "arn:aws:iam::111122223333:policy/own";
    for (action, on) in [
        ("secretsmanager:PutResourcePolicy", SECRET),
        ("iam:PutRolePolicy", CI),
        ("iam:AttachRolePolicy", CI),
        ("iam:*", "*"),
        ("iam:UpdateAssumeRolePolicy", APP),
        ("iam:Update*", "arn:aws:iam::111122223333:role/*"),
    ] {
        let report = report(json!([may(action, on)]), open);
        let finding = of(&report, CHECK);
        assert_eq!((finding.resource.as_str(), finding.severity), (CI, Severity::High), "{action}");
        assert!(finding.seen.contains("prod/checkout/db"), "{finding:?}");
    }
    // Through an attached customer managed policy.
    let report = report(json!([may("iam:CreatePolicyVersion", boundary)]), |json| {
        open(json);
        json["ManagedPolicies"][boundary] = policy(json!([may("s3:GetObject", "*")]));
        let last = json["Principals"].as_array_mut().unwrap().last_mut().unwrap();
        last["AttachedPolicies"] = json!([boundary]);
    });
    assert!(of(&report, CHECK).seen.contains("iam:CreatePolicyVersion"));
}

#[test]
fn a_call_that_opens_nothing_is_no_finding() {
    let is_found =
        |statements: Value, edit: &dyn Fn(&mut Value)| found(&report(statements, edit)).contains(CHECK);
    // The secret's own Deny still keeps it out.
    assert!(!is_found(json!([may("iam:PutRolePolicy", CI)]), &|_| ()));
    assert!(is_found(json!([may("iam:UpdateAssumeRolePolicy", APP)]), &|_| ()));
    // The key is closed to it.
    assert!(!is_found(json!([may("secretsmanager:PutResourcePolicy", SECRET)]), &|_| ()));
    let keys = json!([may("secretsmanager:PutResourcePolicy", SECRET), may("kms:Decrypt", "*")]);
    let delegates = |json: &mut Value| {
        let all = json["Keys"][0]["Policy"]["Statement"].as_array_mut().unwrap();
        all.push(allow("kms:Decrypt", json!({"AWS": "arn:aws:iam::111122223333:root"}), json!({})));
    };
    assert!(is_found(keys, &delegates));
    // A role, secret or policy that does not help.
    for (action, on) in [
        ("iam:PutRolePolicy", APP),
        ("iam:UpdateAssumeRolePolicy", CI),
        ("iam:UpdateAssumeRolePolicy", "arn:aws:iam::111122223333:role/other/*"),
        (
            "secretsmanager:PutResourcePolicy",
            "arn:aws:secretsmanager:eu-central-1:111122223333:secret:other-AbCdEf",
        ),
        ("iam:CreatePolicyVersion", "*"),
        ("secretsmanager:PutSecretValue", SECRET),
    ] {
        assert!(!is_found(json!([may(action, on)]), &open), "{action} on {on}");
    }
    // A boundary, a Deny or a control policy removes the permission.
    let bound = |json: &mut Value| {
        open(json);
        json["ManagedPolicies"]["arn:aws:iam::111122223333:policy/b"] = policy(json!([may("iam:*", "*")]));
        let last = json["Principals"].as_array_mut().unwrap().last_mut().unwrap();
        last["PermissionsBoundary"] = json!("arn:aws:iam::111122223333:policy/b");
    };
    assert!(!is_found(json!([may("iam:PutRolePolicy", CI)]), &bound));
    let mut deny = may("iam:UpdateAssumeRolePolicy", "*");
    deny["Effect"] = json!("Deny");
    assert!(!is_found(json!([may("iam:*", APP), deny]), &open));
    // Allowed only if the changed role has a boundary, as in delegated administration.
    let mut delegated = may("iam:PutRolePolicy", CI);
    delegated["Condition"] =
        json!({"StringEquals": {"iam:PermissionsBoundary": "arn:aws:iam::111122223333:policy/b"}});
    assert!(!is_found(json!([delegated]), &open));
    // Allowed only for some policies.
    let mut harmless = may("iam:AttachRolePolicy", "*");
    harmless["Condition"] = json!({"ArnEquals": {"iam:PolicyARN": "arn:aws:iam::111122223333:policy/logs"}});
    assert!(!is_found(json!([harmless]), &open));
}

#[test]
fn a_managed_policy_that_reads_secrets_is_enough() {
    let attach = |name: &str| {
        let mut attach = may("iam:AttachRolePolicy", CI);
        attach["Condition"] =
            json!({"ArnEquals": {"iam:PolicyARN": format!("arn:aws:iam::aws:policy/{name}")}});
        json!([attach])
    };
    for name in ["AdministratorAccess", "PowerUserAccess", "SecretsManagerReadWrite"] {
        assert!(found(&report(attach(name), open)).contains(CHECK), "{name}");
    }
    assert!(!found(&report(attach("ReadOnlyAccess"), open)).contains(CHECK));
    // SecretsManagerReadWrite does not allow decryption with this key.
    let delegated = |json: &mut Value| {
        json["Secrets"][0].as_object_mut().unwrap().shift_remove("ResourcePolicy");
        let all = json["Keys"][0]["Policy"]["Statement"].as_array_mut().unwrap();
        all.push(allow("kms:Decrypt", json!({"AWS": "arn:aws:iam::111122223333:root"}), json!({})));
    };
    assert!(found(&report(attach("PowerUserAccess"), delegated)).contains(CHECK));
    assert!(!found(&report(attach("SecretsManagerReadWrite"), delegated)).contains(CHECK));
}

#[test]
fn what_is_there_already_runs_as_another_role() {
    let task = "arn:aws:ecs:eu-central-1:111122223333:task-definition/checkout:*";
    let function = "arn:aws:lambda:eu-central-1:111122223333:function:*";
    for (call, on, role) in
        [("ecs:RunTask", task, APP), ("lambda:UpdateFunctionConfiguration", function, ROTATION)]
    {
        let both = json!([may("iam:PassRole", role), may(call, on)]);
        let report = report(both, open);
        assert!(
            of(&report, CHECK).seen.contains(&format!("{call} with iam:PassRole on {role}")),
            "{report:#?}"
        );
        let alone = self::report(json!([may(call, on)]), open);
        assert!(!found(&alone).contains(CHECK), "{call}");
    }
}

#[test]
fn the_keys_and_passwords_of_a_user_that_reads_are_ways_too() {
    let user = "arn:aws:iam::111122223333:user/admin";
    for action in ["iam:CreateAccessKey", "iam:UpdateLoginProfile"] {
        let report = report(json!([may(action, "*")]), open);
        assert!(of(&report, CHECK).seen.contains(&format!("{action} on {user}")), "{action}");
    }
}

#[test]
fn whoever_lacks_only_the_key_may_not_give_it_to_itself() {
    let lacks = |action: &str, condition: Value| {
        let read = may("secretsmanager:GetSecretValue", SECRET);
        let mut give = may(action, "*");
        give["Condition"] = condition;
        let report = report(json!([read, give]), |json| {
            json["Secrets"][0].as_object_mut().unwrap().shift_remove("ResourcePolicy");
            let all = json["Keys"][0]["Policy"]["Statement"].as_array_mut().unwrap();
            let root = json!({"AWS": "arn:aws:iam::111122223333:root"});
            all.push(allow(json!(["kms:CreateGrant", "kms:PutKeyPolicy"]), root, json!({})));
        });
        assert!(found(&report).contains("key.reader"), "{report:#?}");
        found(&report).contains(CHECK)
    };
    assert!(lacks("kms:CreateGrant", json!({})));
    assert!(lacks("kms:Put*", json!({})));
    assert!(lacks("kms:*", json!({})));
    assert!(!lacks("kms:ListGrants", json!({})));
    assert!(!lacks("kms:CreateGrant", json!({"Bool": {"kms:GrantIsForAWSResource": "true"}})));
    assert!(!lacks(
        "kms:CreateGrant",
        json!({"ForAllValues:StringEquals": {"kms:GrantOperations": ["Encrypt"]}})
    ));
}

#[test]
fn whoever_deploys_what_reads_is_less_grave() {
    let function = "arn:aws:lambda:eu-central-1:111122223333:function:rotate-MultiUser";
    let pass = |service: &str| {
        let mut pass = may("iam:PassRole", ROTATION);
        pass["Condition"] = json!({"StringEquals": {"iam:PassedToService": service}});
        pass
    };
    for statements in [
        json!([may("lambda:UpdateFunctionCode", function)]),
        json!([pass("lambda.amazonaws.com"), may("lambda:CreateFunction", "*")]),
        json!([may("iam:PassRole", APP), may("ecs:RegisterTaskDefinition", "*")]),
    ] {
        let report = report(statements.clone(), |_| ());
        let finding = of(&report, CHECK);
        assert_eq!(finding.severity, Severity::Medium, "{statements}");
        assert!(finding.advice.as_ref().unwrap().contains("secretcache:role=operator"), "{finding:?}");
    }
    for statements in [
        json!([pass("ecs-tasks.amazonaws.com"), may("lambda:CreateFunction", "*")]),
        json!([may("iam:PassRole", ROTATION)]),
        json!([may("iam:PassRole", APP), may("lambda:CreateFunction", "*")]),
        json!([may("lambda:UpdateFunctionCode", function.replace("MultiUser", "x").as_str())]),
    ] {
        assert!(!found(&report(statements.clone(), |_| ())).contains(CHECK), "{statements}");
    }
}

#[test]
fn administrators_and_operators_are_no_finding() {
    let operator = |json: &mut Value| {
        open(json);
        let last = json["Principals"].as_array_mut().unwrap().last_mut().unwrap();
        last["Tags"] = json!({"secretcache:role": "operator"});
    };
    assert!(!found(&report(json!([may("iam:PutRolePolicy", CI)]), operator)).contains(CHECK));
    assert!(!found(&report(json!([may("*", "*")]), open)).contains(CHECK));
    // A tag that another principal can set does not count.
    let tagged = report(json!([may("iam:UpdateAssumeRolePolicy", APP)]), |json| {
        operator(json);
        let app = json["Principals"][0]["InlinePolicies"][0]["Document"]["Statement"].as_array_mut().unwrap();
        app.push(may("iam:TagRole", "*"));
    });
    assert!(found(&tagged).contains(CHECK), "{tagged:#?}");
}

/// PutRolePolicy requests carry no tags, so an Allow on condition of a request tag permits tagging and nothing more.
#[test]
fn a_tag_counts_for_nothing_where_others_may_set_it_on_a_condition() {
    let report = |condition: Value| {
        report(json!([]), |json| {
            let app = &mut json["Principals"][0];
            app["Tags"] = json!({"secretcache:role": "operator"});
            let own = app["InlinePolicies"][0]["Document"]["Statement"].as_array_mut().unwrap();
            own.push(may("secretsmanager:PutSecretValue", SECRET));
            let last = json["Principals"].as_array_mut().unwrap().last_mut().unwrap();
            let mut tags = may("iam:*", "*");
            tags["Condition"] = condition.clone();
            last["InlinePolicies"][0]["Document"] = policy(json!([tags]));
        })
    };
    let on_tag = |value: &str| json!({"StringEquals": {"aws:RequestTag/secretcache:role": value}});
    let finding = report(on_tag("operator"));
    let finding = of(&finding, "access.application-writes");
    assert!(finding.seen.contains(&format!("does not count, because {CI} can set it")), "{finding:?}");
    // It already has the tag. What is missing is that others cannot set it.
    let advice = finding.advice.as_ref().unwrap();
    assert!(advice.contains(CI) && !advice.contains("tag it secretcache:role=operator instead"), "{advice}");
    let keys = report(json!({"ForAnyValue:StringEquals": {"aws:TagKeys": ["secretcache:role"]}}));
    assert!(found(&keys).contains("access.application-writes"));
    assert!(!found(&report(on_tag("application"))).contains("access.application-writes"));
    assert!(!found(&report(json!({}))).contains("access.application-writes"));
}
