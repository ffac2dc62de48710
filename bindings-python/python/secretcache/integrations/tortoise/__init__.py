"""Tortoise ORM's backends for PostgreSQL, which log in with a secret: ``tortoise.asyncpg`` and ``tortoise.psycopg``.

>>> credentials = {"host": "db.example", "database": "shop", "secret_id": "prod/checkout/db"}
>>> connection = {"engine": "secretcache.integrations.tortoise.asyncpg", "credentials": credentials}

More credentials: ``secret_cache``, a synchronous or asynchronous cache or the dotted path to one
("shop.secrets.cache"); by default all such connections of a process share a cache. ``stages``, ``login_timeout`` and
``rejected`` as in `secretcache.integrations`.
"""
