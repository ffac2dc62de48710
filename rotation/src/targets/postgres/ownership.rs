//! Objects that belong to one of two alternating users alone.

use postgres_protocol::escape::{escape_identifier, escape_literal};

use super::accounts::{Owner, owner, query};
use super::{Postgres, run};
use crate::document::Document;
use crate::error::Error;

/// What a role owns in the database that the session is in.
const OWNED: &str = "
SELECT CASE c.relkind WHEN 'S' THEN 'sequence ' WHEN 'v' THEN 'view ' WHEN 'm' THEN 'materialized view ' ELSE 'table ' END
    || c.oid::regclass::text AS name
    FROM pg_class c JOIN pg_roles r ON r.oid = c.relowner
    WHERE r.rolname = $1 AND c.relkind IN ('r', 'v', 'm', 'f', 'p', 'S') AND c.relnamespace <> 'pg_toast'::regnamespace
UNION ALL SELECT 'schema ' || quote_ident(n.nspname) FROM pg_namespace n JOIN pg_roles r ON r.oid = n.nspowner
    WHERE r.rolname = $1
UNION ALL SELECT 'function ' || p.oid::regprocedure::text FROM pg_proc p JOIN pg_roles r ON r.oid = p.proowner
    WHERE r.rolname = $1
ORDER BY name LIMIT 200";

impl Postgres {
    pub(super) async fn owned_by_member(
        &self,
        admin: &Document,
        reference: &Document,
        candidate: &Document,
    ) -> Result<Vec<String>, Error> {
        let client = self.session(admin).await?;
        let (_, member) = owner_and_member(&client, reference, candidate).await?;
        let rows = query(&client, OWNED, &[&member.as_str()]).await?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }

    /// Gives the owner what the member owns, and lets the member act as the owner from now on. One transaction.
    pub(super) async fn give_to_owner(
        &self,
        admin: &Document,
        reference: &Document,
        candidate: &Document,
    ) -> Result<(), Error> {
        let client = self.session(admin).await?;
        let (owner, member) = owner_and_member(&client, reference, candidate).await?;
        let (named, member) = (escape_identifier(&owner), escape_identifier(&member));
        let statements = format!(
            "BEGIN; REASSIGN OWNED BY {member} TO {named}; ALTER ROLE {member} SET role TO {}; COMMIT",
            escape_literal(&owner)
        );
        run(&client, "change the ownership", &statements).await
    }
}

/// Of two users, the one that owns what both make, and the one that is a member of it. Where neither is, the one whose
/// name the other's is made from.
async fn owner_and_member(
    client: &tokio_postgres::Client,
    reference: &Document,
    candidate: &Document,
) -> Result<(String, String), Error> {
    let (reference, candidate) = (reference.username()?.to_string(), candidate.username()?.to_string());
    Ok(match owner(client, &reference, &candidate).await? {
        Owner::Reference => (reference, candidate),
        Owner::Candidate => (candidate, reference),
        Owner::Undecided if reference.len() <= candidate.len() => (reference, candidate),
        Owner::Undecided => (candidate, reference),
    })
}
