"""Compare Node programs that keep connecting while their secret rotates with the same ones while it does not.

Takes the arguments of `connected.py`, prints the same table and runs in the same environment. It uses the package that
`make test-node` built.
"""

from __future__ import annotations

from pathlib import Path

import connected

CLIENT = Path(__file__).resolve().parent / "node" / "connected.mjs"
INTEGRATIONS = {
    "postgres": ("pg", "pg_pool", "pg_knex"),
    "mariadb": ("mysql2", "mysql2_pool", "mysql2_knex"),
    "redis": ("redis",),
}

if __name__ == "__main__":
    connected.main(INTEGRATIONS, ("node", str(CLIENT)))
