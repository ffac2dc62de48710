"""Tortoise ORM's backends for PostgreSQL, which log in with a secret: ``tortoise.asyncpg`` and ``tortoise.psycopg``.

>>> credentials = {"host": "db.example", "database": "shop", "secret_id": "prod/checkout/db"}
>>> connection = {"engine": "secretcache.integrations.tortoise.asyncpg", "credentials": credentials}

Further credentials: ``secret_cache``, a cache of either kind or where to import one from ("shop.secrets.cache");
without it, the process has one for all such connections. ``stages``, ``login_timeout`` and ``rejected`` as in
`secretcache.integrations`.
"""
