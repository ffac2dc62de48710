//! Privileges that one role has and another lacks.

/// Lists the privileges that the first role has and the second lacks, directly or through other roles. Covers the
/// objects in the session's database only.
pub(super) const MISSING: &str = "
WITH r AS (SELECT * FROM pg_catalog.pg_roles WHERE rolname = $1), c AS (SELECT * FROM pg_catalog.pg_roles WHERE rolname = $2)
SELECT a.name FROM r, c, LATERAL (VALUES
    ('SUPERUSER', r.rolsuper AND NOT c.rolsuper), ('CREATEDB', r.rolcreatedb AND NOT c.rolcreatedb),
    ('CREATEROLE', r.rolcreaterole AND NOT c.rolcreaterole), ('REPLICATION', r.rolreplication AND NOT c.rolreplication),
    ('BYPASSRLS', r.rolbypassrls AND NOT c.rolbypassrls)) AS a(name, lacks) WHERE a.lacks
UNION ALL SELECT 'membership in ' || pg_catalog.quote_ident(o.rolname) FROM r, c, pg_catalog.pg_roles o
    WHERE o.oid NOT IN (r.oid, c.oid) AND pg_catalog.pg_has_role(r.oid, o.oid, 'USAGE') AND NOT pg_catalog.pg_has_role(c.oid, o.oid, 'USAGE')
UNION ALL SELECT p || ' ON DATABASE ' || pg_catalog.quote_ident(d.datname)
    FROM r, c, pg_catalog.pg_database d, pg_catalog.unnest(ARRAY['CONNECT', 'CREATE', 'TEMPORARY']) p
    WHERE pg_catalog.has_database_privilege(r.oid, d.oid, p) AND NOT pg_catalog.has_database_privilege(c.oid, d.oid, p)
UNION ALL SELECT p || ' ON SCHEMA ' || pg_catalog.quote_ident(n.nspname)
    FROM r, c, pg_catalog.pg_namespace n, pg_catalog.unnest(ARRAY['USAGE', 'CREATE']) p
    WHERE n.nspname !~ '^pg_(toast|temp)' AND pg_catalog.has_schema_privilege(r.oid, n.oid, p)
    AND NOT pg_catalog.has_schema_privilege(c.oid, n.oid, p)
UNION ALL SELECT p || ' ON ' || o.oid::regclass::text
    FROM r, c, pg_catalog.pg_class o, pg_catalog.unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER']) p
    WHERE o.relkind IN ('r', 'v', 'm', 'f', 'p') AND o.relnamespace <> 'pg_toast'::regnamespace
    AND pg_catalog.has_table_privilege(r.oid, o.oid, p) AND NOT pg_catalog.has_table_privilege(c.oid, o.oid, p)
UNION ALL SELECT p || ' ON COLUMN ' || o.oid::regclass::text || '.' || pg_catalog.quote_ident(a.attname)
    FROM r, c, pg_catalog.pg_class o, pg_catalog.pg_attribute a, pg_catalog.unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'REFERENCES']) p
    WHERE a.attrelid = o.oid AND a.attacl IS NOT NULL AND NOT a.attisdropped
    AND pg_catalog.has_column_privilege(r.oid, o.oid, a.attnum, p) AND NOT pg_catalog.has_column_privilege(c.oid, o.oid, a.attnum, p)
UNION ALL SELECT p || ' ON SEQUENCE ' || o.oid::regclass::text
    FROM r, c, pg_catalog.pg_class o, pg_catalog.unnest(ARRAY['USAGE', 'SELECT', 'UPDATE']) p
    WHERE o.relkind = 'S' AND pg_catalog.has_sequence_privilege(r.oid, o.oid, p) AND NOT pg_catalog.has_sequence_privilege(c.oid, o.oid, p)
UNION ALL SELECT 'EXECUTE ON FUNCTION ' || f.oid::regprocedure::text FROM r, c, pg_catalog.pg_proc f
    WHERE f.proacl IS NOT NULL AND pg_catalog.has_function_privilege(r.oid, f.oid, 'EXECUTE')
    AND NOT pg_catalog.has_function_privilege(c.oid, f.oid, 'EXECUTE')
UNION ALL SELECT 'ownership of ' || o.oid::regclass::text FROM r, c, pg_catalog.pg_class o
    WHERE o.relkind IN ('r', 'v', 'm', 'f', 'p', 'S') AND pg_catalog.pg_has_role(r.oid, o.relowner, 'USAGE')
    AND NOT pg_catalog.pg_has_role(c.oid, o.relowner, 'USAGE')
LIMIT 200";
