//! Rules that look like alarms but are not, and trails that record only some events.

use secretcache_access::audit::Severity;
use serde_json::{Value, json};

use super::{ROTATION, SECRET, found, of, with};

/// Whether a check is satisfied with this pattern in one of the account's rules.
fn alarmed(rule: usize, check: &str, pattern: &Value) -> bool {
    let report = with(|json| json["EventRules"][rule]["EventPattern"] = pattern.clone());
    !found(&report).contains(check)
}

#[test]
fn a_rule_that_hears_of_something_else_is_no_alarm() {
    let deleted = |edit: &dyn Fn(&mut Value)| {
        let mut pattern = json!({"source": ["aws.secretsmanager"], "detail-type": ["AWS API Call via CloudTrail"],
            "detail": {"eventSource": ["secretsmanager.amazonaws.com"], "eventName": ["DeleteSecret"]}});
        edit(&mut pattern);
        alarmed(1, "alarm.delete", &pattern)
    };
    assert!(deleted(&|_| ()));
    assert!(!deleted(&|it| it["detail-type"] = json!(["AWS Service Event via CloudTrail"])));
    assert!(!deleted(&|it| it["account"] = json!(["444455556666"])));
    assert!(!deleted(&|it| it["region"] = json!(["us-east-1"])));
    assert!(!deleted(&|it| it["detail"]["requestParameters"]["secretId"] = json!(["other"])));
    assert!(!deleted(
        &|it| it["detail"]["userIdentity"]["arn"] = json!(["arn:aws:iam::111122223333:user/al"])
    ));
    assert!(!deleted(&|it| it["detail"]["eventName"] = json!([{"anything-but": ["DeleteSecret"]}])));
    assert!(!deleted(&|it| it["detail"]["errorCode"] = json!([{"exists": true}])));
    // A rule for every event of every service alerts nobody.
    assert!(!alarmed(1, "alarm.delete", &json!({"source": [{"prefix": "aws."}]})));
    assert!(!alarmed(1, "alarm.delete", &json!({"detail": {"readOnly": [false]}})));
}

#[test]
fn a_rule_may_say_it_in_other_words() {
    for detail in [
        json!({"eventName": [{"prefix": "Delete"}]}),
        json!({"eventName": [{"suffix": "eteSecret"}]}),
        json!({"eventName": [{"wildcard": "*lete*"}]}),
        json!({"eventName": [{"equals-ignore-case": "deletesecret"}]}),
        json!({"eventName": [{"anything-but": {"prefix": "Get"}}]}),
        json!({"eventName": ["DeleteSecret"], "errorCode": [{"exists": false}]}),
        json!({"$or": [{"eventName": ["DeleteSecret"]}, {"eventName": ["RestoreSecret"]}]}),
        json!({"eventName": ["DeleteSecret"], "userIdentity": {"arn": [{"anything-but": {"suffix": "/rotation"}}]}}),
        json!({"eventName": ["DeleteSecret"], "requestParameters": {"secretId": ["prod/checkout/db", SECRET]}}),
    ] {
        let pattern = json!({"source": [{"wildcard": "aws.secrets*"}], "detail": detail});
        assert!(alarmed(1, "alarm.delete", &pattern), "{pattern}");
    }
    // The form in which the User Guide matches changes of one secret.
    for key in ["arn", "aRN"] {
        let pattern = json!({"source": ["aws.secretsmanager"], "detail-type": ["AWS API Call via CloudTrail"],
            "detail": {"eventName": ["DeleteSecret"], "responseElements": {key: [SECRET]}}});
        assert!(alarmed(1, "alarm.delete", &pattern), "{pattern}");
        let other = json!({"source": ["aws.secretsmanager"],
            "detail": {"eventName": ["DeleteSecret"], "responseElements": {key: ["other"]}}});
        assert!(!alarmed(1, "alarm.delete", &other), "{other}");
    }
    let by_arn = json!({"source": ["aws.secretsmanager"], "detail": {"eventName": ["RotationFailed", "RotationAbandoned"],
        "additionalEventData": {"SecretId": [SECRET]}}});
    assert!(alarmed(0, "alarm.rotation-failed", &by_arn));
}

#[test]
fn a_secret_that_no_rule_names_is_named() {
    let report = with(|json| {
        let mut other = json["Secrets"][0].clone();
        other["ARN"] = json!(SECRET.replace("/db-", "/api-"));
        other["Name"] = json!("prod/checkout/api");
        json["Secrets"].as_array_mut().unwrap().push(other);
        json["EventRules"][1]["EventPattern"]["detail"]["requestParameters"] =
            json!({"secretId": ["prod/checkout/db", SECRET]});
    });
    assert_eq!(
        of(&report, "alarm.delete").seen,
        "no rule and no alarm for DeleteSecret of prod/checkout/api"
    );
}

