"""Node programs that connect all the time while their secret rotates, beside the same ones while it does not.

Takes the arguments and gives the table of `connected.py`, and runs in the same environment. The package is the one that
`make test-node` has built.
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
