"""Drivers, pools and clients that stay connected while their secret rotates.

Each module here belongs to one library, and imports no other:

- `sqlalchemy`: engines, synchronous and for asyncio
- `psycopg`: connections of psycopg 3; `psycopg_pool`: its pools
- `psycopg2_pool`: pools of psycopg2
- `asyncpg`: connections and pools
- `dbapi`: PyMySQL, mysqlclient, mysql-connector-python, psycopg2 and their like
- `redis`: redis-py, synchronous and for asyncio: single servers, clusters, sentinels
- `kombu`, `celery`: brokers and result backends at RabbitMQ and Redis
- `pika`, `aio_pika`: RabbitMQ
- `peewee`: databases and pools
- `tortoise.asyncpg`, `tortoise.psycopg`: Tortoise's backends, to be named as ``engine``
- `pydantic_settings`: the fields of a secret as settings
- `django.postgresql`, `django.mysql`: database backends, to be named as ``ENGINE``
- `requests`, `httpx`: API keys

User name and password come from the secret; host, port and database stay as the program has them, unless it asks
for the secret's by ``endpoint_from_secret=True``. ``stages`` limits which versions are tried, ``login_timeout`` for how
many seconds. ``rejected`` tells which errors of the driver mean a refused login (of the HTTP clients: which responses),
where the usual ones are not meant. A pool counts as a use of its secret, which is kept fresh while the pool lives. Once
a new version is known, connections that were made with an older one leave their pool when they are next given back;
none is cut off in use.
"""