#[test]
fn who_hears_of_every_read_hears_nothing_of_refused_ones() {
    let all = json!({"source": ["aws.secretsmanager"], "detail": {"eventName": ["GetSecretValue"]}});
    assert!(!alarmed(4, "alarm.access-denied", &all));
    for code in [json!(["AccessDenied"]), json!([{"prefix": "Access"}]), json!([{"anything-but": "x"}])] {
        let mut refused = all.clone();
        refused["detail"]["errorCode"] = code;
        assert!(alarmed(4, "alarm.access-denied", &refused), "{refused}");
    }
    let other = json!({"source": ["aws.secretsmanager"], "detail": {"eventName": ["GetSecretValue"],
        "errorCode": ["ThrottlingException"]}});
    assert!(!alarmed(4, "alarm.access-denied", &other));
}

#[test]
fn a_metric_filter_for_all_else_or_for_another_secret_is_no_alarm() {
    for (pattern, is_alarm) in [
        ("{ $.eventName = \"GetSecretValue\" }", true),
        ("{ $.eventName = GetSecretValue }", true),
        ("{ $.eventName != \"GetSecretValue\" }", false),
        ("{ ($.eventName = GetSecretValue) && ($.requestParameters.secretId = \"other\") }", false),
        (
            "{ ($.eventName = GetSecretValue) && ($.requestParameters.secretId = \"*prod/checkout/db*\") }",
            true,
        ),
        (
            "{ ($.eventName = GetSecretValue) && ($.requestParameters.secretId = \"prod/checkout/db\") }",
            false,
        ),
        ("{ ($.eventName = GetSecretValue) && ($.errorCode = \"*\") }", false),
    ] {
        let report = with(|json| json["MetricAlarms"][0]["FilterPattern"] = json!(pattern));
        assert_eq!(!found(&report).contains("alarm.access-volume"), is_alarm, "{pattern}");
    }
}

/// A filter counts only on a log group to which a trail writes such events.
#[test]
fn a_metric_filter_of_another_log_group_is_no_alarm() {
    let is_alarm = |edit: fn(&mut Value)| !found(&with(edit)).contains("alarm.access-volume");
    assert!(is_alarm(|_| ()));
    assert!(!is_alarm(|json| json["MetricAlarms"][0]["LogGroupName"] = json!("application")));
    assert!(!is_alarm(|json| json["MetricAlarms"][0]["LogGroupName"] = json!("rail")));
    assert!(!is_alarm(|json| drop(
        json["Trails"][0].as_object_mut().unwrap().remove("CloudWatchLogsLogGroupArn")
    )));
    assert!(!is_alarm(|json| json["Trails"][0]["IsLogging"] = json!(false)));
    // A write-only trail never records reads.
    assert!(!is_alarm(|json| {
        json["Trails"][0]["AdvancedEventSelectors"] = json!([]);
        json["Trails"][0]["EventSelectors"] = json!([{"ReadWriteType": "WriteOnly"}]);
    }));
    assert!(is_alarm(|json| json["Trails"][0]["CloudWatchLogsLogGroupArn"] =
        json!("arn:aws:logs:eu-central-1:111122223333:log-group:trail")));
    // A log group in another Region was not collected, and the finding says so.
    let report = with(|json| {
        json["Trails"][0]["CloudWatchLogsLogGroupArn"] =
            json!("arn:aws:logs:us-east-1:111122223333:log-group:trail:*");
    });
    let finding = of(&report, "alarm.access-volume");
    assert!(finding.advice.as_ref().unwrap().contains("us-east-1"), "{finding:?}");
    // If trails could not be read, nothing is reported but a note.
    let report = with(|json| {
        json["Trails"] = json!([]);
        json["NotCollected"] = json!([{"Permission": "cloudtrail:DescribeTrails", "Error": "AccessDenied"}]);
    });
    assert!(!found(&report).contains("alarm.access-volume"));
    assert!(report.not_checked.iter().any(|it| it.check == "alarm.access-volume"), "{report:#?}");
    // A rule receives refused reads if any trail logs, so the filter does not matter for them.
    let is_by_filter = |reason: &str| reason.contains("log group");
    let mut denied = report.not_checked.iter().filter(|it| it.check == "alarm.access-denied");
    assert!(!denied.any(|it| is_by_filter(&it.reason)), "{report:#?}");
}

