"""The command as installed by pip and npm. The README's commands for a laptop are run unchanged, from `pip install`
in an empty virtual environment to a rotated database.

SECRETCACHE_CLI_WHEEL is the path of the wheel to install, such as that of `make wheel-cli`. Without it, the command
under test is packed into a wheel here.
"""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

import pytest
from conftest import ROOT, binary

# Stops everything when the shell exits. If that runs as root, which PostgreSQL refuses, uses an unprivileged user.
AROUND = r"""
set -euo pipefail
finish() { kill %1 || true; pg_ctl --pgdata=pg --mode=immediate stop > /dev/null || true; wait || true; }
trap finish EXIT
if [ "$(id -u)" = 0 ]; then
    unprivileged() { setpriv --reuid=65534 --regid=65534 --clear-groups env HOME="$PWD" "$@"; }
    initdb() { unprivileged initdb "$@"; }
    pg_ctl() { unprivileged pg_ctl "$@"; }
    touch log && chown 65534:65534 . log
fi
"""
# What the README says after the last line: the old password no longer works.
AFTER = r"""
! PGPASSWORD=first psql -h 127.0.0.1 -p 5433 -U app postgres -c 'select 1'
"""


def printed() -> list[str]:
    """Return the commands of the README's section."""
    section = (ROOT / "README.md").read_text().split("## On a laptop")[1].split("\n## ")[0]
    block = re.search(r"```console\n(.*?)```", section, re.DOTALL)
    assert block
    lines = block[1].splitlines()
    assert all(line.startswith("$ ") for line in lines)
    return [line.removeprefix("$ ") for line in lines]


def pack(command: str, folder: Path) -> Path:
    """Create a wheel with this command, like `maturin` does."""
    version = subprocess.run(
        [ROOT / "packaging/version.py"], capture_output=True, text=True, check=True
    ).stdout.strip()
    name, info = f"secretcache_cli-{version}", f"secretcache_cli-{version}.dist-info"
    tag = "py3-none-" + ("linux_x86_64" if os.uname().machine == "x86_64" else "any")
    wheel = folder / f"{name}-{tag}.whl"
    files = {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: secretcache-cli\nVersion: {version}\n",
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: false\nTag: {tag}\n",
    }
    script = zipfile.ZipInfo(f"{name}.data/scripts/secretcache")
    script.external_attr = 0o100755 << 16
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(script, Path(command).read_bytes())
        for path, text in files.items():
            archive.writestr(path, text)
        archive.writestr(
            f"{info}/RECORD", "".join(f"{path},,\n" for path in [script.filename, *files, f"{info}/RECORD"])
        )
    return wheel


