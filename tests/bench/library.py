"""The figures of the Python library beyond a single read: prefetching, slow refreshes, interpreters."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from endpoint import Endpoint
from figures import Figure

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
OLDEST, NEWEST = 10, 20
"""The range of CPython 3 minor versions to look for, without `NEWEST` itself."""


def prefetch(endpoint: Endpoint, official: str) -> list[Figure]:
    """Calls to prefetch a thousand secrets."""
    made = json.loads(_run(sys.executable, str(HERE / "prefetch.py")))
    detail = ", ".join(f"{count} {name}" for name, count in made.items())
    return [Figure("1,000 secrets prefetched: calls", sum(made.values()), 50, unit="", detail=detail)]


def readers(endpoint: Endpoint, official: str) -> list[Figure]:
    """Readers that wait during a refresh of one second."""
    mine = int(_run(sys.executable, str(HERE / "readers.py")))
    theirs = int(_run(official, str(HERE / "readers.py")))
    detail = f"of 4; 1.2.0: {theirs}"
    return [Figure("readers that wait during a 1 s refresh", mine, 0, unit="", detail=detail)]


def interpreters(endpoint: Endpoint, official: str) -> list[Figure]:
    """The wheel on every CPython of this machine."""
    (wheel,) = (ROOT / "dist").glob("*.whl")
    found = sorted({*_on_the_path(), *_of_pyenv()})
    ran = []
    with tempfile.TemporaryDirectory() as folder:
        for number, python in enumerate(found):
            subprocess.run([python, "-m", "venv", "--without-pip", f"{folder}/{number}"], check=True)
            site = next(Path(folder, str(number), "lib").glob("python3.*")) / "site-packages"
            shutil.unpack_archive(wheel, site, "zip")
            ran.append(_run(f"{folder}/{number}/bin/python", str(HERE / "smoke.py")))
    versions = ", ".join(dict.fromkeys(ran))
    return [Figure("CPython versions that run the wheel", len(set(ran)), 1, True, unit="", detail=versions)]


def _on_the_path() -> list[str]:
    names = (f"python3.{minor}" for minor in range(OLDEST, NEWEST))
    return [path for name in names if (path := shutil.which(name)) and _works(path)]


def _of_pyenv() -> list[str]:
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"), "versions")
    pythons = (root.glob(f"3.{minor}.*/bin/python") for minor in range(OLDEST, NEWEST))
    return [str(python) for each in pythons for python in each if _works(str(python))]


def _works(python: str) -> bool:
    probe = "import sys; sys.exit(sys.version_info < (3, 10))"
    return subprocess.run([python, "-c", probe], check=False, capture_output=True).returncode == 0


def _run(*command: str) -> str:
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
