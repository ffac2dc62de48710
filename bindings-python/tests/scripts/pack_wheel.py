"""Packs the two packages unchanged into a wheel that tests install. Arguments: folder, version."""

from __future__ import annotations

import sys
import sysconfig
import zipfile
from pathlib import Path

PACKAGES = Path(__file__).resolve().parents[2] / "python"
INFO = {
    "METADATA": "Metadata-Version: 2.1\nName: secretcache\nVersion: {version}\n",
    "WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: false\nTag: py3-none-{platform}\n",
}


def pack(folder: Path, version: str) -> Path:
    """Write the wheel and return its path."""
    platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
    wheel = folder / f"secretcache-{version}-py3-none-{platform}.whl"
    info = f"secretcache-{version}.dist-info"
    record = []
    with zipfile.ZipFile(wheel, "w") as archive:
        for file in sorted(PACKAGES.rglob("*")):
            name = file.relative_to(PACKAGES).as_posix()
            if file.is_file() and "__pycache__" not in name and not file.name.startswith("."):
                archive.write(file, name)
                record.append(f"{name},,")
        for name, text in INFO.items():
            archive.writestr(f"{info}/{name}", text.format(version=version, platform=platform))
            record.append(f"{info}/{name},,")
        archive.writestr(f"{info}/RECORD", "\n".join([*record, f"{info}/RECORD,,"]) + "\n")
    return wheel


if __name__ == "__main__":
    print(pack(Path(sys.argv[1]), sys.argv[2]))