@pytest.fixture
def home():
    """Return a folder that an unprivileged user can enter too."""
    folder = Path(tempfile.mkdtemp(prefix="laptop-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def test_ten_lines_from_pip_install_to_a_rotated_postgresql(home: Path) -> None:
    lines = printed()
    assert len(lines) == 10 and lines[0].startswith("pip install secretcache-cli ")
    packages = home / "packages"
    packages.mkdir()
    wheel = os.environ.get("SECRETCACHE_CLI_WHEEL")
    wheel = shutil.copy(wheel, packages) if wheel else pack(binary(), packages)
    environment = home / "venv"
    subprocess.run([sys.executable, "-m", "venv", environment], check=True)

    script = AROUND + "\n".join(lines) + AFTER
    # Use ports that are free here.
    postgres, endpoint = free_port(), free_port()
    script = script.replace("5433", str(postgres)).replace("4584", str(endpoint))
    script = script.replace("secretcache local ", f"secretcache local --port {endpoint} ")
    work = home / "work"
    work.mkdir()
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=work,
        env={
            # Without any command, setting or module of this repository.
            **{
                name: value for name, value in os.environ.items() if name.startswith("PIP_") or name == "LANG"
            },
            "PATH": f"{environment}/bin:/usr/bin:/bin",
            "HOME": str(work),
            "VIRTUAL_ENV": str(environment),
            "PIP_CACHE_DIR": os.environ.get("PIP_CACHE_DIR", str(Path.home() / ".cache" / "pip")),
            "PIP_FIND_LINKS": f"{packages} {os.environ.get('PIP_FIND_LINKS', '')}",
        },
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "(1 row)" in done.stdout, "the new password logs in"
    assert "password authentication failed" in done.stderr, "the old one does not"


def test_the_npm_package_runs_the_command_and_passes_signals_on(home: Path) -> None:
    machine = {"x86_64": "x64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    packed = home / "packed"
    pack_npm = [ROOT / "cli/npm/pack", packed, f"{sys.platform}-{machine}", binary()]
    subprocess.run(pack_npm, check=True, stdout=subprocess.DEVNULL)
    (home / "package.json").write_text('{"private": true}')
    install = [
        "npm",
        "install",
        "--silent",
        "--offline",
        "--no-audit",
        "--no-fund",
        "--ignore-scripts",
        *packed.iterdir(),
    ]
    subprocess.run(install, cwd=home, check=True)
    command = home / "node_modules/.bin/secretcache"

    assert subprocess.run([command, "--version"], capture_output=True, check=True).stdout.startswith(
        b"secretcache "
    )
    assert subprocess.run([command, "get"], capture_output=True).returncode == 2, (
        "it has the command's exit status"
    )
    with subprocess.Popen([command, "local", "--port", "0"], stdout=subprocess.PIPE, text=True) as local:
        assert "listening on" in local.stdout.readline()
        local.send_signal(signal.SIGTERM)
        local.stdout.read()  # ends when the command itself has exited
        assert local.wait(30) == 0


TARGETS = {
    "x86_64-unknown-linux-musl": "linux-x64",
    "aarch64-unknown-linux-musl": "linux-arm64",
    "x86_64-apple-darwin": "darwin-x64",
    "aarch64-apple-darwin": "darwin-arm64",
    "x86_64-pc-windows-msvc": "win32-x64",
}


def test_a_release_is_packed_for_npm_from_its_archives_and_never_without_a_platform(tmp_path: Path) -> None:
    archives = []
    for target in TARGETS:
        (content := tmp_path / "secretcache").mkdir(exist_ok=True)
        program = content / ("secretcache.exe" if "windows" in target else "secretcache")
        for file in (program, content / "THIRD-PARTY-NOTICES.txt", content / "sbom.cdx.json"):
            file.write_text(target)
        archives.append(shutil.make_archive(f"{tmp_path}/v1-{target}", "gztar", tmp_path, "secretcache"))
        shutil.rmtree(content)

    def pack_release(output: str, *archives: str) -> int:
        command = [ROOT / "cli/npm/pack-release", tmp_path / output, *archives]
        return subprocess.run(command, capture_output=True).returncode

    assert pack_release("lacking", *archives[:-1]) != 0
    assert pack_release("unknown", archives[0].replace("linux", "plan9")) != 0
    assert pack_release("out", *archives) == 0
    packed = sorted(path.name for path in (tmp_path / "out").iterdir())
    version = packed[0].removeprefix("secretcache-cli-").removesuffix(".tgz")
    assert packed == sorted(
        f"secretcache-cli-{name}{version}.tgz" for name in ["", *(f"{p}-" for p in TARGETS.values())]
    )
    for target, system in TARGETS.items():
        with tarfile.open(tmp_path / "out" / f"secretcache-cli-{system}-{version}.tgz") as package:
            program = "secretcache.exe" if "windows" in target else "secretcache"
            for name in (program, "THIRD-PARTY-NOTICES.txt", "sbom.cdx.json"):
                assert package.extractfile(f"package/{name}").read().decode() == target


def test_an_artefact_without_notices_or_with_the_sbom_of_another_version_is_found_out(tmp_path: Path) -> None:
    version = subprocess.run(
        [ROOT / "packaging/version.py"], capture_output=True, text=True, check=True
    ).stdout.strip()
    sbom = '{"metadata": {"component": {"version": "%s"}}}'
    files = {"LICENSE": "", "THIRD-PARTY-NOTICES.txt": "", "sbom.cdx.json": sbom % version}

    def said_of(files: dict[str, str]) -> str:
        wheel = tmp_path / "package.whl"
        with zipfile.ZipFile(wheel, "w") as archive:
            for name, text in files.items():
                archive.writestr(f"package.dist-info/licenses/{name}", text)
        done = subprocess.run([ROOT / "packaging/complete", wheel], capture_output=True, text=True)
        assert (done.returncode == 0) == (done.stderr == "")
        return done.stderr

    assert said_of(files) == ""
    assert "notices are missing" in said_of({name: files[name] for name in ("LICENSE", "sbom.cdx.json")})
    assert "its SBOM is for version 0.0.1" in said_of(files | {"sbom.cdx.json": sbom % "0.0.1"})


def test_the_package_of_the_rotation_function_is_complete(tmp_path: Path) -> None:
    (notices := tmp_path / "notices").mkdir()
    (notices / "THIRD-PARTY-NOTICES.txt").write_text("")
    version = subprocess.run([ROOT / "packaging/version.py"], capture_output=True, text=True, check=True)
    component = {"version": version.stdout.strip()}
    (notices / "sbom.cdx.json").write_text(json.dumps({"metadata": {"component": component}}))
    (program := tmp_path / "bootstrap").write_bytes(b"program")
    package = tmp_path / "function.zip"
    pack = [ROOT / "tests/tools/pack_function.py", program, package, "--notices", notices]
    subprocess.run(pack, check=True, capture_output=True)
    subprocess.run([ROOT / "packaging/complete", package], check=True)
