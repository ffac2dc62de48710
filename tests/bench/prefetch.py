"""Prefetches a thousand secrets; prints the number of calls, by operation, as JSON."""

import json
import sys

from secretcache import SecretCache

ids = [f"bench/{number}" for number in range(1000)]
with SecretCache() as cache:
    failed = cache.prefetch(ids)
    assert not failed, failed
    assert all(cache.peek(each) is not None for each in ids)
    json.dump(cache.stats()["api_calls"], sys.stdout)
