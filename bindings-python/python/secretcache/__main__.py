"""``python -m secretcache doctor``: prints which library is installed, and what to do if it is the wrong one."""

from __future__ import annotations

import sys

from ._doctor import report

USAGE = """usage: python -m secretcache doctor

Prints which distribution provides the import name aws_secretsmanager_caching, which transport a cache would use, and
how to fix any problem. Exit status: 0 no problem, 1 a problem to fix, 2 wrong usage."""


def main(arguments: list[str]) -> int:
    if arguments in (["-h"], ["--help"]):
        print(USAGE)
        return 0
    if arguments != ["doctor"]:
        print(USAGE, file=sys.stderr)
        return 2
    lines, healthy = report()
    print("\n".join(lines))
    return 0 if healthy else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
