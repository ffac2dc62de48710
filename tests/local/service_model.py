"""Checks raw responses, member by member, against botocore's model of Secrets Manager.

boto3's own parser is lenient: it ignores unknown members and does not check types.
"""

from __future__ import annotations

import base64
import json
import re

import botocore.loaders
import botocore.model

_LOADED = botocore.loaders.Loader().load_service_model("secretsmanager", "service-2")
MODEL = botocore.model.ServiceModel(_LOADED, "secretsmanager")

# Errors that every AWS JSON service can return although its model does not list them, and the one specific to this
# endpoint.
FRAMEWORK_ERRORS = {
    "AccessDeniedException",
    "SerializationException",
    "ThrottlingException",
    "UnknownOperationException",
    "UnsupportedOperationException",
    "ValidationException",
}
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def check_response(operation_model, response_dict, **_):
    """Check a response, as a botocore `before-parse` handler."""
    assert UUID.fullmatch(response_dict["headers"]["x-amzn-requestid"])
    assert response_dict["headers"]["content-type"] == "application/x-amz-json-1.1"
    body = json.loads(response_dict["body"])
    if response_dict["status_code"] == 200:
        check_output(operation_model.name, body)
    else:
        check_error(operation_model.name, response_dict["status_code"], body)


def check_output(operation: str, body: object) -> None:
    """Check that a successful response has only known members, with the right types and within bounds."""
    shape = MODEL.operation_model(operation).output_shape
    if shape is None:
        assert body == {}, f"{operation} has no output, not {body}"
    else:
        _check(shape, body, operation)


def check_error(operation: str, status: int, body: dict) -> None:
    """Check that an error is one of the operation's, spelled as in the model."""
    code = body["__type"]
    assert status == (500 if code == "InternalServiceError" else 400), (status, body)
    modelled = {shape.name for shape in MODEL.operation_model(operation).error_shapes}
    assert code in modelled | FRAMEWORK_ERRORS, f"{operation} has no error {code}"
    spelling = "Message" if code in modelled or code == "AccessDeniedException" else "message"
    assert set(body) == {"__type", spelling}, body
    assert isinstance(body[spelling], str) and body[spelling]


def _check(shape, value, path: str) -> None:
    kind = shape.type_name
    if kind == "structure":
        assert isinstance(value, dict), f"{path}: {value!r} is not a structure"
        for member in shape.required_members:
            assert member in value, f"{path}.{member} is missing"
        for member, inner in value.items():
            assert member in shape.members, f"{path}.{member} is not in the model"
            _check(shape.members[member], inner, f"{path}.{member}")
    elif kind == "list":
        assert isinstance(value, list), f"{path}: {value!r} is not a list"
        _bounds(shape, len(value), path)
        for i, inner in enumerate(value):
            _check(shape.member, inner, f"{path}[{i}]")
    elif kind == "map":
        assert isinstance(value, dict), f"{path}: {value!r} is not a map"
        for key, inner in value.items():
            _check(shape.key, key, f"{path} key")
            _check(shape.value, inner, f"{path}[{key}]")
    elif kind == "string":
        assert isinstance(value, str), f"{path}: {value!r} is not a string"
        if shape.enum:
            assert value in shape.enum, f"{path}: {value!r}"
        if shape.metadata.get("pattern"):
            assert re.search(shape.metadata["pattern"], value), f"{path}: {value!r}"
        _bounds(shape, len(value), path)
    elif kind == "blob":
        assert isinstance(value, str), f"{path} is not base64 text"
        _bounds(shape, len(base64.b64decode(value, validate=True)), path)
    elif kind == "timestamp":
        # JSON 1.1 uses epoch seconds; the range 1970 to 2100 rules out milliseconds.
        assert isinstance(value, (int, float)) and not isinstance(value, bool), f"{path}: {value!r}"
        assert 0 < value < 4_102_444_800, f"{path}: {value!r}"
    elif kind == "boolean":
        assert isinstance(value, bool), f"{path}: {value!r}"
    elif kind in ("integer", "long"):
        assert isinstance(value, int) and not isinstance(value, bool), f"{path}: {value!r}"
        _bounds(shape, value, path)
    else:
        raise AssertionError(f"{path}: the model has a {kind}, which this check does not know")


def _bounds(shape, size: int, path: str) -> None:
    least, most = shape.metadata.get("min"), shape.metadata.get("max")
    assert least is None or size >= least, f"{path}: {size} is below {least}"
    assert most is None or size <= most, f"{path}: {size} is above {most}"
