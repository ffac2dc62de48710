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
        /// The Region it was made in.
        home_region: String,
        /// Whether it is recording.
        is_logging: Option<bool>,
        /// Basic selectors, as the API gives them.
        event_selectors: Vec<EventSelector>,
        /// Advanced selectors, as the API gives them.
        advanced_event_selectors: Vec<AdvancedEventSelector>,
        /// The log group it writes to, for alarms.
        cloud_watch_logs_log_group_arn: Option<String>,
    }
}

record! {
    /// A basic event selector.
    EventSelector {
        /// `All`, `ReadOnly` or `WriteOnly`; empty is `All`.
        read_write_type: String,
        /// Management events; none is true.
        include_management_events: Option<bool>,
        /// Sources left out, such as `kms.amazonaws.com`.
        exclude_management_event_sources: Vec<String>,
        /// Data events that it records of other services, as the API gives them.
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
        /// Any of these.
        equals: Vec<String>,
        /// None of these.
        not_equals: Vec<String>,
        /// Any of these beginnings.
        starts_with: Vec<String>,
        /// None of these beginnings.
        not_starts_with: Vec<String>,
        /// Any of these ends.
        ends_with: Vec<String>,
        /// None of these ends.
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
        /// The pattern; none for a schedule.
        event_pattern: Option<Value>,
        /// How many targets it has; none if they could not be listed.
        targets: Option<u32>,
        /// Their ARNs: a rule may hand events on to another event bus.
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
        /// What each event adds to the metric, as written; empty is not known.
        metric_value: String,
        /// How all alarms on the metric are set. One that is not listed here was not looked at.
        settings: Vec<AlarmSettings>,
    }
}

record! {
    /// When an alarm fires, and whether anybody is told.
    AlarmSettings {
        /// Its name.
        alarm_name: String,
        /// Whether its actions are turned on; none is not known.
        actions_enabled: Option<bool>,
        /// How many actions it has when it fires.
        alarm_actions: u32,
        /// `Sum`, `SampleCount`, `Average`, `Minimum`, `Maximum`; none is a percentile.
        statistic: Option<String>,
        /// In seconds.
        period: Option<i64>,
        /// How many periods it looks at.
        evaluation_periods: Option<i64>,
        /// In how many of them the threshold must be passed; none is all.
        datapoints_to_alarm: Option<i64>,
        /// The threshold.
        threshold: Option<f64>,
        /// `GreaterThanThreshold` and others.
        comparison_operator: String,
        /// `missing`, `ignore`, `breaching` or `notBreaching`; empty is `missing`.
        treat_missing_data: String,
    }
}
