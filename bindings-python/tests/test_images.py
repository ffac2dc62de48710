"""Unusual installations of the packages: without sources, or in an archive."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import secretcache
from support import run_python

PACKAGES = Path(secretcache.__file__).parents[1]


def test_p7_an_image_without_sources_raises_no_alarm(tmp_path: Path) -> None:
    for name in ("secretcache", "aws_secretsmanager_caching"):
        shutil.copytree(PACKAGES / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    subprocess.run([sys.executable, "-m", "compileall", "-q", "-b", tmp_path], check=True)
    for source in tmp_path.rglob("*.py"):
        source.unlink()
    code = "import secretcache, aws_secretsmanager_caching; secretcache.AsyncSecretCache"
    done = run_python(code, tmp_path, "-W", "error")
    assert (done.returncode, done.stderr) == (0, "")


def test_p7_a_zip_file_is_refused_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    for name in ("secretcache", "aws_secretsmanager_caching"):
        shutil.copytree(PACKAGES / name, tmp_path / "tree" / name)
    archive = shutil.make_archive(str(tmp_path / "app"), "zip", tmp_path / "tree")
    done = run_python("import secretcache", archive)
    assert "ImportError: secretcache cannot be imported from a zip file" in done.stderr
