"""ctypes, used like JNA: reads, a login, events and a source, with pointers only; `python read.py LIBRARY`."""

from __future__ import annotations

import ctypes
import sys
import threading
import time
from ctypes import CFUNCTYPE, POINTER, Structure, byref, c_char_p, c_size_t, c_uint32, c_uint64, c_void_p

library = ctypes.CDLL(sys.argv[1])


class Str(Structure):
    _fields_ = (("data", c_void_p), ("length", c_size_t))

    def text(self) -> str | None:
        return ctypes.string_at(self.data, self.length).decode() if self.data else None


class Event(Structure):
    _fields_ = (
        ("size", c_size_t),
        ("kind", c_uint32),
        ("secret_id", Str),
        ("version_stage", Str),
        ("old_version_id", Str),
        ("new_version_id", Str),
        ("age_ms", c_uint64),
        ("error", c_void_p),
        ("text", Str),
        ("region", Str),
    )


class Request(Structure):
    _fields_ = (("secret_id", Str), ("version_stage", Str), ("version_id", Str))


OnEvent = CFUNCTYPE(None, c_void_p, POINTER(Event))
OnLogin = CFUNCTYPE(c_uint32, c_void_p, c_void_p)
Fetch = CFUNCTYPE(None, c_void_p, POINTER(Request), c_void_p)


class Source(Structure):
    _fields_ = (("user_data", c_void_p), ("fetch", Fetch), ("describe", Fetch), ("release", c_void_p))


for name in ("config_new", "value_new"):
    getattr(library, f"secretcache_{name}").restype = c_void_p
for name in ("result_name", "error_message", "error_service_code", "credential_field"):
    getattr(library, f"secretcache_ffi_{name}").restype = c_char_p


def ok(name: str, *arguments: object) -> None:
    failure = c_void_p()
    result = getattr(library, f"secretcache_{name}")(*arguments, byref(failure))
    assert result == 0, library.secretcache_ffi_error_message(failure)


def cache_of(config: c_void_p | None) -> c_void_p:
    cache = c_void_p()
    ok("new", config, byref(cache))
    return cache


value, out = c_void_p(library.secretcache_value_new()), Str()
cache = cache_of(None)
ok("ffi_get_field", cache, b"ffi/db", None, b"password", value, byref(out))
print(out.text())
ok("ffi_get_string", cache, b"ffi/db", None, value, byref(out))
print(out.text())
ok("ffi_value_name", value, byref(out))
print(out.text())
# The id of an IAM login gives a token, which is signed without a request.
ok(
    "ffi_get_field",
    cache,
    b"rds-db://app@db.example:5432?region=eu-central-1",
    None,
    b"password",
    value,
    byref(out),
)
assert (out.text() or "").startswith("db.example:5432/?Action=connect&DBUser=app&X-Amz-Algorithm=")
failure = c_void_p()
assert library.secretcache_ffi_get(cache, b"ffi/none", None, value, byref(failure)) == 106
print(library.secretcache_ffi_error_service_code(failure).decode())
library.secretcache_error_free(failure)


@OnLogin
def log_in(_user_data: int, credential: int) -> int:
    fields = [
        library.secretcache_ffi_credential_field(c_void_p(credential), name)
        for name in (b"username", b"password")
    ]
    print(*(field.decode() for field in fields), sep="\t")
    return 0


ok("ffi_connect", cache, b"ffi/db", c_uint64(0), log_in, None)

# A source and a listener; the library calls both on its own threads.
versions = iter(["v1", "v2"])
received = threading.Event()


@Fetch
def fetch(_user_data: int, request: object, answer: int) -> None:
    asked = request.contents  # type: ignore[attr-defined]
    assert (asked.secret_id.text(), asked.version_stage.text()) == ("own", "AWSCURRENT")
    version = next(versions).encode()
    ok("ffi_answer_set_version_id", c_void_p(answer), version)
    ok("ffi_answer_set_string", c_void_p(answer), b"secret of " + version)
    library.secretcache_answer_succeed(c_void_p(answer))
    # The reader continues meanwhile. Python must not exit before this returns, so secretcache_shutdown waits for it.
    for _ in range(1000):
        time.sleep(0.0005)


@OnEvent
def on_event(_user_data: int, event: object) -> None:
    it = event.contents  # type: ignore[attr-defined]
    assert (it.size, it.kind) == (ctypes.sizeof(Event), 1)
    assert (it.secret_id.text(), it.old_version_id.text(), it.new_version_id.text()) == ("own", "v1", "v2")
    assert it.text.text() == 'secret "own" has a new version: v2'
    received.set()


config = c_void_p(library.secretcache_config_new())
ok("ffi_config_set_source", config, byref(Source(None, fetch, Fetch(), None)))
ok("config_on_event", config, on_event, None, None)
own = cache_of(config)
ok("ffi_get_string", own, b"own", None, value, byref(out))
assert out.text() == "secret of v1"
ok("ffi_refresh", own, b"own", None, value)
assert received.wait(60)
library.secretcache_config_free(config)
for owned in (own, cache):
    library.secretcache_free(owned)
library.secretcache_value_free(value)
library.secretcache_shutdown(c_uint64(60_000))
