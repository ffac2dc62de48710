"""Compare Node programs that keep connecting while their secret rotates with the same ones while it does not.

Takes the arguments of `connected.py`, prints the same table and runs in the same environment. It uses the native module
that `make build` built.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import connected

HERE = Path(__file__).resolve().parent
CLIENT = HERE / "node" / "connected.mjs"
INTEGRATIONS = {
    "postgres": ("pg", "pg_pool", "pg_knex"),
    "mariadb": ("mysql2", "mysql2_pool", "mysql2_knex"),
    "redis": ("redis",),
}

PACKAGE = HERE.parents[1] / "bindings-node"

if __name__ == "__main__":
    for command in (("node", "tools/place.mjs", "debug"), ("npx", "tsc")):
        subprocess.run(command, cwd=PACKAGE, check=True)
    connected.main(INTEGRATIONS, ("node", str(CLIENT)))
