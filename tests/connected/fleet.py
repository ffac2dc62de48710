"""Programs that connect continuously, one process for each integration, and their reports."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from databases import ROOT, Database

PROGRAM = (sys.executable, str(Path(__file__).with_name("client.py")))
AIRFLOW = os.environ.get("SECRETCACHE_TEST_AIRFLOW", str(ROOT / "target" / "venv" / "airflow"))
IN_AIRFLOW = (f"{AIRFLOW}/bin/python", PROGRAM[1])
"""The same program in the environment with Airflow."""


class Fleet:
    """A process for each of the given integrations, all with the secret of one server."""

    def __init__(
        self,
        names: list[str],
        database: Database,
        environment: dict[str, str],
        secret_id: str,
        *,
        workers: int = 2,
        pause: float = 0.01,
        program: tuple[str, ...] = PROGRAM,
    ) -> None:
        where = [secret_id, database.host, str(database.port), str(workers), str(pause)]
        self.workers = workers
        self._processes = [
            subprocess.Popen(
                [*(IN_AIRFLOW if name.startswith("airflow") else program), name, *where],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=os.environ | environment,
                text=True,
            )
            for name in names
        ]
        for name, process in zip(names, self._processes, strict=True):
            assert process.stdout is not None
            if process.stdout.readline() != "ready\n":
                self.kill()
                raise RuntimeError(f"{name} could not connect even once; see its traceback")

    def begin(self, phase: str) -> None:
        """Begin a phase in all processes."""
        for process in self._processes:
            assert process.stdin is not None
            print(phase, file=process.stdin, flush=True)

    def end(self) -> list[dict[str, Any]]:
        """End all processes; return their reports."""
        for process in self._processes:
            assert process.stdin is not None
            process.stdin.close()
        reports = []
        for process in self._processes:
            assert process.stdout is not None
            reports.append(json.loads(process.stdout.readline()))
            process.wait()
        return reports

    def kill(self) -> None:
        """Kill all processes, without reports."""
        for process in self._processes:
            process.kill()
            process.wait()
