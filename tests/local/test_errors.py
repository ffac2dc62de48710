"""Every documented error of every operation can be produced, spelled as in the model."""

from __future__ import annotations

import errors
import pytest
from botocore import xform_name
from botocore.exceptions import ClientError
from conftest import ROOT, start


@pytest.fixture(scope="module")
def world():
    """Start an endpoint with the secrets that `errors.BY_REQUEST` needs."""
    endpoint = start("--control")
    client = endpoint.client()
    client.create_secret(Name="db", SecretString="one", ClientRequestToken=errors.TOKEN)
    client.create_secret(Name="deleted", SecretString="one")
    client.delete_secret(SecretId="deleted")
    client.create_secret(Name="full", SecretString="x", ClientRequestToken=errors.TOKEN)
    for number in range(19):
        stage = {"VersionStage": f"label{number}", "MoveToVersionId": errors.TOKEN}
        client.update_secret_version_stage(SecretId="full", **stage)
    primary = client.create_secret(Name="primary", SecretString="x", KmsKeyId="alias/mine")["ARN"]
    theirs = endpoint.client(key="210987654321")
    replica = theirs.create_secret(Name="replica", CrossAccountPrimaryARN=primary, KmsKeyId="alias/theirs")
    client.associate_cross_account_replica(SecretId=primary, CrossAccountReplicaARN=replica["ARN"])
    yield endpoint
    assert endpoint.stop() == 0


@pytest.mark.parametrize(("operation", "error"), errors.pairs())
def test_every_documented_error_is_reached(world, operation, error):
    found = errors.request(operation, error)
    client = world.client()
    call = getattr(client, xform_name(operation))
    if found:
        parameters = found[1]
    else:
        assert errors.BY_FAULT[error]
        status = 500 if error == "InternalServiceError" else 400
        effect = {"error": {"type": error, "message": "on request", "status": status}}
        world.control("POST", "faults", operations=[operation], times=1, effect=effect)
        members = client.meta.service_model.operation_model(operation).input_shape.members
        needed = {"SecretId": "db"} if "SecretId" in members else {"Name": "new"} if "Name" in members else {}
        parameters = errors.REST.get(operation, {}) | needed
    with pytest.raises(ClientError) as caught:
        call(**parameters)
    # The client has checked the response against the model: see `conftest.Endpoint.client`.
    assert caught.value.response["Error"]["Code"] == error
    assert isinstance(caught.value, getattr(client.exceptions, error))
    assert world.control("DELETE", "faults") == {"removed": not found}


def test_the_table_says_nothing_that_the_model_does_not():
    assert set(errors.BY_REQUEST) <= set(errors.pairs())
    assert set(errors.BY_FAULT) <= {error for _, error in errors.pairs()}
    assert len(errors.pairs()) > 120


def test_the_page_is_the_table():
    path = ROOT / "docs" / "local-errors.md"
    assert path.read_text() == errors.page(), "python tests/local/errors.py > docs/local-errors.md"
