//! Database objects that depend on the user's name, which differs between two alternating users.

use super::{MySql, rows};
use crate::diagnosis::some_of;
use crate::document::Document;
use crate::error::Error;

/// Lists the views, routines and triggers that use the name of the logged-in user (`USER()` and its synonyms) or, if
/// they run as their caller, `CURRENT_USER`. Covers those that the administrator can see.
const ASKING: &str = "SELECT what FROM (
    SELECT CONCAT('view ', TABLE_SCHEMA, '.', TABLE_NAME) AS what, TABLE_SCHEMA AS place, LOWER(VIEW_DEFINITION) AS source,
        SECURITY_TYPE = 'INVOKER' AS as_caller FROM information_schema.VIEWS
    UNION ALL SELECT CONCAT(LOWER(ROUTINE_TYPE), ' ', ROUTINE_SCHEMA, '.', ROUTINE_NAME), ROUTINE_SCHEMA,
        LOWER(ROUTINE_DEFINITION), SECURITY_TYPE = 'INVOKER' FROM information_schema.ROUTINES
    UNION ALL SELECT CONCAT('trigger ', TRIGGER_SCHEMA, '.', TRIGGER_NAME), TRIGGER_SCHEMA,
        LOWER(ACTION_STATEMENT), FALSE FROM information_schema.TRIGGERS) AS asking
    WHERE place NOT IN ('mysql', 'sys', 'information_schema', 'performance_schema')
    AND (source REGEXP '(^|[^a-z0-9_$.])(session_|system_)?user[[:space:]]*[(]'
        OR as_caller AND source REGEXP '(^|[^a-z0-9_$.])current_user([^a-z0-9_$]|$)')
    ORDER BY what";

impl MySql {
    /// Returns warnings about objects, in any database, that depend on the user's name.
    pub(super) async fn asking_for_names(&self, admin: &Document) -> Result<Vec<String>, Error> {
        let (mut connection, _) = self.administration(admin).await?;
        let asking = rows::<String>(&mut connection, ASKING).await?;
        self.kept.put(admin, connection);
        Ok(some_of(&asking)
            .map(|some| {
                format!(
                    "the user's name (USER, CURRENT_USER) changes with every rotation, and these use it: {some}"
                )
            })
            .into_iter()
            .collect())
    }
}
