"""Which library is installed under the import name `aws_secretsmanager_caching`, and how to change that.

AWS's distribution and this one both install a package of that name. pip lets the later one overwrite files of the
earlier one, and uninstalling either removes files of both. So this module checks the files, not pip's records.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal

    _State = Literal["ours", "theirs", "missing", "mixed"]

_PACKAGE = os.path.join(
    os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "aws_secretsmanager_caching"
)
_FILES = ("__init__.py", "secret_cache.py", "config.py", "decorators.py")
_THEIRS = "aws-secretsmanager-caching"
_FIX = f"pip uninstall --yes {_THEIRS}; pip install --force-reinstall --no-deps secretcache"


def state() -> _State:
    """Return whose files are in the package of that name next to this one."""
    ours = [_is_ours(os.path.join(_PACKAGE, name)) for name in _FILES]
    if all(ours):
        return "ours"
    if all(each is None for each in ours):
        return "missing"
    return "theirs" if not any(ours) else "mixed"


def quick_warning() -> str | None:
    """Return a warning if the drop-in is broken. Reads only one small file: this runs at every import."""
    is_ours = _is_ours(os.path.join(_PACKAGE, "__init__.py"))
    if is_ours:
        return None
    what = "is gone" if is_ours is None else "was overwritten by AWS's library, which was installed later"
    return (
        f"the package aws_secretsmanager_caching that came with secretcache {what}; `import secretcache` works, the "
        f"drop-in does not. Run `python -m secretcache doctor` for details. To fix it: {_FIX}"
    )


def report() -> tuple[list[str], bool]:
    """Return lines that describe the installation, and whether it is healthy."""
    from . import __version__, _core

    found = state()
    claimants = _claimants()
    both = any(name.split()[0].replace("_", "-") == _THEIRS for name in claimants)
    lines = [f"secretcache {__version__}, extension module {_core.__file__}"]
    lines += [f"  distribution that claims aws_secretsmanager_caching: {name}" for name in claimants]
    lines.append(
        {
            "ours": "`import aws_secretsmanager_caching` is secretcache's drop-in"
            + ("" if both else ": no problem"),
            "theirs": "`import aws_secretsmanager_caching` is AWS's library, which was installed after secretcache",
            "missing": "`import aws_secretsmanager_caching` fails: uninstalling AWS's library removed its files",
            "mixed": "aws_secretsmanager_caching is a mixture of AWS's library and secretcache's drop-in",
        }[found]
    )
    if both:
        lines.append(
            f"{_THEIRS} and secretcache are both installed: uninstalling or upgrading the former removes or replaces "
            "the drop-in's files. Uninstall it first, then install secretcache again, as shown below"
        )
    if found != "ours" or both:
        lines.append(f"to use the drop-in:        {_FIX}")
    if found in ("theirs", "mixed"):
        lines.append(f"to use AWS's library:      pip install --force-reinstall --no-deps {_THEIRS}")
    transport, works = _transport()
    lines.append(f"transport of a cache without a client: {transport}")
    for name in (
        "AWS_REGION",
        "AWS_DEFAULT_REGION",
        "AWS_PROFILE",
        "AWS_ENDPOINT_URL_SECRETS_MANAGER",
        "AWS_ENDPOINT_URL",
        "AWS_CA_BUNDLE",
    ):
        if os.environ.get(name):
            lines.append(f"  {name}={os.environ[name]}")
    return lines, found == "ours" and not both and works


def _transport() -> tuple[str, bool]:
    """Return the transport and why, or what is wrong with the settings, and whether they are all right."""
    from ._transport import reason_for_botocore
    from .errors import ConfigurationError

    try:
        reason = reason_for_botocore()
    except ConfigurationError as error:
        return f"none: {error}", False
    return f"botocore: {reason}" if reason else "native", True


def _claimants() -> list[str]:
    from importlib import metadata

    names = set()
    for distribution in metadata.distributions():
        files = distribution.files or []
        if any(file.parts[:1] == ("aws_secretsmanager_caching",) for file in files):
            names.add(f"{distribution.metadata['Name']} {distribution.version}")
    return sorted(names)


def _is_ours(path: str) -> bool | None:
    # Some images contain only compiled files, in place of the sources.
    for name, most in ((path, 2048), (f"{path}c", -1)):
        try:
            with open(name, "rb") as file:
                return b"secretcache" in file.read(most)
        except OSError:
            pass
    return None


def _why_not_importable(problem: str) -> str | None:
    if not os.path.isdir(os.path.dirname(os.path.abspath(__file__))):
        return (
            "secretcache cannot be imported from a zip file, since its extension module has to be a file: unpack the "
            "archive, or build it with a tool that unpacks itself, such as shiv"
        )
    if "subinterpreter" in problem:
        return (
            "secretcache works in the main interpreter only, not in subinterpreters: use threads or processes"
        )
    return None


def _check_extension() -> None:
    try:
        from . import _core  # noqa: F401
    except ImportError as error:
        reason = _why_not_importable(str(error))
        if reason is None:
            raise
        raise ImportError(reason) from error


# This module is imported before the rest of the package, so this explanation comes first.
_check_extension()
