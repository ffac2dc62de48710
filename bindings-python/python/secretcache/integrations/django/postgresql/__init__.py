"""The backend for PostgreSQL, to be named as ``ENGINE``; see `secretcache.integrations.django._login`."""
