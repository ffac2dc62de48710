"""The credential in one version of a secret, and which errors mean that it was refused."""

from __future__ import annotations

from . import _core
from .errors import SecretCacheError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn


class Credential:
    """The fields of one version of a secret, whose string is a JSON object with a user name and a password.

    With the alternating-users strategy, a rotation changes the user name together with the password.
    ``repr`` shows the version and the names of the fields, never their values. It cannot be pickled or copied.
    """

    __slots__ = ("_fields", "version_id", "version_stage")

    def __init__(self, fields: dict[str, Any], version_id: str | None, version_stage: str) -> None:
        self._fields = fields
        self.version_id = version_id
        self.version_stage = version_stage

    @property
    def username(self) -> Any:
        """The field ``username``, or None."""
        return self._fields.get("username")

    @property
    def password(self) -> Any:
        """The field ``password``, or None."""
        return self._fields.get("password")

    @property
    def host(self) -> Any:
        """The field ``host``, or None."""
        return self._fields.get("host")

    @property
    def port(self) -> int | None:
        """The field ``port`` as a number, or None."""
        port = self._fields.get("port")
        return None if port is None else int(port)

    @property
    def dbname(self) -> Any:
        """The field ``dbname``, or None."""
        return self._fields.get("dbname")

    @property
    def engine(self) -> Any:
        """The field ``engine``, or None."""
        return self._fields.get("engine")

    def __getitem__(self, field: str) -> Any:
        return own(self._fields[field])

    def get(self, field: str, default: Any = None) -> Any:
        """Return any field, or `default` if it is missing."""
        return own(self._fields.get(field, default))

    def __repr__(self) -> str:
        return (
            f"Credential(version_id={self.version_id!r}, version_stage={self.version_stage!r}, "
            f"fields={sorted(self._fields)!r}, values=<redacted>)"
        )

    def __reduce__(self) -> NoReturn:
        # A pickle, in a task queue for instance, would hold the password, which a rotation soon makes useless.
        raise TypeError("cannot pickle or copy a Credential: each process gets its own from its own cache")


def forget_locals(error: BaseException, outer: BaseException | None = None) -> None:
    """Clear the local variables in the traceback of an error: a driver's frames hold the password.

    Tools that show tracebacks with local variables (rich, Sentry, ``pytest --showlocals``) then have none to show, and
    an error that a program keeps does not keep the password in memory. `outer` is the exception that was already being
    handled; its frames are left alone.
    """
    found: list[BaseException | None] = [error]
    for each in found:
        if each is None or each is outer:
            continue
        step = each.__traceback__
        while step is not None:
            try:
                step.tb_frame.clear()
            except RuntimeError:  # still running: one of ours, which holds nothing secret
                pass
            step = step.tb_next
        found += [
            other
            for other in (each.__cause__, each.__context__, *getattr(each, "exceptions", ()))
            if not any(other is known for known in found)
        ]


def own(value: Any) -> Any:
    """Return a copy of a mutable value: all credentials of a version share its fields."""
    if not isinstance(value, (dict, list)):
        return value
    import copy

    return copy.deepcopy(value)


class LoginRejectedError(SecretCacheError):
    """No version of the secret logs in.

    ``__cause__`` is the driver's last error; None if every refusal was in an earlier attempt.
    """

    kind = "login_rejected"

    tried: list[tuple[str, str]]
    """The versions refused, in order: staging label and version id."""
    _retryable = True
    """What the core says; this default is for programs that raise the error themselves."""

    @property
    def retryable(self) -> bool:
        """Whether another attempt may help soon: if a rotation is in progress, its next step makes a version work."""
        return self._retryable


def is_rejected_login(error: BaseException) -> bool:
    """Return whether an error means that the login was refused.

    Recognizes errors of psycopg, psycopg2, asyncpg, PyMySQL, mysqlclient, redis and HTTP clients, without importing
    any of them.
    """
    try:
        code = getattr(error, "sqlstate", None) or getattr(error, "pgcode", None)
        if code is None and error.args and isinstance(error.args[0], int):
            code = error.args[0]  # MySQL's number
        if code is None:
            code = getattr(getattr(error, "response", None), "status_code", None)
    except Exception:
        return False  # not a driver's: those have readable attributes
    return _core.says_login_refused(said(error), None if code is None else str(code))


def said(error: BaseException) -> str:
    """Return the text of an error, without characters that cannot be encoded as UTF-8."""
    try:
        return str(error).encode(errors="replace").decode()
    except Exception:
        return type(error).__name__
