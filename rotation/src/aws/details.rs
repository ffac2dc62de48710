//! Calls that operators' commands make in addition to those of a rotation.

use aws_sdk_secretsmanager::primitives::DateTime;
use aws_sdk_secretsmanager::types::{Filter, FilterNameStringType};
use jiff::{Timestamp, Unit};

use super::{AwsStore, state};
use crate::details::{Details, Rules};
use crate::error::Error;

impl AwsStore {
    /// Returns everything about a secret except its values (`DescribeSecret`).
    ///
    /// # Errors
    ///
    /// Errors of the service.
    pub async fn details(&self, secret_id: &str) -> Result<Details, Error> {
        let answer = self.client().describe_secret().secret_id(secret_id).send().await;
        let answer = answer.map_err(|error| self.failed("DescribeSecret", error))?;
        let rules = answer.rotation_rules.as_ref();
        Ok(Details {
            name: answer.name.clone().unwrap_or_else(|| secret_id.to_owned()),
            created: answer.created_date.and_then(timestamp),
            changed: answer.last_changed_date.and_then(timestamp),
            rotated: answer.last_rotated_date.and_then(timestamp),
            next_rotation: answer.next_rotation_date.and_then(timestamp),
            deleted: answer.deleted_date.and_then(timestamp),
            function: answer.rotation_lambda_arn.clone(),
            managed_by: answer.owning_service.clone(),
            rules: Rules {
                days: rules.and_then(|rules| rules.automatically_after_days),
                expression: rules.and_then(|rules| rules.schedule_expression.clone()),
                duration: rules.and_then(|rules| rules.duration.clone()),
            },
            state: state(answer),
        })
    }

    /// Returns the names of all secrets that start with a prefix, sorted (`ListSecrets`).
    ///
    /// # Errors
    ///
    /// Errors of the service.
    pub async fn names(&self, prefix: &str) -> Result<Vec<String>, Error> {
        let filter = Filter::builder().key(FilterNameStringType::Name).values(prefix).build();
        let mut pages = self.client().list_secrets().filters(filter).into_paginator().send();
        let mut names = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| self.failed("ListSecrets", error))?;
            names.extend(page.secret_list.unwrap_or_default().into_iter().filter_map(|entry| entry.name));
        }
        // The service's filter ignores case, and its index lags.
        names.retain(|name| name.starts_with(prefix));
        names.sort();
        Ok(names)
    }
}

/// The service sends seconds as a number with three decimals. Without rounding, what the conversion adds would be shown.
pub(super) fn timestamp(date: DateTime) -> Option<Timestamp> {
    let date = Timestamp::new(date.secs(), i32::try_from(date.subsec_nanos()).ok()?).ok()?;
    date.round(Unit::Millisecond).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_has_milliseconds() {
        for (nanos, shown) in
            [(183_000_087, ".183Z"), (182_999_935, ".183Z"), (0, ":20Z"), (999_999_999, ":21Z")]
        {
            let date = timestamp(DateTime::from_secs_and_nanos(1_700_000_000, nanos)).unwrap();
            assert!(date.to_string().ends_with(shown), "{date}");
        }
    }
}
