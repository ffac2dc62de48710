//! Secrets that are scheduled for deletion: what is wrong with them, and how to restore them.

use crate::details::Details;
use crate::error::{Error, ErrorKind};
use crate::operate::shell::quoted;

impl Details {
    /// Checks that the values can be read: not while the secret is scheduled for deletion.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotStaged`], with the date. [`Details::restore_command`] makes the secret readable again.
    pub fn check_readable(&self) -> Result<(), Error> {
        match self.deleted {
            Some(deleted) => Err(Error::new(
                ErrorKind::NotStaged,
                format!(
                    "the secret is scheduled for deletion on {deleted} and cannot be read; restore it first"
                ),
            )),
            None => Ok(()),
        }
    }

    /// Returns the command that cancels a scheduled deletion. It names the ARN, because names do not work from other
    /// accounts.
    pub fn restore_command(&self) -> String {
        format!("aws secretsmanager restore-secret --secret-id {}", quoted(&self.state.arn))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deleted_secret_cannot_be_read_until_it_is_restored() {
        let arn = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:db-AbCdEf";
        let mut details = Details { name: "db".into(), ..Details::default() };
        details.state.arn = arn.into();
        assert!(details.check_readable().is_ok());
        details.deleted = Some("2026-12-01T00:00:00Z".parse().unwrap());
        let error = details.check_readable().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotStaged);
        assert!(error.message().contains("scheduled for deletion on 2026-12-01T00:00:00Z"), "{error}");
        assert_eq!(details.restore_command(), format!("aws secretsmanager restore-secret --secret-id {arn}"));
    }
}