/// The rules of another bus are not known, so neither answer is certain.
#[test]
fn what_goes_to_another_bus_may_be_heard_there() {
    const BUS: &str = "arn:aws:events:eu-central-1:444455556666:event-bus/central";
    let outcome = |pattern: Value, state: &str, targets: Value| {
        let report = with(|json| {
            json["EventRules"] = json!([{"Name": "central", "State": state, "EventPattern": pattern.clone(),
                "Targets": targets.as_array().unwrap().len(), "TargetArns": targets.clone()}]);
            json["MetricAlarms"] = json!([]);
        });
        let is_found = found(&report).contains("alarm.delete");
        let mut notes = report.not_checked.iter().filter(|it| it.check == "alarm.delete");
        (is_found, notes.any(|it| it.reason.contains("central") && it.reason.contains(BUS)))
    };
    let own = json!({"source": ["aws.secretsmanager"]});
    let every = json!({"source": [{"prefix": "aws."}]});
    for pattern in [&own, &every] {
        assert_eq!(outcome(pattern.clone(), "ENABLED", json!([BUS])), (false, true), "{pattern}");
        assert_eq!(outcome(pattern.clone(), "DISABLED", json!([BUS])), (true, false), "{pattern}");
    }
    let other = json!({"source": ["aws.secretsmanager"], "detail": {"eventName": ["PutSecretValue"]}});
    assert_eq!(outcome(other, "ENABLED", json!([BUS])), (true, false));
    // A target in this account is notified as well.
    let topic = "arn:aws:sns:eu-central-1:111122223333:secrets";
    assert_eq!(outcome(own.clone(), "ENABLED", json!([BUS, topic])), (false, false));
    assert_eq!(outcome(every, "ENABLED", json!([topic])), (true, false));
    // A rule that receives no reads forwards none.
    let reads = |state: &str| {
        let report = with(|json| {
            json["EventRules"] = json!([{"Name": "central", "State": state, "EventPattern": own.clone(),
                "Targets": 1, "TargetArns": [BUS]}]);
            json["MetricAlarms"] = json!([]);
        });
        ["alarm.access-denied", "alarm.access-volume"].map(|check| found(&report).contains(check))
    };
    assert_eq!(reads("ENABLED"), [true, true]);
    assert_eq!(reads("ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS"), [false, false]);
}

#[test]
fn a_rule_that_names_reads_in_other_words_waits_for_them_as_well() {
    let state = |detail: Value| {
        let report = with(|json| {
            json["EventRules"][4]["State"] = json!("ENABLED");
            json["EventRules"][4]["EventPattern"]["detail"] = detail.clone();
        });
        found(&report).contains("trail.rule-state")
    };
    assert!(state(json!({"eventName": [{"prefix": "GetSecret"}], "errorCode": [{"exists": true}]})));
    assert!(state(json!({"eventName": ["PutSecretValue", "GetSecretValue"]})));
    assert!(!state(json!({"eventName": ["PutSecretValue"]})));
    assert!(!state(json!({"eventName": [{"anything-but": ["ListSecrets"]}]})));
    assert!(!state(json!({"eventSource": ["secretsmanager.amazonaws.com"]})));
}

#[test]
fn a_trail_that_leaves_out_some_sessions_is_not_one_that_records_nothing() {
    let recorded = |selectors: Value| {
        with(|json| {
            let all = json["Trails"][0]["AdvancedEventSelectors"].as_array_mut().unwrap();
            let network = all.pop().unwrap();
            *all = selectors.as_array().unwrap().clone();
            all.push(network);
        })
    };
    let management =
        |more: Value| json!({"FieldSelectors": [{"Field": "eventCategory", "Equals": ["Management"]}, more]});
    let console =
        |is_so: &str| management(json!({"Field": "sessionCredentialFromConsole", "Equals": [is_so]}));
    let session = "arn:aws:sts::111122223333:assumed-role/scanner/s";
    let partly = recorded(json!([management(json!({"Field": "userIdentity.arn", "NotEquals": [session]}))]));
    let finding = of(&partly, "trail.no-management-events");
    assert_eq!(finding.severity, Severity::Low);
    assert!(
        finding.seen.ends_with(&format!("some sessions only: userIdentity.arn is not {session}")),
        "{finding:?}"
    );
    assert_eq!(found(&partly).len(), 1, "{partly:#?}");
    let console_only = recorded(json!([console("true")]));
    assert!(
        of(&console_only, "trail.no-management-events").seen.contains("sessionCredentialFromConsole is true")
    );
    assert!(found(&recorded(json!([console("true"), console("false")]))).is_empty());
    let reads_of_some = json!([
        management(json!({"Field": "readOnly", "Equals": ["false"]})),
        {"FieldSelectors": [{"Field": "eventCategory", "Equals": ["Management"]}, {"Field": "readOnly", "Equals": ["true"]},
            {"Field": "userIdentity.arn", "NotStartsWith": [session]}]}
    ]);
    assert_eq!(of(&recorded(reads_of_some), "trail.write-only").severity, Severity::Low);
}

