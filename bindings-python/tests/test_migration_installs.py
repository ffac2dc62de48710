"""Two distributions, one import name: in any order of installs, the doctor names the library and a working fix."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import sysconfig
import venv
from dataclasses import dataclass
from pathlib import Path

import pytest

from endpoint import ROOT
from trouble import SCRIPTS

AWS = "aws-secretsmanager-caching"
WHEELS = ROOT / "target" / "wheels"


@pytest.fixture(scope="module")
def wheels() -> Path:
    """Provide a folder with AWS's wheel, downloaded once, and a wheel packed from this tree."""
    WHEELS.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--quiet", "--no-deps"]
    if not list(WHEELS.glob("aws_secretsmanager_caching-1.2.0-*.whl")):
        subprocess.run([*command, "--dest", WHEELS, f"{AWS}==1.2.0"], check=True, timeout=120)
    for old in WHEELS.glob("secretcache-*.whl"):
        old.unlink()
    subprocess.run([sys.executable, SCRIPTS / "pack_wheel.py", WHEELS, "0.0.1"], check=True, timeout=60)
    return WHEELS


@dataclass
class Place:
    """A virtual environment to install into."""

    folder: Path
    wheels: Path

    def __post_init__(self) -> None:
        venv.create(self.folder, with_pip=False, symlinks=True)
        python = self.folder / "bin" / "python"
        pip = self.folder / "bin" / "pip"
        pip.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m pip --python {python} "$@"\n')
        pip.chmod(0o755)
        # Both need botocore: use the one that the tests use.
        site = next(self.folder.glob("lib/python*/site-packages"))
        (site / "shared.pth").write_text(sysconfig.get_path("purelib") + "\n")

    def sh(self, command: str) -> subprocess.CompletedProcess[str]:
        """Run a command line in the environment."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        environment |= {
            "PATH": f"{self.folder / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": str(self.wheels),
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "PIP_ROOT_USER_ACTION": "ignore",
        }
        return subprocess.run(
            ["bash", "-c", command], env=environment, capture_output=True, text=True, timeout=120, check=False
        )

    def do(self, step: str) -> None:
        """Install (`+aws`) or uninstall (`-aws`) one of the two."""
        name = AWS if step[1:] == "aws" else "secretcache"
        verb = "install --no-deps" if step[0] == "+" else "uninstall --yes"
        done = self.sh(f"pip {verb} {name}")
        assert done.returncode == 0, done.stderr[-2000:]

    def answers(self) -> str:
        """Return whose package the import name finds."""
        done = self.sh(
            'python -c "from aws_secretsmanager_caching import SecretCache as c; print(c.__mro__[1])"'
        )
        if done.returncode:
            return "broken" if "Traceback" in done.stderr else done.stderr
        return "ours" if "secretcache" in done.stdout else "aws"

    def warning(self) -> str:
        """Return the warnings of `import secretcache`."""
        done = self.sh("python -c 'import secretcache'")
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stderr

    def doctor(self) -> tuple[int, str]:
        """Run `python -m secretcache doctor` without warnings; return its exit status and its output."""
        done = self.sh("python -W ignore -m secretcache doctor")
        assert done.stderr == ""
        return done.returncode, done.stdout


def remedy(report: str, of: str) -> str:
    """Return the command that a report shows for using one of the two."""
    (line,) = [line for line in report.splitlines() if line.startswith(f"to use {of}:")]
    return line.partition(":")[2].strip()


BOTH = "are both installed"
# The steps, whose package is then imported, and what the doctor says.
ORDERS = [
    ("+ours", "ours", "no problem"),
    ("+aws +ours", "ours", BOTH),
    ("+ours +aws", "aws", "is AWS's library"),
    ("+ours +aws +ours", "aws", "is AWS's library"),  # the last step does nothing: pip considers it installed
    ("+aws +ours -aws", "broken", None),
    ("+ours +aws -aws", "broken", None),
    ("+aws +ours -aws +aws", "aws", None),
    ("+ours +aws -aws +aws", "aws", "is AWS's library"),
    ("+aws +ours -ours +ours", "ours", BOTH),
    ("+ours +aws -ours +ours", "ours", BOTH),
]


@pytest.mark.parametrize(("order", "answers", "says"), ORDERS)
def test_whatever_the_order_of_installs_it_is_named_and_can_be_fixed(
    tmp_path: Path, wheels: Path, order: str, answers: str, says: str | None
) -> None:
    place = Place(tmp_path / "venv", wheels)
    for step in order.split():
        place.do(step)
    assert place.answers() == answers
    status, report = place.doctor()
    if says:
        assert says in report
    if says == "no problem":
        assert (place.warning(), status) == ("", 0)
        return
    # The drop-in still works next to AWS's library, until that is uninstalled.
    assert place.warning() == "" if answers == "ours" else "python -m secretcache doctor" in place.warning()
    assert status == 1
    fixed = place.sh(remedy(report, "the drop-in"))
    assert fixed.returncode == 0, fixed.stderr[-2000:]
    assert place.answers() == "ours"
    assert place.warning() == ""
    status, report = place.doctor()
    assert status == 0 and BOTH not in report


@pytest.mark.parametrize("order", ["+ours +aws", "+ours +aws +ours"])
def test_a_warning_says_how_to_keep_awss_library(tmp_path: Path, wheels: Path, order: str) -> None:
    place = Place(tmp_path / "venv", wheels)
    for step in order.split():
        place.do(step)
    assert place.sh(remedy(place.doctor()[1], "AWS's library")).returncode == 0
    assert place.answers() == "aws"


@pytest.mark.parametrize("order", ["+aws +ours -ours", "+ours +aws -ours"])
def test_after_removing_secretcache_awss_library_comes_back_by_installing_it_again(
    tmp_path: Path, wheels: Path, order: str
) -> None:
    place = Place(tmp_path / "venv", wheels)
    for step in order.split():
        place.do(step)
    assert place.sh("python -c 'import secretcache'").returncode == 1
    assert place.sh(f"pip install --force-reinstall --no-deps {AWS}").returncode == 0
    assert place.answers() == "aws"
