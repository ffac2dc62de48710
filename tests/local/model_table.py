"""What the service model says about the parameters of every operation, as the endpoint checks it.

`python tests/local/model_table.py > local/src/model.json` writes the endpoint's table; a test holds it to the model.
"""

from __future__ import annotations

import json

from service_model import MODEL

# Their limits are answered with errors of the service's own, and checked where those are.
ELSEWHERE = {"ClientRequestToken"}


def limits(shape) -> dict:
    """The constraints on a value: its own, and those on what is in it."""
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
    """One operation per line."""
    lines = [
        f"  {json.dumps(name)}: {json.dumps(limits(MODEL.operation_model(name).input_shape))}"
        for name in sorted(MODEL.operation_names)
    ]
    return "{\n" + ",\n".join(lines) + "\n}\n"


if __name__ == "__main__":
    print(table(), end="")
