"""The constraints of the service model on the parameters of every operation, as checked by the endpoint.

`python tests/local/model_table.py > local/src/model.json` writes the endpoint's table; a test compares both.
"""

from __future__ import annotations

import json

from service_model import MODEL

# The service has its own errors for the limits of these, so the endpoint checks them elsewhere.
ELSEWHERE = {"ClientRequestToken"}


def limits(shape) -> dict:
    """Return the constraints on a value, and on the values in it."""
    found = {name: shape.metadata[name] for name in ("min", "max", "pattern") if name in shape.metadata}
    if shape.metadata.get("sensitive"):
        found["sensitive"] = True
    if shape.type_name == "string" and shape.enum:
        found["enum"] = list(shape.enum)
    if shape.type_name == "blob":
        found["blob"] = True
    if shape.type_name == "list":
        found["each"] = limits(shape.member)
    if shape.type_name == "structure":
        members = {name: member(shape, name) for name in shape.members if name not in ELSEWHERE}
        found["members"] = {name: limited for name, limited in members.items() if limited}
    return found


def member(shape, name: str) -> dict:
    required = {"required": True} if name in shape.required_members else {}
    return required | limits(shape.members[name])


def table() -> str:
    """Return the table as JSON with one operation per line."""
    lines = [
        f"  {json.dumps(name)}: {json.dumps(limits(MODEL.operation_model(name).input_shape))}"
        for name in sorted(MODEL.operation_names)
    ]
    return "{\n" + ",\n".join(lines) + "\n}\n"


if __name__ == "__main__":
    print(table(), end="")
