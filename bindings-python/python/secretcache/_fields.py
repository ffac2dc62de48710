"""Fields of secrets whose string is a JSON object."""

from __future__ import annotations

from ._credential import own
from .errors import FieldNotFoundError, NotJsonError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ._core import SecretValue


def fields(secret_id: str, value: SecretValue, wanted: str = "") -> dict[str, Any]:
    """Return the fields of a version whose string is a JSON object. They are shared: do not change them."""
    if value._fields is None:
        # No local variable ever holds a secret, because tools show local variables in tracebacks.
        why = _parse_fields(value)
        if why is not None:
            text = f"the value of secret {secret_id!r} is {why}{wanted}"
            raise NotJsonError(text, secret_id=secret_id)
    return value._fields  # type: ignore[return-value]


def _parse_fields(value: SecretValue) -> str | None:
    """Parse the fields and keep them; return what is wrong, if anything."""
    import json

    try:
        parsed = json.loads(value.secret_string or "")
    except ValueError as error:
        place = f"line {getattr(error, 'lineno', 1)} column {getattr(error, 'colno', 1)}"
        return f"not JSON ({place})"
    if not isinstance(parsed, dict):
        return "JSON, but not an object with fields"
    value._keep_fields(parsed)
    return None


def pick(secret_id: str, value: SecretValue, field: str) -> Any:
    """Return one field. The caller may change the result."""
    if field not in fields(secret_id, value):
        known = ", ".join(map(str, fields(secret_id, value))) or "none"
        text = f"secret {secret_id!r} has no field {field!r}; its fields are {known}"
        raise FieldNotFoundError(text, secret_id=secret_id)
    return own(fields(secret_id, value)[field])
