//! Collects trails, EventBridge rules and alarms.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Collector, list, text, texts, truth};
use crate::condition::Truth;
use crate::event_pattern::takes;
use crate::filter_pattern::counts;
use crate::snapshot::{
    AdvancedEventSelector, AlarmSettings, EventRule, EventSelector, FieldSelector, MetricAlarm, Trail,
};

impl Collector<'_> {
    pub(super) async fn trails(&mut self) {
        let answer =
            self.client.json("cloudtrail", "DescribeTrails", &json!({"includeShadowTrails": true})).await;
        let Some(answer) = self.noted("cloudtrail:DescribeTrails", None, answer) else { return };
        for found in answer["trailList"].as_array().into_iter().flatten() {
            let arn = text(&found["TrailARN"]);
            let status = self.client.json("cloudtrail", "GetTrailStatus", &json!({"Name": arn})).await;
            let status = self.noted("cloudtrail:GetTrailStatus", None, status);
            let selectors =
                self.client.json("cloudtrail", "GetEventSelectors", &json!({"TrailName": arn})).await;
            let selectors = self.noted("cloudtrail:GetEventSelectors", None, selectors).unwrap_or_default();
            let each = |name: &str| selectors[name].as_array().cloned().unwrap_or_default();
            self.snapshot.trails.push(Trail {
                name: text(&found["Name"]),
                trail_arn: arn,
                is_multi_region_trail: truth(&found["IsMultiRegionTrail"]).unwrap_or_default(),
                is_organization_trail: truth(&found["IsOrganizationTrail"]).unwrap_or_default(),
                home_region: text(&found["HomeRegion"]),
                is_logging: status.and_then(|answer| truth(&answer["IsLogging"])),
                event_selectors: each("EventSelectors").iter().map(basic).collect(),
                advanced_event_selectors: each("AdvancedEventSelectors").iter().map(advanced).collect(),
                cloud_watch_logs_log_group_arn: found["CloudWatchLogsLogGroupArn"]
                    .as_str()
                    .map(str::to_owned),
            });
        }
    }

    pub(super) async fn rules(&mut self) {
        let all = self.pages("events", "ListRules", json!({}), "Rules", ["NextToken", "NextToken"]).await;
        for rule in all {
            let Some(pattern) = rule["EventPattern"].as_str().filter(|text| may_concern_secrets(text)) else {
                continue;
            };
            let (name, pattern) = (text(&rule["Name"]), serde_json::from_str(pattern).ok());
            let answer = self.client.json("events", "ListTargetsByRule", &json!({"Rule": name})).await;
            let targets = self.noted("events:ListTargetsByRule", Some(&name), answer);
            let targets = targets.and_then(|answer| answer["Targets"].as_array().cloned());
            let arns = targets.iter().flatten().map(|target| text(&target["Arn"])).collect();
            self.snapshot.event_rules.push(EventRule {
                name,
                state: text(&rule["State"]),
                event_pattern: pattern,
                targets: targets.and_then(|all| all.len().try_into().ok()),
                target_arns: arns,
            });
        }
    }

    pub(super) async fn alarms(&mut self) {
        let filters = self
            .pages("logs", "DescribeMetricFilters", json!({}), "metricFilters", ["nextToken", "nextToken"])
            .await;
        let filters: Vec<_> =
            filters.iter().filter(|it| concerns_secrets(&text(&it["filterPattern"]))).collect();
        if filters.is_empty() {
            return;
        }
        let alarms = self
            .query_pages("cloudwatch", "DescribeAlarms", &[], "MetricAlarms", ["NextToken", "NextToken"])
            .await;
        let mut by_metric: BTreeMap<_, Vec<AlarmSettings>> = BTreeMap::new();
        for alarm in &alarms {
            let metric = (text(&alarm["Namespace"]), text(&alarm["MetricName"]));
            by_metric.entry(metric).or_default().push(settings(alarm));
        }
        for filter in filters {
            let metrics = filter["metricTransformations"].as_array().into_iter().flatten();
            let values = metrics.clone().map(|metric| text(&metric["metricValue"]));
            let names = metrics.map(|metric| (text(&metric["metricNamespace"]), text(&metric["metricName"])));
            let settings: Vec<_> =
                names.filter_map(|metric| by_metric.get(&metric)).flatten().cloned().collect();
            let notifies = |it: &&AlarmSettings| it.actions_enabled != Some(false) && it.alarm_actions > 0;
            self.snapshot.metric_alarms.push(MetricAlarm {
                metric_value: values.into_iter().next().unwrap_or_default(),
                filter_name: text(&filter["filterName"]),
                log_group_name: text(&filter["logGroupName"]),
                filter_pattern: text(&filter["filterPattern"]),
                alarms: settings.iter().filter(notifies).map(|it| it.alarm_name.clone()).collect(),
                settings,
            });
        }
    }
}

