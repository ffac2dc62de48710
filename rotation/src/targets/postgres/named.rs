//! Database objects that depend on the user's name, which differs between two alternating users.
//!
//! The second user acts as the first, so `current_user` is the first user's name for both. `session_user` differs.

use super::Postgres;
use super::session::{column, query};
use crate::diagnosis::some_of;
use crate::document::Document;
use crate::error::Error;

/// Lists the user-defined objects in this database that use the user's name, and whether each uses `session_user`.
///
/// PostgreSQL stores expressions as trees, in which these functions are numbers (`SQLValueFunctionOp`: 9 to 11 are
/// `CURRENT_ROLE`, `CURRENT_USER` and `USER`, 12 is `SESSION_USER`). Matching the stored tree takes no lock; deparsing
/// it would. A function's body is text or a tree. In a function that runs as its owner, `current_user` is always the
/// owner, so those are skipped.
const ASKING: &str = r"
WITH trees(class, id, tree) AS (
    SELECT 'pg_catalog.pg_policy'::regclass, oid, pg_catalog.concat(polqual, polwithcheck) FROM pg_catalog.pg_policy
    UNION ALL SELECT 'pg_catalog.pg_class'::regclass, ev_class, pg_catalog.concat(ev_qual, ev_action) FROM pg_catalog.pg_rewrite
    UNION ALL SELECT 'pg_catalog.pg_attrdef'::regclass, oid, adbin::text FROM pg_catalog.pg_attrdef
    UNION ALL SELECT 'pg_catalog.pg_constraint'::regclass, oid, conbin::text FROM pg_catalog.pg_constraint
    UNION ALL SELECT 'pg_catalog.pg_trigger'::regclass, oid, tgqual::text FROM pg_catalog.pg_trigger),
asks(class, id, session, anybody) AS (
    SELECT class, id, tree ~ 'SQLVALUEFUNCTION :op 12 ', tree ~ 'SQLVALUEFUNCTION :op (9|10|11) ' FROM trees
        WHERE id >= 16384
    UNION ALL SELECT 'pg_catalog.pg_proc'::regclass, oid, f::text ~ '(?i)\msession_user\M|SQLVALUEFUNCTION :op 12 ',
        NOT prosecdef AND f::text ~ '(?i)\mcurrent_(user|role)\M|SQLVALUEFUNCTION :op (9|10|11) '
        FROM pg_catalog.pg_proc f WHERE oid >= 16384)
SELECT pg_catalog.pg_describe_object(class, id, 0), session FROM asks WHERE (session OR anybody) AND NOT EXISTS
    (SELECT 1 FROM pg_catalog.pg_depend d WHERE d.classid = class AND d.objid = id AND d.deptype = 'e')
GROUP BY 1, 2 ORDER BY 1";

impl Postgres {
    /// Returns warnings about objects in the secret's database that depend on the user's name.
    pub(super) async fn asking_for_names(&self, admin: &Document) -> Result<Vec<String>, Error> {
        let client = self.session(admin).await?;
        let rows = query(&client, ASKING, &[]).await?;
        self.keep(admin, client).await?;
        let found = rows.iter().map(|row| Ok((column(row, 0)?, column(row, 1)?)));
        let found: Vec<(String, bool)> = found.collect::<Result<_, Error>>()?;
        let asking = |session: bool| -> Vec<String> {
            found
                .iter()
                .filter(|(_, is_session)| *is_session == session)
                .map(|(name, _)| name.clone())
                .collect()
        };
        let mut warnings = Vec::new();
        if let Some(some) = some_of(&asking(true)) {
            warnings.push(format!(
                "the name that logged in (session_user) changes with every rotation, and these use it: {some}; use current_user instead, which stays the same"
            ));
        }
        if let Some(some) = some_of(&asking(false)) {
            warnings.push(format!(
                "current_user stays the same in every rotation, since the second user acts as the first, but not after SET ROLE NONE, nor after DISCARD ALL on older servers; these use it: {some}"
            ));
        }
        Ok(warnings)
    }
}
