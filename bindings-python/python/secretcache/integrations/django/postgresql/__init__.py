"""The backend for PostgreSQL, to name as ``ENGINE``; see `secretcache.integrations.django._login`."""
