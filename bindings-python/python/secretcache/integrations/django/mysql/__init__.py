"""The backend for MySQL and MariaDB, to name as ``ENGINE``; see `secretcache.integrations.django._login`."""