/// Whether a rule's pattern can match events on secrets, in whatever way it is written.
fn may_concern_secrets(pattern: &str) -> bool {
    let lower = pattern.to_ascii_lowercase();
    let words = ["secret", "rotationfailed", "rotationabandoned", "resourcepolicy"];
    if words.iter().any(|word| lower.contains(word)) {
        return true;
    }
    // A pattern for every service names none. The rule can forward all events to another bus.
    let Ok(pattern) = serde_json::from_str::<Value>(pattern) else { return false };
    let takes_field = |field: &str, value: &str| {
        pattern[field].is_null() || takes(&json!({field: pattern[field]}), &json!({field: value}))
    };
    takes_field("source", "aws.secretsmanager")
        && ["AWS API Call via CloudTrail", "AWS Service Event via CloudTrail"]
            .iter()
            .any(|kind| takes_field("detail-type", kind))
}

fn settings(alarm: &Value) -> AlarmSettings {
    let number = |name: &str| text(&alarm[name]).parse().ok();
    let statistic = text(&alarm["Statistic"]);
    AlarmSettings {
        alarm_name: text(&alarm["AlarmName"]),
        actions_enabled: truth(&alarm["ActionsEnabled"]),
        alarm_actions: list(&alarm["AlarmActions"]).len().try_into().unwrap_or(u32::MAX),
        statistic: Some(statistic).filter(|name| !name.is_empty()),
        period: number("Period"),
        evaluation_periods: number("EvaluationPeriods"),
        datapoints_to_alarm: number("DatapointsToAlarm"),
        threshold: text(&alarm["Threshold"]).parse().ok(),
        comparison_operator: text(&alarm["ComparisonOperator"]),
        treat_missing_data: text(&alarm["TreatMissingData"]),
    }
}

/// Whether a filter can count events on secrets: because a word of its pattern says so, or because it matches such an
/// event.
fn concerns_secrets(pattern: &str) -> bool {
    const NAMES: [&str; 9] = [
        "GetSecretValue",
        "PutSecretValue",
        "UpdateSecret",
        "DeleteSecret",
        "PutResourcePolicy",
        "DeleteResourcePolicy",
        "BatchGetSecretValue",
        "RotationFailed",
        "RotationAbandoned",
    ];
    let counts = |name: &str, error: Option<&str>| {
        let mut record = json!({"eventSource": "secretsmanager.amazonaws.com", "eventName": name});
        if let Some(error) = error {
            record["errorCode"] = json!(error);
        }
        counts(pattern, &record) == Truth::Yes
    };
    let counts_one = |name: &&str| counts(name, None) || counts(name, Some("AccessDenied"));
    NAMES.iter().any(counts_one) && !pattern.trim().is_empty()
        || [
            "secretsmanager",
            "SecretValue",
            "RotationFailed",
            "RotationAbandoned",
            "DeleteSecret",
            "ResourcePolicy",
        ]
        .iter()
        .any(|word| pattern.contains(word))
}

fn basic(selector: &Value) -> EventSelector {
    EventSelector {
        read_write_type: text(&selector["ReadWriteType"]),
        include_management_events: truth(&selector["IncludeManagementEvents"]),
        exclude_management_event_sources: texts(&selector["ExcludeManagementEventSources"]),
        data_resources: selector["DataResources"].as_array().cloned().unwrap_or_default(),
    }
}

fn advanced(selector: &Value) -> AdvancedEventSelector {
    let fields = selector["FieldSelectors"].as_array().into_iter().flatten();
    AdvancedEventSelector {
        name: text(&selector["Name"]),
        field_selectors: fields
            .map(|field| FieldSelector {
                field: text(&field["Field"]),
                equals: texts(&field["Equals"]),
                not_equals: texts(&field["NotEquals"]),
                starts_with: texts(&field["StartsWith"]),
                not_starts_with: texts(&field["NotStartsWith"]),
                ends_with: texts(&field["EndsWith"]),
                not_ends_with: texts(&field["NotEndsWith"]),
            })
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_may_name_what_it_counts_by_wildcards() {
        for pattern in [
            "{ $.eventName = \"Delete*\" }",
            "{ $.eventName = %^Put% }",
            "{ ($.errorCode = \"AccessDenied*\") && ($.eventSource = secretsmanager.amazonaws.com) }",
            "{ $.requestParameters.secretId = x && $.eventName = GetSecretValue }",
        ] {
            assert!(concerns_secrets(pattern), "{pattern}");
        }
        for pattern in ["", "{ $.eventName = ConsoleLogin }", "ERROR", "[ip, user, ...]"] {
            assert!(!concerns_secrets(pattern), "{pattern}");
        }
    }

    #[test]
    fn a_rule_for_every_service_may_concern_secrets() {
        for pattern in [
            r#"{"source": ["aws.secretsmanager"]}"#,
            r#"{"source": [{"prefix": "aws."}]}"#,
            r#"{"source": [{"prefix": ""}]}"#,
            r#"{"account": ["111122223333"]}"#,
            r#"{"detail-type": ["AWS API Call via CloudTrail"]}"#,
            r#"{"detail": {"eventName": ["DeleteResourcePolicy"]}}"#,
        ] {
            assert!(may_concern_secrets(pattern), "{pattern}");
        }
        for pattern in [
            r#"{"source": ["aws.ec2"]}"#,
            r#"{"source": [{"anything-but": {"prefix": "aws."}}]}"#,
            r#"{"source": [{"prefix": "aws."}], "detail-type": ["EC2 Instance State-change Notification"]}"#,
            "not JSON",
        ] {
            assert!(!may_concern_secrets(pattern), "{pattern}");
        }
    }
}
