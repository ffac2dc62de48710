//! Metric filters on a trail's log group: which records they count, and whether an alarm on the count can fire.

use serde_json::Value;

use super::{ANY, Alarmed, Called, REFUSALS, event, names, of_another_service};
use crate::audited::Audit;
use crate::checks::trail;
use crate::condition::Truth;
use crate::filter_pattern::counts;
use crate::snapshot::{AlarmSettings, MetricAlarm, Secret, Snapshot};

/// Whether a metric filter is on a log group to which a trail writes such events; `None` if the trails could not be
/// read.
pub(super) fn is_of_trail(audit: &Audit<'_>, filter: &MetricAlarm, alarmed: &Alarmed) -> Option<bool> {
    if audit.denied.contains(&("cloudtrail:DescribeTrails", "")) {
        return None;
    }
    let Snapshot { account, region, .. } = audit.snapshot;
    let here = format!(":logs:{region}:{account}:log-group:{}", filter.log_group_name);
    let mut groups = trail::log_groups(audit, alarmed.is_read);
    Some(groups.any(|arn| arn.strip_suffix(":*").unwrap_or(arn).ends_with(&here)))
}

/// Whether a filter counts an event, however the event names the secret, but not every event of every service.
pub(super) fn hears(
    audit: &Audit<'_>,
    filter: &MetricAlarm,
    name: &str,
    secret: &Secret,
    alarmed: &Alarmed,
) -> bool {
    let takes = |record: &Value| counts(&filter.filter_pattern, &record["detail"]);
    let heard = |called: Called<'_>| {
        let of = |error| takes(&event(audit, name, called, error));
        if alarmed.is_denied {
            REFUSALS.iter().any(|code| of(Some(code)) != Truth::No) && of(None) != Truth::Yes
        } else {
            of(None) != Truth::No
        }
    };
    names(secret, name).into_iter().all(heard)
        && takes(&of_another_service(audit, name, alarmed)) != Truth::Yes
}

/// Whether any alarm on a filter's metric can fire for such events.
pub(super) fn fires(filter: &MetricAlarm, alarmed: &Alarmed) -> bool {
    let of = |name: &&String| filter.settings.iter().find(|it| it.alarm_name == **name);
    filter.alarms.iter().any(|name| of(&name).is_none_or(|it| silent(it, filter, alarmed).is_none()))
}

/// Describes the alarms on such events that look right but cannot fire.
pub(super) fn silent_alarms(audit: &Audit<'_>, alarmed: &Alarmed) -> String {
    let anyone = Secret { arn: ANY.arn.to_owned(), name: ANY.by.to_owned(), ..Secret::default() };
    let filters = audit.snapshot.metric_alarms.iter();
    let counting = filters.filter(|filter| {
        alarmed.names.iter().any(|name| hears(audit, filter, name, &anyone, alarmed))
            && is_of_trail(audit, filter, alarmed) == Some(true)
    });
    let silent = counting.flat_map(|filter| {
        let all = filter.settings.iter();
        all.filter_map(|it| Some(format!("; the alarm {} {}", it.alarm_name, silent(it, filter, alarmed)?)))
    });
    silent.collect()
}

/// More calls than Secrets Manager accepts in a second:
/// <https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_limits.html>.
const MOST_PER_SECOND: f64 = 20_000.0;

/// Why an alarm does not notify of such an event; `None` if it does, as far as the audit knows.
fn silent(alarm: &AlarmSettings, filter: &MetricAlarm, alarmed: &Alarmed) -> Option<String> {
    if alarm.actions_enabled == Some(false) {
        return Some("has its actions turned off".to_owned());
    }
    if alarm.alarm_actions == 0 {
        return Some("has no action".to_owned());
    }
    let operator = alarm.comparison_operator.as_str();
    if operator.starts_with("LessThan") && operator.ends_with("Threshold") {
        return Some("fires when there are few events, not when there is one".to_owned());
    }
    // Only the operator knows how many reads are too many.
    let is_single = !alarmed.is_read;
    let value: f64 = filter.metric_value.parse().ok()?;
    let seconds = alarm.period.and_then(|period| u32::try_from(period).ok()).map_or(60.0, f64::from);
    let most = if is_single { 1.0 } else { MOST_PER_SECOND * seconds };
    let reached = match alarm.statistic.as_deref() {
        Some("Sum") => value * most,
        Some("SampleCount") => most,
        Some("Average" | "Minimum" | "Maximum") => value,
        _ => return None,
    };
    let threshold = alarm.threshold?;
    let is_passed = match operator {
        "GreaterThanThreshold" => reached > threshold,
        "GreaterThanOrEqualToThreshold" => reached >= threshold,
        _ => return None,
    };
    if !is_passed {
        let statistic = alarm.statistic.as_deref().unwrap_or_default();
        let of = if is_single { "one event" } else { "any number of events" };
        return Some(format!(
            "has the threshold {threshold}, but the {statistic} of {of} is at most {reached}"
        ));
    }
    let needed = alarm.datapoints_to_alarm.or(alarm.evaluation_periods).unwrap_or(1);
    let waits = ["notBreaching", "ignore"].contains(&alarm.treat_missing_data.as_str());
    (is_single && needed > 1 && waits)
        .then(|| format!("waits for events in {needed} periods, but a single event is in one"))
}