#[test]
fn data_events_of_others_stay_recorded() {
    let data = json!({"Type": "AWS::S3::Object", "Values": ["arn:aws:s3:::bucket/"]});
    let report = with(|json| {
        json["Trails"][0]["AdvancedEventSelectors"] = json!([]);
        json["Trails"][0]["EventSelectors"] =
            json!([{"ReadWriteType": "WriteOnly", "DataResources": [data.clone()]}]);
    });
    let run = of(&report, "trail.write-only").run.join("\n");
    assert!(run.contains("AWS::S3::Object") && run.contains("WriteOnly"), "{run}");
    assert!(run.contains(r#"{"ReadWriteType":"All","IncludeManagementEvents":true}"#), "{run}");
    // Advanced selectors would replace the basic ones.
    assert!(of(&report, "trail.network-activity").run.is_empty());
}

#[test]
fn a_trail_of_reads_alone_records_no_change() {
    for (kind, expected) in [("ReadOnly", "trail.read-only"), ("WriteOnly", "trail.write-only")] {
        let report = with(|json| {
            json["Trails"][0]["AdvancedEventSelectors"] = json!([]);
            json["Trails"][0]["EventSelectors"] = json!([{"ReadWriteType": kind}]);
        });
        let run = &of(&report, expected).run[0];
        assert!(run.contains(r#""ReadWriteType":"All""#), "{run}");
        assert!(!found(&report).contains("trail.no-management-events"), "{report:#?}");
    }
    // Two trails can complement each other.
    let report = with(|json| {
        let mut reads = json["Trails"][0].clone();
        reads["AdvancedEventSelectors"] = json!([]);
        reads["EventSelectors"] = json!([{"ReadWriteType": "ReadOnly"}]);
        json["Trails"].as_array_mut().unwrap().push(reads);
    });
    assert!(found(&report).is_empty(), "{report:#?}");
}

#[test]
fn the_rule_for_written_values_leaves_out_rotations() {
    let report = with(|json| json["EventRules"] = json!([]));
    let run = &of(&report, "alarm.put-value").run[0];
    let pattern = run.split("--event-pattern '").nth(1).and_then(|rest| rest.split('\'').next()).unwrap();
    let pattern: Value = serde_json::from_str(pattern).unwrap();
    let issuers = pattern["detail"]["$or"].to_string();
    assert!(issuers.contains(&format!(r#"{{"anything-but":["{ROTATION}"]}}"#)), "{issuers}");
    assert!(alarmed(3, "alarm.put-value", &pattern), "{pattern}");
}

/// EventBridge receives CloudTrail's events only while a trail is logging.
#[test]
fn rules_are_deaf_where_no_trail_logs() {
    const BY_RULE: [&str; 5] = [
        "alarm.rotation-failed",
        "alarm.delete",
        "alarm.policy-change",
        "alarm.put-value",
        "alarm.access-denied",
    ];
    for (place, value) in [("/Trails", json!([])), ("/Trails/0/IsLogging", json!(false))] {
        let report = with(|json| *json.pointer_mut(place).unwrap() = value.clone());
        for check in BY_RULE {
            let finding = of(&report, check);
            assert!(finding.seen.contains("no trail logs") && finding.run.is_empty(), "{finding:?}");
        }
        // If there is no rule either, one has to be created.
        let report = with(|json| {
            *json.pointer_mut(place).unwrap() = value.clone();
            json["EventRules"] = json!([]);
        });
        let finding = of(&report, "alarm.delete");
        assert!(finding.run[0].contains("put-rule"), "{finding:?}");
        assert!(finding.advice.as_ref().unwrap().contains("until a trail logs"), "{finding:?}");
    }
    let report = with(|json| {
        json["Trails"] = json!([]);
        json["NotCollected"] = json!([{"Permission": "cloudtrail:DescribeTrails", "Error": "AccessDenied"}]);
    });
    for check in BY_RULE {
        assert!(!found(&report).contains(check), "{check}");
        let mut unknown = report.not_checked.iter();
        assert!(
            unknown.any(|it| it.check == check && it.permission == "cloudtrail:DescribeTrails"),
            "{check}"
        );
    }
}
