"""The figures of the C interface: hits against a bare hash map, two threads on one secret, the library's size.

To run it alone: `make install-c PREFIX=target/c/release && python tests/bench/c_interface.py`.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from figures import Figure, nano, ratio, table

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
PREFIX = ROOT / "target" / "c" / "release"
LARGEST = 10.4
"""Size of a minimal library with the SDK, built with thin link-time optimisation, in MB."""


def c_interface(endpoint: object = None, official: str = "") -> list[Figure]:
    """Reads through secretcache.h, from the installed release build."""
    library = PREFIX / "lib" / "libsecretcache.so"
    if not library.exists():
        raise RuntimeError(f"{library} is missing: make install-c PREFIX={PREFIX.relative_to(ROOT)}")
    program = PREFIX / "hits"
    places = [f"-I{PREFIX}/include", f"-L{PREFIX}/lib", f"-Wl,-rpath,{PREFIX}/lib"]
    build = ["g++", "-std=c++17", "-O2", *places, str(HERE / "c" / "hits.cpp"), "-lsecretcache", "-lpthread"]
    subprocess.run([*build, "-o", str(program)], check=True)
    found = json.loads(subprocess.run([str(program)], check=True, stdout=subprocess.PIPE, text=True).stdout)
    value, mine, other = ratio(found["hits"], found["map"])
    same = min(found["same"])
    scale = min(found["one thread"]) / min(found["two threads"])
    alone = min(found["one loop"]) / min(found["two loops"])
    size = library.resolve().stat().st_size / 1e6
    fields = []
    for name, what in {"small": "136 bytes", "large": "3.6 KB"}.items():
        of_string, field, string = ratio(found[f"{name} field"], found[f"{name} string"])
        detail = f"{nano(field)}, string {nano(string)}"
        fields.append(Figure(f"C secretcache_get_field, {what}: against string", of_string, 2, detail=detail))
    return [
        *fields,
        Figure(
            "C hit, 1,000 secrets with a value each: against std::unordered_map",
            value,
            3,
            detail=f"{nano(mine)}, bare look-up {nano(other)}; the same secret {nano(same)}",
        ),
        Figure(
            "C, two threads on one secret: scaling against independent loops",
            scale / alone,
            0.9,
            True,
            detail=f"{scale:.2f} times one thread, independent loops {alone:.2f}",
        ),
        Figure("libsecretcache.so, stripped", size, LARGEST, unit="MB", detail=library.resolve().name),
    ]


if __name__ == "__main__":
    print(table(c_interface()))
