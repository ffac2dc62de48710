"""Settings that Airflow imports when it starts, for the operations in `workflows`."""

import workflows

from secretcache.integrations.airflow import metadata_engines

cache, secret, options = workflows.given
create_metadata_engine, create_async_metadata_engine = metadata_engines(cache, secret, **options)

__all__ = ["create_async_metadata_engine", "create_metadata_engine"]
