//! Commands that would remove too much, overwrite something, or fail.

use serde_json::{Value, json};

use super::{APP, OTHER, READ, ROTATION, SECRET, allow, of, policy, with};

#[test]
fn what_is_lacking_for_two_secrets_is_added_by_two_policies() {
    let second = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:prod/checkout/api-GhIjKl";
    let report = with(|json| {
        let mut other = json["Secrets"][0].clone();
        other["ARN"] = json!(second);
        other["Name"] = json!("prod/checkout/api");
        json["Secrets"].as_array_mut().unwrap().push(other);
        json["Principals"][1]["InlinePolicies"] = json!([]);
    });
    let lacks = report.findings.iter().filter(|finding| finding.check == "access.rotation-lacks");
    let names: Vec<_> = lacks
        .map(|finding| {
            let (_, rest) = finding.run[0].split_once("--policy-name ").unwrap();
            rest.split(' ').next().unwrap().to_owned()
        })
        .collect();
    assert_eq!(names, ["rotation-lacks-prod-checkout-db-AbCdEf", "rotation-lacks-prod-checkout-api-GhIjKl"]);
}

#[test]
fn a_policy_with_five_versions_loses_its_oldest_first() {
    const MANAGED: &str = "arn:aws:iam::111122223333:policy/reads";
    let wide = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:*";
    let run = |versions: Value| {
        let report = with(|json| {
            let read =
                json!({"Effect": "Allow", "Action": "secretsmanager:GetSecretValue", "Resource": wide});
            json["ManagedPolicies"][MANAGED] = policy(json!([read]));
            json["Principals"][0]["InlinePolicies"] = json!([]);
            json["Principals"][0]["AttachedPolicies"] = json!([MANAGED]);
            json["UnusedPolicyVersions"] = versions.clone();
        });
        of(&report, "access.all-secrets").run.clone()
    };
    assert_eq!(run(json!({MANAGED: ["v1"]})).len(), 1);
    let full = run(json!({MANAGED: ["v3", "v4", "v9", "v10"]}));
    assert_eq!(full[0], format!("aws iam delete-policy-version --policy-arn {MANAGED} --version-id v3"));
    assert!(run(json!({}))[0].starts_with("for version in $(aws iam list-policy-versions "));
}

#[test]
fn where_another_policy_keeps_the_rotation_out_no_identity_policy_is_printed() {
    let denies = |json: &mut Value| {
        json["Secrets"][0]["ResourcePolicy"]["Statement"][0]["Condition"]["ArnNotEquals"]["aws:PrincipalArn"] =
            json!("arn:aws:iam::111122223333:role/app");
    };
    let report = with(denies);
    let finding = of(&report, "access.rotation-lacks");
    assert!(
        finding.run.is_empty() && finding.advice.as_ref().unwrap().contains("OnlyTheseRead denies"),
        "{finding:?}"
    );
    let boundary = "arn:aws:iam::111122223333:policy/limit";
    let report = with(|json| {
        json["ManagedPolicies"][boundary] =
            policy(json!([{"Effect": "Allow", "Action": "secretsmanager:GetSecretValue", "Resource": "*"}]));
        json["Principals"][1]["PermissionsBoundary"] = json!(boundary);
    });
    let finding = of(&report, "access.rotation-lacks");
    assert!(
        finding.run.is_empty() && finding.advice.as_ref().unwrap().contains("no permissions boundary"),
        "{finding:?}"
    );
}

