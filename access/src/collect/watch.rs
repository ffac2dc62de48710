//! Trails, EventBridge rules and alarms.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Collector, list, text, texts, truth};
use crate::snapshot::{AdvancedEventSelector, EventRule, EventSelector, FieldSelector, MetricAlarm, Trail};

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
            let Some(pattern) = rule["EventPattern"].as_str().filter(|text| text.contains("secretsmanager"))
            else {
                continue;
            };
            let (name, pattern) = (text(&rule["Name"]), serde_json::from_str(pattern).ok());
            let answer = self.client.json("events", "ListTargetsByRule", &json!({"Rule": name})).await;
            let targets = self.noted("events:ListTargetsByRule", Some(&name), answer);
            let count = targets.and_then(|answer| Some(answer["Targets"].as_array()?.len()));
            self.snapshot.event_rules.push(EventRule {
                name,
                state: text(&rule["State"]),
                event_pattern: pattern,
                targets: count.and_then(|count| count.try_into().ok()),
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
        let mut by_metric: BTreeMap<_, Vec<String>> = BTreeMap::new();
        for alarm in &alarms {
            if truth(&alarm["ActionsEnabled"]) != Some(false) && !list(&alarm["AlarmActions"]).is_empty() {
                let metric = (text(&alarm["Namespace"]), text(&alarm["MetricName"]));
                by_metric.entry(metric).or_default().push(text(&alarm["AlarmName"]));
            }
        }
        for filter in filters {
            let metrics = filter["metricTransformations"].as_array().into_iter().flatten();
            let names = metrics.map(|metric| (text(&metric["metricNamespace"]), text(&metric["metricName"])));
            self.snapshot.metric_alarms.push(MetricAlarm {
                filter_name: text(&filter["filterName"]),
                log_group_name: text(&filter["logGroupName"]),
                filter_pattern: text(&filter["filterPattern"]),
                alarms: names.filter_map(|metric| by_metric.get(&metric)).flatten().cloned().collect(),
            });
        }
    }
}

fn concerns_secrets(pattern: &str) -> bool {
    ["secretsmanager", "SecretValue", "RotationFailed", "RotationAbandoned", "DeleteSecret", "ResourcePolicy"]
        .iter()
        .any(|word| pattern.contains(word))
}

fn basic(selector: &Value) -> EventSelector {
    EventSelector {
        read_write_type: text(&selector["ReadWriteType"]),
        include_management_events: truth(&selector["IncludeManagementEvents"]),
        exclude_management_event_sources: texts(&selector["ExcludeManagementEventSources"]),
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
