//! What a PostgreSQL server would object to, asked beforehand.

use postgres_protocol::escape::escape_identifier;

use super::Postgres;
use super::accounts::query;
use crate::diagnosis::{Diagnosis, Finding, Requirements};
use crate::error::{Error, ErrorKind};

/// Who asks, and about whom. Without a row the user does not exist.
const LOOK: &str = "
SELECT current_setting('server_version'), current_setting('server_version_num')::int, pg_is_in_recovery(),
    quote_ident(me.rolname), me.rolsuper, me.rolcreaterole,
    u.rolsuper OR u.rolreplication OR u.rolbypassrls, u.rolsuper,
    pg_has_role(me.oid, u.oid, 'MEMBER WITH ADMIN OPTION'),
    CASE WHEN u.rolvaliduntil < now() THEN u.rolvaliduntil::text END
FROM pg_roles me, pg_roles u WHERE me.rolname = session_user AND u.rolname = $1";

impl Postgres {
    pub(super) async fn look(&self, requirements: Requirements<'_>) -> Result<Diagnosis, Error> {
        let client = self.session(requirements.login).await?;
        let user = requirements.user.username()?;
        let rows = query(&client, LOOK, &[&user.as_str()]).await?;
        let Some(row) = rows.first() else {
            let text = format!("PostgreSQL has no user {:?}; the secret is for another server", *user);
            return Err(Error::new(ErrorKind::Misconfigured, text));
        };
        let number: i32 = row.get(1);
        let (asks, named): (String, _) = (row.get(3), escape_identifier(&user));
        let (is_super, may_create): (bool, bool) = (row.get(4), row.get(5));
        let mut findings = Vec::new();
        if row.get(2) {
            let problem =
                "the host is a standby, where no password can be changed; let the secret name the primary";
            findings.push(Finding::new(problem));
        }
        if let Some(until) = row.get::<_, Option<String>>(9) {
            let problem = format!("the password of {named} has expired ({until}); every login is refused");
            findings
                .push(Finding::new(problem).mended_by(format!("ALTER ROLE {named} VALID UNTIL 'infinity';")));
        }
        if !requirements.is_own() && !is_super {
            if row.get(7) {
                findings.push(Finding::new(format!(
                    "{named} is a superuser, whom only a superuser may change; {asks} is none"
                )));
            } else if requirements.other.is_some() && row.get(6) {
                findings.push(Finding::new(format!(
                    "{named} has attributes (REPLICATION or BYPASSRLS) that {asks} may not give to a second user"
                )));
            }
            if !may_create {
                let problem = format!("{asks} may neither make nor change users");
                findings.push(Finding::new(problem).mended_by(format!("ALTER ROLE {asks} CREATEROLE;")));
            }
            // Since version 16 the right to make users is no longer the right to change or grant each of them.
            if number >= 160_000 {
                let mut roles = vec![(user, row.get::<_, bool>(8))];
                if let Some(other) = requirements.other {
                    let other = other.username()?;
                    if let Some(row) = query(&client, LOOK, &[&other.as_str()]).await?.first() {
                        roles.push((other, row.get(8)));
                    }
                }
                for (role, _) in roles.iter().filter(|(_, has_admin)| !has_admin) {
                    let role = escape_identifier(role);
                    let problem =
                        format!("{asks} has no ADMIN option on {role}, without which it may not change it");
                    findings.push(
                        Finding::new(problem).mended_by(format!("GRANT {role} TO {asks} WITH ADMIN OPTION;")),
                    );
                }
            }
        }
        let version: String = row.get(0);
        Ok(Diagnosis { server: format!("PostgreSQL {version}"), findings, ..Diagnosis::default() })
    }
}
