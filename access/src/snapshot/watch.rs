//! Trails, rules and alarms.

use serde::{Deserialize, Serialize};
use serde_json::Value;

record! {
    /// A CloudTrail trail.
    Trail {
        /// Its name.
        name: String,
        /// Its ARN.
        #[serde(rename = "TrailARN")]
        trail_arn: String,
        /// Whether it records in all Regions.
        is_multi_region_trail: bool,
        /// Whether it records for the whole organization.
        is_organization_trail: bool,
        /// The Region in which it was created.
        home_region: String,
        /// Whether it is recording.
        is_logging: Option<bool>,
        /// Basic selectors, as the API returns them.
        event_selectors: Vec<EventSelector>,
        /// Advanced selectors, as the API returns them.
        advanced_event_selectors: Vec<AdvancedEventSelector>,
        /// The log group that it writes to, for alarms.
        cloud_watch_logs_log_group_arn: Option<String>,
    }
}

record! {
    /// A basic event selector.
    EventSelector {
        /// `All`, `ReadOnly` or `WriteOnly`; empty means `All`.
        read_write_type: String,
        /// Whether it records management events; `None` means true.
        include_management_events: Option<bool>,
        /// Sources left out, such as `kms.amazonaws.com`.
        exclude_management_event_sources: Vec<String>,
        /// Data events of other services that it records, as the API returns them.
        data_resources: Vec<Value>,
    }
}

record! {
    /// An advanced event selector: all fields must match.
    AdvancedEventSelector {
        /// Its name.
        name: String,
        /// Its fields.
        field_selectors: Vec<FieldSelector>,
    }
}

record! {
    /// One field of an advanced event selector.
    FieldSelector {
        /// `eventCategory`, `readOnly`, `eventSource`, …
        field: String,
        /// Equals any of these.
        equals: Vec<String>,
        /// Equals none of these.
        not_equals: Vec<String>,
        /// Starts with any of these.
        starts_with: Vec<String>,
        /// Starts with none of these.
        not_starts_with: Vec<String>,
        /// Ends with any of these.
        ends_with: Vec<String>,
        /// Ends with none of these.
        not_ends_with: Vec<String>,
    }
}

record! {
    /// An EventBridge rule.
    EventRule {
        /// Its name.
        name: String,
        /// `ENABLED`, `DISABLED` or `ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS`.
        state: String,
        /// The pattern; `None` for a schedule.
        event_pattern: Option<Value>,
        /// The number of targets; `None` if they could not be listed.
        targets: Option<u32>,
        /// The targets' ARNs. A rule can forward events to another event bus.
        target_arns: Vec<String>,
    }
}

record! {
    /// A metric filter on a log group, with the alarms on its metric.
    MetricAlarm {
        /// The filter's name.
        filter_name: String,
        /// The log group.
        log_group_name: String,
        /// The filter's pattern.
        filter_pattern: String,
        /// Alarms with actions turned on.
        alarms: Vec<String>,
        /// What each event adds to the metric, as written; empty if not known.
        metric_value: String,
        /// The settings of all alarms on the metric. An alarm that is not listed was not collected.
        settings: Vec<AlarmSettings>,
    }
}

record! {
    /// When an alarm fires, and whether it notifies anyone.
    AlarmSettings {
        /// Its name.
        alarm_name: String,
        /// Whether its actions are turned on; `None` if not known.
        actions_enabled: Option<bool>,
        /// How many actions it runs when it fires.
        alarm_actions: u32,
        /// `Sum`, `SampleCount`, `Average`, `Minimum` or `Maximum`; `None` for a percentile.
        statistic: Option<String>,
        /// The period in seconds.
        period: Option<i64>,
        /// How many periods it evaluates.
        evaluation_periods: Option<i64>,
        /// How many of them must breach the threshold; `None` means all.
        datapoints_to_alarm: Option<i64>,
        /// The threshold.
        threshold: Option<f64>,
        /// `GreaterThanThreshold` and others.
        comparison_operator: String,
        /// `missing`, `ignore`, `breaching` or `notBreaching`; empty means `missing`.
        treat_missing_data: String,
    }
}