#[test]
fn a_variable_is_not_replaced_by_what_it_means_now() {
    let path = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:${aws:PrincipalTag/team}/*";
    let report = with(|json| {
        json["Principals"][0]["Tags"] = json!({"team": "prod"});
        json["Principals"][0]["InlinePolicies"][0]["Document"]["Statement"][0]["Resource"] = json!(path);
    });
    let finding = of(&report, "access.recreate");
    assert!(finding.run.is_empty() && finding.advice.is_some(), "{finding:?}");
}

#[test]
fn an_endpoint_that_everything_takes_lets_everything_in() {
    let report = with(|json| json["VpcEndpoints"] = json!([]));
    let finding = of(&report, "network.no-endpoint");
    assert!(
        finding.run[0].contains("create-security-group") && !finding.run[0].contains("sg-function"),
        "{finding:?}"
    );
    let closed = with(|json| {
        json["VpcEndpoints"][0]["PrivateDnsEnabled"] = json!(false);
        json["SecurityGroups"][0]["Ingress"] = json!([]);
    });
    assert!(of(&closed, "network.private-dns").run.is_empty());
    let open = with(|json| json["VpcEndpoints"][0]["PrivateDnsEnabled"] = json!(false));
    assert!(!of(&open, "network.private-dns").run.is_empty());
}

#[test]
fn names_that_begin_like_options_are_values() {
    let report = with(|json| {
        json["Principals"][1]["Arn"] = json!("arn:aws:iam::111122223333:role/-rotation");
        json["Functions"][0]["Role"] = json!("arn:aws:iam::111122223333:role/-rotation");
        let spared = &mut json["Secrets"][0]["ResourcePolicy"]["Statement"][0]["Condition"]["ArnNotEquals"];
        spared["aws:PrincipalArn"][1] = json!("arn:aws:iam::111122223333:role/-rotation");
        json["Principals"][1]["InlinePolicies"] = json!([]);
        json["Functions"][0]["Policy"]["Statement"][0]["Sid"] = json!("-x");
        json["Functions"][0]["Policy"]["Statement"][0]["Condition"] = json!({});
        json["EventRules"][4]["Name"] = json!("-denied");
        json["EventRules"][4]["State"] = json!("ENABLED");
    });
    let all: Vec<_> = report.findings.iter().flat_map(|finding| &finding.run).collect();
    let has = |words: &str| all.iter().any(|run| run.contains(words));
    assert!(has("--role-name=-rotation") && has("--statement-id=-x") && has("--name=-denied"), "{all:#?}");
    assert!(
        !all.iter().any(|run| run.contains(" -rotation") || run.contains(" -x ") || run.contains(" -denied"))
    );
    assert!(ROTATION.ends_with("role/rotation") && SECRET.contains("prod/checkout"));
}

#[test]
fn a_principal_is_taken_out_and_the_others_stay() {
    let bill = "AIDABILL000000000000";
    let run = |statement: Value, check: &str| {
        let report = with(|json| json["Secrets"][0]["ResourcePolicy"] = policy(json!([statement.clone()])));
        of(&report, check).run.join("\n")
    };
    let both = allow(READ, json!({"AWS": [OTHER, APP], "Service": "rds.amazonaws.com"}), json!({}));
    let text = run(both, "sharing.cross-account");
    assert!(!text.contains(OTHER) && text.contains(APP) && text.contains("rds.amazonaws.com"), "{text}");
    let text = run(allow(READ, json!({"AWS": [bill, APP]}), json!({})), "sharing.ghost-principal");
    assert!(!text.contains(bill) && text.contains(APP), "{text}");
    let text = run(allow(READ, json!({"AWS": OTHER}), json!({})), "sharing.cross-account");
    assert!(text.contains("delete-resource-policy"), "{text}");
    let accounts = json!({"StringEquals": {"aws:PrincipalAccount": ["111122223333", "444455556666"]}});
    let text = run(allow(READ, json!("*"), accounts), "sharing.cross-account");
    assert!(text.contains("111122223333\"]") && !text.contains("444455556666"), "{text}");
    // A statement for everyone, or for an organization, keeps the account itself.
    let own = r#""aws:PrincipalAccount":"111122223333""#;
    assert!(run(allow(READ, json!("*"), json!({})), "sharing.public").contains(own));
    let organization = json!({"StringEquals": {"aws:PrincipalOrgID": "o-a1b2c3d4e5"}});
    assert!(run(allow(READ, json!("*"), organization), "sharing.organization").contains(own));
    // A service has no account, so no command can limit the statement to the account.
    assert_eq!(
        run(allow(READ, json!({"AWS": "*", "Service": "rds.amazonaws.com"}), json!({})), "sharing.public"),
        ""
    );
    // Without exceptions, a Deny would apply to everyone.
    let deny = json!({"Effect": "Deny", "NotPrincipal": {"AWS": [bill]}, "Action": READ, "Resource": "*"});
    assert_eq!(run(deny, "sharing.ghost-principal"), "");
}

#[test]
fn a_new_schedule_rotates_nothing_at_once() {
    for (rules, check) in [
        (json!({"AutomaticallyAfterDays": 200, "Duration": "3h"}), "rotation.interval"),
        (json!({"AutomaticallyAfterDays": 30}), "rotation.window"),
    ] {
        let report = with(|json| {
            json["Functions"][0]["FunctionArn"] =
                json!("arn:aws:lambda:eu-central-1:111122223333:function:rotate-SingleUser");
            json["Secrets"][0]["RotationLambdaARN"] =
                json!("arn:aws:lambda:eu-central-1:111122223333:function:rotate-SingleUser");
            json["Secrets"][0]["RotationRules"] = rules.clone();
        });
        let finding = of(&report, check);
        assert!(finding.run[0].contains(" --no-rotate-immediately "), "{finding:?}");
        assert!(finding.advice.as_ref().unwrap().contains("week"), "{finding:?}");
    }
    let off = with(|json| json["Secrets"][0]["RotationEnabled"] = json!(false));
    assert!(of(&off, "rotation.off").run[0].contains(" --no-rotate-immediately "));
}

#[test]
fn roles_that_aws_alone_edits_are_not_edited() {
    for path in [
        "aws-service-role/rds.amazonaws.com/AWSServiceRoleForRDS",
        "aws-reserved/sso.amazonaws.com/AWSReservedSSO_dev_0a",
    ] {
        let report = with(|json| {
            let statement = json!({"Effect": "Allow", "Action": ["secretsmanager:GetSecretValue", "secretsmanager:PutSecretValue"], "Resource": SECRET});
            json["Principals"]
                .as_array_mut()
                .unwrap()
                .push(json!({"Arn": format!("arn:aws:iam::111122223333:role/{path}"),
                "InlinePolicies": [{"Name": "p", "Document": policy(json!([statement]))}]}));
            json["Secrets"][0].as_object_mut().unwrap().remove("ResourcePolicy");
            json["Secrets"][0].as_object_mut().unwrap().remove("KmsKeyId");
            json["Secrets"][0]["Tags"]["secretcache:role"] = json!("master");
        });
        for check in ["access.application-writes", "access.master-readable"] {
            let mut all = report.findings.iter().filter(|it| it.check == check && it.resource.contains(path));
            let finding = all.next().unwrap();
            assert!(
                finding.run.is_empty() && finding.advice.as_ref().unwrap().contains("can edit"),
                "{finding:?}"
            );
        }
    }
}

#[test]
fn one_policy_denies_the_writes_of_many_secrets() {
    let run = |count: usize| {
        let report = with(|json| {
            let secrets = json["Secrets"].as_array_mut().unwrap();
            secrets[0].as_object_mut().unwrap().remove("KmsKeyId");
            secrets[0].as_object_mut().unwrap().remove("ResourcePolicy");
            for number in 1..count {
                let mut other = secrets[0].clone();
                other["Name"] = json!(format!("prod/checkout/{number}"));
                other["ARN"] = json!(SECRET.replace("/db-", &format!("/{number}-")));
                secrets.push(other);
            }
            let statement = json!({"Effect": "Allow", "Action": "secretsmanager:*", "Resource": SECRET.replace("db-AbCdEf", "*")});
            json["Principals"]
                .as_array_mut()
                .unwrap()
                .push(json!({"Arn": "arn:aws:iam::111122223333:user/dev",
                "InlinePolicies": [{"Name": "p", "Document": policy(json!([statement]))}]}));
        });
        let all = report.findings.into_iter().filter(|it| it.check == "access.application-writes");
        let runs: Vec<_> =
            all.filter(|it| it.resource.ends_with(":user/dev")).map(|it| it.run.join("\n")).collect();
        assert_eq!(runs.len(), count);
        assert!(runs.iter().all(|it| it == &runs[0]), "{runs:#?}");
        runs[0].clone()
    };
    assert!(run(1).contains("--policy-name deny-writes-prod-checkout-db-AbCdEf "));
    let two = run(2);
    assert!(
        two.contains("--policy-name deny-writes ") && two.contains("/db-AbCdEf") && two.contains("/1-AbCdEf"),
        "{two}"
    );
    // A user's inline policies can have 2,048 characters in total.
    assert_eq!(run(40), "");
}

#[test]
fn what_another_manages_or_replicates_is_not_deleted() {
    let of_old = |edit: fn(&mut Value)| {
        let report = with(|json| {
            json["Secrets"][0]["LastAccessedDate"] = json!("2025-07-01T00:00:00Z");
            edit(&mut json["Secrets"][0]);
        });
        of(&report, "usage.unused").clone()
    };
    let replicated = of_old(|_| ());
    assert!(replicated.run.is_empty() && replicated.advice.unwrap().contains("eu-west-1"));
    let owned = of_old(|secret| secret["OwningService"] = json!("rds"));
    assert!(owned.run.is_empty() && owned.advice.unwrap().contains("through rds"));
    let alone = of_old(|secret| secret["ReplicationStatus"] = json!([]));
    assert!(alone.run[0].contains("delete-secret"));
    let report = with(|json| {
        json["Secrets"][0]["OwningService"] = json!("rds");
        json["Secrets"][0].as_object_mut().unwrap().remove("KmsKeyId");
    });
    let finding = of(&report, "key.default");
    assert!(
        finding.run.is_empty() && finding.advice.as_ref().unwrap().contains("through rds"),
        "{finding:?}"
    );
}

/// No list of ARNs covers secrets that do not exist yet.
#[test]
fn who_creates_secrets_goes_on_creating_them() {
    let path = SECRET.replace("-AbCdEf", "");
    for (resource, check) in [
        (format!("{path}-*"), "access.name-wildcard"),
        (format!("{path}-??????"), "access.recreate"),
        ("arn:aws:secretsmanager:eu-central-1:111122223333:secret:*".to_owned(), "access.all-secrets"),
    ] {
        let statements = |actions: Value| {
            let report = with(|json| {
                json["Principals"][0]["InlinePolicies"][0]["Document"]["Statement"] = json!([
                    {"Sid": "Own", "Effect": "Allow", "Action": actions.clone(), "Resource": resource}]);
            });
            let run = of(&report, check).run.join("\n");
            let (_, document) = run.split_once("--policy-document '").unwrap();
            let document: Value = serde_json::from_str(document.trim_end_matches('\'')).unwrap();
            document["Statement"].as_array().unwrap().clone()
        };
        let all = statements(json!([READ, "secretsmanager:CreateSecret", "secretsmanager:TagResource"]));
        assert_eq!(all.len(), 2, "{all:#?}");
        assert_eq!(all[0]["Action"], json!([READ, "secretsmanager:TagResource"]));
        assert_eq!(all[0]["Resource"], json!([SECRET]));
        assert_eq!(all[1]["Action"], json!(["secretsmanager:CreateSecret", "secretsmanager:TagResource"]));
        assert_eq!(all[1]["Resource"], json!(resource));
        let by_pattern = statements(json!([READ, "secretsmanager:Create*"]));
        assert_eq!(by_pattern[1]["Action"], json!(["secretsmanager:CreateSecret"]));
        // A statement for tags only, or for all actions, keeps no right on other names.
        assert_eq!(statements(json!([READ, "secretsmanager:TagResource"])).len(), 1);
        assert_eq!(statements(json!("secretsmanager:*")).len(), 1);
    }
}

/// An application can be called admin. A Deny on its own secret would stop it.
#[test]
fn a_name_alone_makes_no_master_secret() {
    let of_named = |name: &str, role: Option<&str>| {
        with(|json| {
            json["Secrets"][0]["Name"] = json!(name);
            if let Some(role) = role {
                json["Secrets"][0]["Tags"]["secretcache:role"] = json!(role);
            }
        })
    };
    let guessed = of_named("prod/admin-portal/db", None);
    let finding = of(&guessed, "access.master-readable");
    assert_eq!(finding.severity, secretcache_access::audit::Severity::Medium);
    assert!(
        finding.run.is_empty() && finding.advice.as_ref().unwrap().contains("secretcache:role=application")
    );
    let known = of_named("prod/admin-portal/db", Some("master"));
    assert!(!of(&known, "access.master-readable").run.is_empty());
    for (name, role) in [("prod/admin-portal/db", Some("application")), ("prod/administration/db", None)] {
        let report = of_named(name, role);
        assert!(!report.findings.iter().any(|it| it.check == "access.master-readable"), "{name}");
    }
}

#[test]
fn what_cannot_be_undone_says_what_to_look_at_first() {
    let never = with(|json| {
        json["Secrets"][0].as_object_mut().unwrap().shift_remove("LastAccessedDate");
        json["Secrets"][0]["ReplicationStatus"] = json!([]);
    });
    let finding = of(&never, "usage.never-read");
    assert!(finding.run[0].contains("--recovery-window-in-days 30"), "{finding:?}");
    let advice = finding.advice.as_ref().unwrap();
    assert!(
        advice.contains("restore-secret") && advice.contains("secretcache access prod/checkout/db"),
        "{advice}"
    );
    // No command deletes a secret that something is configured with.
    let used = with(|json| {
        json["Secrets"][0].as_object_mut().unwrap().shift_remove("LastAccessedDate");
        json["TaskDefinitions"][0]["Secrets"] = json!([SECRET]);
    });
    let finding = of(&used, "usage.never-read");
    assert!(finding.run.is_empty() && finding.advice.as_ref().unwrap().contains("checkout:7"), "{finding:?}");
    // A key open to everyone is first limited to this account.
    let public = with(|json| {
        json["Keys"][0]["Policy"]["Statement"][1]["Principal"] = json!("*");
        json["Keys"][0]["Policy"]["Statement"][1]["Condition"] = json!({});
    });
    assert!(
        of(&public, "key.policy-public").advice.as_ref().unwrap().contains("this account"),
        "{public:#?}"
    );
}

#[test]
fn one_fault_is_said_once() {
    let report = with(|json| {
        let twice = json["Principals"][1]["InlinePolicies"][0].clone();
        let attached = "arn:aws:iam::111122223333:policy/rotate";
        json["ManagedPolicies"][attached] = twice["Document"].clone();
        json["ManagedPolicies"][attached]["Statement"][0]["Resource"] = json!("*");
        // Attached to it, and to a group that it is in.
        json["Principals"][1]["AttachedPolicies"] = json!([attached, attached]);
    });
    let wide: Vec<_> = report.findings.iter().filter(|it| it.check == "access.rotation-wide").collect();
    assert_eq!(wide.len(), 1, "{wide:#?}");
}

#[test]
fn a_secret_without_a_current_version_cannot_be_read() {
    let seen = |versions: Value, created: &str| {
        let report = with(|json| {
            json["Secrets"][0]["Versions"] = versions.clone();
            json["Secrets"][0]["CreatedDate"] = json!(created);
        });
        report.findings.iter().find(|it| it.check == "usage.no-current").map(|it| it.seen.clone())
    };
    let old = "2025-06-01T09:00:00Z";
    let pending =
        json!([{"VersionId": "11111111-1111-4111-8111-111111111111", "VersionStages": ["AWSPENDING"]}]);
    assert_eq!(seen(pending.clone(), old).as_deref(), Some("no version has the label AWSCURRENT"));
    assert_eq!(seen(json!([]), old).as_deref(), Some("it has no version"));
    // Its creator may be about to store a value.
    assert_eq!(seen(json!([]), "2026-03-01T11:00:00Z"), None);
}

#[test]
fn counts_and_schedules_are_said_in_words() {
    let report = with(|json| json["Secrets"][0]["NextRotationDate"] = json!("2026-02-28T00:00:00Z"));
    assert!(of(&report, "rotation.overdue").seen.ends_with(", 1 day ago"), "{report:#?}");
    let window = |rules: Value| {
        let report = with(|json| {
            let function = json!("arn:aws:lambda:eu-central-1:111122223333:function:rotate-SingleUser");
            json["Functions"][0]["FunctionArn"] = function.clone();
            json["Secrets"][0]["RotationLambdaARN"] = function;
            json["Secrets"][0]["RotationRules"] = rules.clone();
        });
        of(&report, "rotation.window").advice.clone().unwrap()
    };
    assert!(window(json!({"ScheduleExpression": "rate(4 hours)"})).contains("not by rate(4 hours). "));
    assert!(window(json!({"AutomaticallyAfterDays": 1})).contains("not every 1 day. "));
    assert!(!window(json!({"AutomaticallyAfterDays": 0})).contains("and not"));
}

#[test]
fn a_fix_takes_away_nothing_but_the_fault() {
    let at = |place: usize, statement: Value, is_partial: bool| {
        with(|json| {
            json["Principals"][place]["InlinePolicies"][0]["Document"] = policy(json!([statement.clone()]));
            json["IsPartial"] = json!(is_partial);
        })
    };
    let here = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:*";
    let reads = json!([READ, "secretsmanager:ListSecrets", "s3:GetObject"]);
    let statement =
        |action: &Value, resource: &str| json!({"Effect": "Allow", "Action": action, "Resource": resource});
    let narrowed = at(0, statement(&reads, here), false);
    let run = of(&narrowed, "access.all-secrets").run.join("\n");
    assert!(
        run.contains("s3:GetObject") && run.contains("secretsmanager:ListSecrets") && run.contains(SECRET),
        "{run}"
    );
    // Other Regions, other services, and secrets that were not requested.
    for (action, resource, is_partial) in
        [(&reads, "*", false), (&json!("*"), here, false), (&reads, here, true)]
    {
        let report = at(0, statement(action, resource), is_partial);
        let finding = of(&report, "access.all-secrets");
        assert!(finding.run.is_empty() && finding.advice.is_some(), "{action} {resource}");
    }
    let not_action = json!({"Effect": "Allow", "NotAction": "iam:*", "Resource": here});
    assert!(of(&at(0, not_action, false), "access.not-action").run.is_empty());

    let rotates = json!([
        READ,
        "secretsmanager:DescribeSecret",
        "secretsmanager:PutSecretValue",
        "secretsmanager:UpdateSecretVersionStage",
        "secretsmanager:GetRandomPassword",
        "rds:ModifyDBInstance"
    ]);
    let run = of(&at(1, statement(&rotates, here), false), "access.rotation-wide").run.join("\n");
    assert!(run.contains("rds:ModifyDBInstance"), "{run}");
    assert!(of(&at(1, statement(&json!("*"), "*"), false), "access.rotation-wide").run.is_empty());
}

#[test]
fn a_replica_is_made_again_with_its_key_and_overwrites_nothing() {
    let report = with(|json| json["Secrets"][0]["ReplicationStatus"][0]["Status"] = json!("Failed"));
    let run = of(&report, "usage.replica").run.join("\n");
    assert!(
        run.contains("KmsKeyId=arn:aws:kms:eu-west-1:111122223333:key/5678") && !run.contains("overwrite"),
        "{run}"
    );
}
