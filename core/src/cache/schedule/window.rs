//! The rotation window according to `DescribeSecret`, and the offsets of past rotations in it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::wire::Description;

pub(super) const HOUR: Duration = Duration::from_secs(3600);
pub(super) const DAY: Duration = Duration::from_secs(86_400);

/// The margin around the usual time, because rotations vary by some seconds.
const MARGIN: Duration = Duration::from_secs(20);

/// A period in which a rotation is expected, by the wall clock since the epoch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Window {
    pub(super) open: Duration,
    pub(super) close: Duration,
}

impl Window {
    /// Returns the window that ends at the date on or before which the next rotation is due. The rules give its length.
    /// The default is an hour for schedules in hours, and the rest of the UTC day for others (API reference,
    /// `RotationRulesType`).
    pub(super) fn of(description: &Description) -> Option<Self> {
        let close = since_epoch(description.next_rotation_date?)?;
        let rules = &description.rotation_rules;
        if let Some(hours) = rules.duration.as_deref().and_then(|text| text.strip_suffix('h')?.parse().ok()) {
            let length = HOUR.saturating_mul(hours).min(DAY);
            return Some(Self { open: close.saturating_sub(length), close });
        }
        let expression = rules.schedule_expression.as_deref().unwrap_or_default();
        // The hour of a cron expression is enough: if it is not a number, the schedule is several times a day.
        let hour = expression.strip_prefix("cron(").and_then(|fields| fields.split_whitespace().nth(1));
        let start = hour.map_or(Some(0), |hour| hour.parse::<u32>().ok());
        let is_in_hours = expression.starts_with("rate(") && expression.contains("hour");
        let open = match start.filter(|_| !is_in_hours) {
            None => close.saturating_sub(HOUR),
            Some(start) => {
                // A date at the very end of a day belongs to it.
                let days = close.saturating_sub(Duration::from_secs(1)).as_secs() / DAY.as_secs();
                (DAY * u32::try_from(days).unwrap_or_default())
                    .saturating_add(HOUR.saturating_mul(start))
                    .min(close)
            }
        };
        Some(Self { open, close })
    }

    pub(super) fn length(self) -> Duration {
        self.close.saturating_sub(self.open)
    }

    /// Returns the part from one offset to another, with a margin.
    pub(super) fn part(self, first: Option<Duration>, last: Option<Duration>) -> Self {
        let at = |offset: Option<Duration>| self.open.saturating_add(offset.unwrap_or_default());
        Self { open: at(first).saturating_sub(MARGIN), close: at(last).saturating_add(MARGIN) }
    }

    /// Returns the offset of a past rotation in its window. Windows begin on the hour, and those longer than an hour
    /// begin at the same time every day, so the earlier windows themselves need not be known.
    pub(super) fn offset_of(self, rotated: Duration) -> Option<Duration> {
        let cycle = if self.length() <= HOUR { HOUR } else { DAY }.as_secs_f64();
        let offset = (rotated.as_secs_f64() - self.open.as_secs_f64()).rem_euclid(cycle);
        Some(Duration::from_secs_f64(offset)).filter(|offset| *offset <= self.length())
    }
}

pub(super) fn since_epoch(time: SystemTime) -> Option<Duration> {
    time.duration_since(UNIX_EPOCH).ok()
}
