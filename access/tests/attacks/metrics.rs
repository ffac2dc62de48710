//! Metric filters that count nothing, and alarms that never fire.

use serde_json::{Value, json};

use super::{SECRET, found, of, with};

type Edit = fn(&mut Value);

/// Replaces the rule for deleted secrets with a metric filter and an alarm. Returns whether that counts as an alarm,
/// and the finding if it does not.
fn judged(pattern: &str, edit: impl Fn(&mut Value)) -> (bool, String) {
    let report = with(|json| {
        json["EventRules"].as_array_mut().unwrap().remove(1);
        let mut filter = json!({"FilterName": "deleted", "LogGroupName": "trail", "FilterPattern": pattern,
            "Alarms": ["deleted"], "MetricValue": "1", "Settings": [{"AlarmName": "deleted", "ActionsEnabled": true,
            "AlarmActions": 1, "Statistic": "Sum", "Period": 300, "EvaluationPeriods": 1, "Threshold": 1.0,
            "ComparisonOperator": "GreaterThanOrEqualToThreshold", "TreatMissingData": "notBreaching"}]});
        edit(&mut filter);
        json["MetricAlarms"].as_array_mut().unwrap().push(filter);
    });
    let is_alarm = !found(&report).contains("alarm.delete");
    (is_alarm, if is_alarm { String::new() } else { of(&report, "alarm.delete").seen.clone() })
}

#[test]
fn a_filter_counts_what_its_pattern_matches() {
    let by_arn = format!("{{ $.eventName = DeleteSecret && $.requestParameters.secretId = \"{SECRET}\" }}");
    let by_both = format!(
        "{{ ($.eventName = DeleteSecret) && ($.requestParameters.secretId = \"{SECRET}\" || $.requestParameters.secretId = \"prod/checkout/db\") }}"
    );
    for (pattern, expected) in [
        ("{ $.eventName = \"DeleteSecret\" }", true),
        ("{ $.eventName = \"Delete*\" }", true),
        ("{ $.eventName = %^Delete% }", true),
        ("{ $.eventName = %Delete.*% && $.eventSource = secretsmanager* }", true),
        ("{ ($.eventName = DeleteSecret) && ($.errorCode NOT EXISTS) }", true),
        (
            "{ ($.eventSource = secretsmanager.amazonaws.com) && (($.eventName = PutResourcePolicy) || ($.eventName = DeleteSecret)) }",
            true,
        ),
        ("DeleteSecret", true),
        ("?DeleteSecret ?RestoreSecret", true),
        (by_both.as_str(), true),
        ("{ $.eventname = \"DeleteSecret\" }", false),
        ("{ $.eventName = \"deletesecret\" }", false),
        ("{ $.eventName = \"DeleteSecret \" }", false),
        ("{ ($.eventName = DeleteSecret) && ($.eventName = PutSecretValue) }", false),
        ("{ ($.eventName = DeleteSecret) && ($.eventSource = s3.amazonaws.com) }", false),
        ("{ ($.eventName = DeleteSecret) && ($.errorCode = \"*\") }", false),
        ("{ ($.eventName = DeleteSecret) && ($.eventName NOT EXISTS) }", false),
        ("{ $.eventName = %Delete[0-9]% }", false),
        ("DeleteSecret -secretsmanager", false),
        // Calls that use the name are not counted.
        (by_arn.as_str(), false),
        // Every event of every service.
        ("{ $.readOnly IS FALSE }", false),
        ("", false),
    ] {
        assert_eq!(judged(pattern, |_| ()).0, expected, "{pattern}");
    }
}

#[test]
fn an_alarm_that_never_fires_is_none() {
    const PATTERN: &str = "{ $.eventName = \"DeleteSecret\" }";
    let with = |edit: Edit| judged(PATTERN, |filter| edit(&mut filter["Settings"][0]));
    assert!(with(|_| ()).0);
    let cases: [(Edit, &str); 7] = [
        (|it| it["ActionsEnabled"] = json!(false), "its actions turned off"),
        (|it| it["AlarmActions"] = json!(0), "has no action"),
        (|it| it["Threshold"] = json!(5.0), "threshold 5"),
        (|it| it["ComparisonOperator"] = json!("GreaterThanThreshold"), "threshold 1"),
        (|it| it["ComparisonOperator"] = json!("LessThanThreshold"), "fires when there are few"),
        (|it| it["EvaluationPeriods"] = json!(3), "in 3 periods"),
        (
            |it| {
                it["Statistic"] = json!("Average");
                it["Threshold"] = json!(2.0);
            },
            "Average",
        ),
    ];
    for (edit, why) in cases {
        let (is_alarm, seen) = with(edit);
        assert!(!is_alarm && seen.contains(why), "{why}: {seen}");
    }
    let cases: [Edit; 4] = [
        |it| it["EvaluationPeriods"] = json!(3),
        |it| it["DatapointsToAlarm"] = json!(1),
        |it| it["Statistic"] = Value::Null,
        |it| it["ComparisonOperator"] = json!("GreaterThanUpperThreshold"),
    ];
    for edit in cases {
        // With the default treatment of missing data, one event is enough.
        let (is_alarm, seen) = judged(PATTERN, |filter| {
            filter["Settings"][0]["TreatMissingData"] = json!("missing");
            edit(&mut filter["Settings"][0]);
        });
        assert!(is_alarm, "{seen}");
    }
    // One alarm that fires is enough. Settings that an older snapshot lacks are not held against it.
    assert!(
        judged(PATTERN, |filter| {
            filter["Alarms"] = json!(["other", "deleted"]);
            filter["Settings"][0]["Threshold"] = json!(5.0);
        })
        .0
    );
    assert!(judged(PATTERN, |filter| filter["Settings"] = json!([])).0);
    assert!(
        judged(PATTERN, |filter| {
            filter["MetricValue"] = json!("10");
            filter["Settings"][0]["Threshold"] = json!(5.0);
        })
        .0
    );
}

/// How many reads are too many differs, but more than the service accepts can never happen.
#[test]
fn a_threshold_over_any_number_of_reads_is_no_alarm() {
    let is_alarm = |threshold: f64, statistic: &str| {
        let report = with(|json| {
            json["MetricAlarms"][0]["MetricValue"] = json!("1");
            json["MetricAlarms"][0]["Settings"] = json!([{"AlarmName": "many-reads", "ActionsEnabled": true,
                "AlarmActions": 1, "Statistic": statistic, "Period": 60, "EvaluationPeriods": 1, "Threshold": threshold,
                "ComparisonOperator": "GreaterThanThreshold"}]);
        });
        !found(&report).contains("alarm.access-volume")
    };
    assert!(is_alarm(1000.0, "Sum"));
    assert!(!is_alarm(1e9, "Sum"));
    assert!(!is_alarm(1.0, "Maximum"));
}
