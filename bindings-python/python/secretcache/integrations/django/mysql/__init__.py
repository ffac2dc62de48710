"""The backend for MySQL and MariaDB, to be named as ``ENGINE``; see `secretcache.integrations.django._login`."""
