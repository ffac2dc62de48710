"""Drivers, pools and clients that stay connected while their secret rotates.

Each module is for one library, and imports no other:

- `sqlalchemy`: engines, synchronous and for asyncio
- `psycopg`: connections of psycopg 3; `psycopg_pool`: its pools
- `psycopg2_pool`: pools of psycopg2
- `asyncpg`: connections and pools
- `dbapi`: PyMySQL, mysqlclient, mysql-connector-python, psycopg2 and similar drivers
- `redis`: redis-py, synchronous and for asyncio: single servers, clusters, sentinels
- `kombu`, `celery`: brokers and result backends with RabbitMQ and Redis
- `pika`, `aio_pika`: RabbitMQ
- `peewee`: databases and pools
- `tortoise.asyncpg`, `tortoise.psycopg`: Tortoise's backends; name one as ``engine``
- `pydantic_settings`: the fields of a secret as settings
- `django.postgresql`, `django.mysql`: database backends; name one as ``ENGINE``
- `airflow`: metadata database and hooks; `airflow.secrets_manager`: a secrets backend
- `requests`, `httpx`: API keys

User name and password come from the secret. The program gives host, port and database; with
``endpoint_from_secret=True`` they come from the secret too. ``stages`` limits which versions are tried,
``login_timeout`` for how many seconds. ``rejected`` is a function that says which errors of the driver (or responses of
the HTTP clients) mean a refused login, if the default is wrong. A pool keeps its secret fresh while the pool lives.
After a rotation, connections made with an old version are closed when they are next returned to the pool, never in use.
"""
