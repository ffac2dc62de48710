"""Replicas in other Regions and in another account. Every response is checked against the service model."""

from __future__ import annotations

import pytest

NOT_PERMITTED = "Operation not permitted on a replica secret. Call must be made in primary secret's region."


@pytest.fixture
def there(endpoint):
    """Return a client in the replica's Region."""
    return endpoint.client(region="eu-west-1")


@pytest.fixture
def primary(client, name):
    """Create a secret with a replica in eu-west-1."""
    client.create_secret(Name=name, SecretString="one", Tags=[{"Key": "a", "Value": "b"}])
    client.replicate_secret_to_regions(SecretId=name, AddReplicaRegions=[{"Region": "eu-west-1"}])
    return name


def test_a_replica_follows_its_primary(client, there, primary):
    described = client.describe_secret(SecretId=primary)
    assert described["PrimaryRegion"] == "us-east-1"
    (status,) = described["ReplicationStatus"]
    assert (status["Region"], status["Status"]) == ("eu-west-1", "InSync")
    assert status["KmsKeyId"] == "alias/aws/secretsmanager"

    replica = there.describe_secret(SecretId=primary)
    assert replica["ARN"] == described["ARN"].replace("us-east-1", "eu-west-1")
    assert replica["PrimaryRegion"] == "us-east-1" and replica["Tags"] == [{"Key": "a", "Value": "b"}]
    new = client.put_secret_value(SecretId=primary, SecretString="two")["VersionId"]
    got = there.get_secret_value(SecretId=primary)
    assert (got["SecretString"], got["VersionId"]) == ("two", new)
    assert (
        there.describe_secret(SecretId=primary)["VersionIdsToStages"]
        == (client.describe_secret(SecretId=primary)["VersionIdsToStages"])
    )
    assert "LastAccessedDate" in client.describe_secret(SecretId=primary)["ReplicationStatus"][0]
    found = there.list_secrets(Filters=[{"Key": "primary-region", "Values": ["us-east-1"]}])["SecretList"]
    assert primary in [secret["Name"] for secret in found]


def test_a_replica_may_get_another_key_and_nothing_else(client, there, primary):
    for asked, shown in [("alias/there", "alias/there"), ("", "alias/aws/secretsmanager")]:
        there.update_secret(SecretId=primary, KmsKeyId=asked)
        assert there.describe_secret(SecretId=primary).get("KmsKeyId", "") == asked
        described = client.describe_secret(SecretId=primary)
        assert "KmsKeyId" not in described
        assert described["ReplicationStatus"][0]["KmsKeyId"] == shown
    with pytest.raises(client.exceptions.InvalidParameterException, match=NOT_PERMITTED):
        there.update_secret(SecretId=primary, KmsKeyId="alias/there", Description="x")


def test_create_secret_replicates_at_once(client, there, name):
    made = client.create_secret(
        Name=name, SecretString="one", AddReplicaRegions=[{"Region": "eu-west-1", "KmsKeyId": "alias/there"}]
    )
    assert made["ReplicationStatus"][0]["KmsKeyId"] == "alias/there"
    assert there.describe_secret(SecretId=name)["KmsKeyId"] == "alias/there"


def test_replicas_are_changed_through_their_primary_only(client, there, primary):
    for operation, parameters in [
        ("put_secret_value", {"SecretString": "x"}),
        ("update_secret", {"Description": "x"}),
        ("delete_secret", {}),
        ("delete_secret", {"ForceDeleteWithoutRecovery": True}),
        ("tag_resource", {"Tags": [{"Key": "k", "Value": "v"}]}),
        ("untag_resource", {"TagKeys": ["a"]}),
        ("delete_resource_policy", {}),
        ("replicate_secret_to_regions", {"AddReplicaRegions": [{"Region": "eu-west-2"}]}),
        ("remove_regions_from_replication", {"RemoveReplicaRegions": ["eu-west-1"]}),
    ]:
        with pytest.raises(there.exceptions.InvalidParameterException, match=NOT_PERMITTED):
            getattr(there, operation)(SecretId=primary, **parameters)
    assert there.get_secret_value(SecretId=primary)["SecretString"] == "one"


def test_a_primary_with_replicas_cannot_be_deleted(client, there, primary):
    for how in ({}, {"ForceDeleteWithoutRecovery": True}):
        with pytest.raises(
            client.exceptions.InvalidParameterException, match=r"replica regions \[eu-west-1\]"
        ):
            client.delete_secret(SecretId=primary, **how)
    answer = client.remove_regions_from_replication(SecretId=primary, RemoveReplicaRegions=["eu-west-1"])
    assert answer["ReplicationStatus"] == []
    with pytest.raises(there.exceptions.ResourceNotFoundException):
        there.describe_secret(SecretId=primary)
    client.delete_secret(SecretId=primary)


def test_promotion(client, there, primary):
    arn = there.stop_replication_to_replica(SecretId=primary)["ARN"]
    assert ":eu-west-1:" in arn
    client.put_secret_value(SecretId=primary, SecretString="two")
    assert there.get_secret_value(SecretId=primary)["SecretString"] == "one"
    there.put_secret_value(SecretId=primary, SecretString="mine")
    assert "ReplicationStatus" not in client.describe_secret(SecretId=primary)
    assert "PrimaryRegion" not in there.describe_secret(SecretId=primary)
    with pytest.raises(there.exceptions.InvalidRequestException, match="not a replica"):
        there.stop_replication_to_replica(SecretId=primary)


def test_a_name_that_is_taken_fails_unless_overwritten(client, there, name):
    there.create_secret(Name=name, SecretString="in the way")
    client.create_secret(Name=name, SecretString="one")
    regions = {"SecretId": name, "AddReplicaRegions": [{"Region": "eu-west-1"}]}
    (status,) = client.replicate_secret_to_regions(**regions)["ReplicationStatus"]
    assert status["Status"] == "Failed" and "already exists in region eu-west-1" in status["StatusMessage"]
    assert there.get_secret_value(SecretId=name)["SecretString"] == "in the way"
    (status,) = client.replicate_secret_to_regions(**regions, ForceOverwriteReplicaSecret=True)[
        "ReplicationStatus"
    ]
    assert status["Status"] == "InSync"
    assert there.get_secret_value(SecretId=name)["SecretString"] == "one"


def test_regions_that_are_refused(client, name):
    client.create_secret(Name=name, SecretString="one")
    with pytest.raises(client.exceptions.InvalidParameterException, match="Invalid replica region"):
        client.replicate_secret_to_regions(SecretId=name, AddReplicaRegions=[{"Region": "us-east-1"}])
    with pytest.raises(client.exceptions.InvalidParameterException, match="Invalid replica region"):
        client.replicate_secret_to_regions(SecretId=name, AddReplicaRegions=[{"Region": "mars-1"}])
    with pytest.raises(client.exceptions.ClientError, match="regular expression"):
        client.replicate_secret_to_regions(SecretId=name, AddReplicaRegions=[{"Region": "nowhere"}])


def test_rotations_and_versions_survive_a_restart_with_replicas(run, tmp_path):
    endpoint = run("--data", str(tmp_path / "data"))
    made = {"Name": "db", "SecretString": "one", "AddReplicaRegions": [{"Region": "eu-west-1"}]}
    endpoint.client().create_secret(**made)
    endpoint.kill()
    endpoint = run("--data", str(tmp_path / "data"))
    endpoint.client().put_secret_value(SecretId="db", SecretString="two")
    assert endpoint.client(region="eu-west-1").get_secret_value(SecretId="db")["SecretString"] == "two"


@pytest.fixture
def elsewhere(endpoint):
    """Return a client in another account."""
    return endpoint.client(key="210987654321")


@pytest.fixture
def pair(client, elsewhere, name):
    """Create a primary, and a pending replica in another account."""
    primary = client.create_secret(Name=name, SecretString="one", KmsKeyId="alias/shared")["ARN"]
    replica = elsewhere.create_secret(Name=name, CrossAccountPrimaryARN=primary, KmsKeyId="alias/theirs")[
        "ARN"
    ]
    return primary, replica


def test_a_cross_account_replica_is_associated_follows_and_is_detached(client, elsewhere, pair):
    primary, replica = pair
    waiting = elsewhere.describe_secret(SecretId=replica)["CrossAccountPrimary"]
    assert waiting == {"PrimarySecretARN": primary, "ReplicationStatus": "Pending"}
    for _ in range(2):  # it can be repeated
        answer = client.associate_cross_account_replica(SecretId=primary, CrossAccountReplicaARN=replica)
        assert answer["ReplicationStatus"] == "InSync"
    assert elsewhere.get_secret_value(SecretId=replica)["SecretString"] == "one"
    client.put_secret_value(SecretId=primary, SecretString="two")
    assert elsewhere.get_secret_value(SecretId=replica)["SecretString"] == "two"
    (entry,) = client.describe_secret(SecretId=primary)["CrossAccountReplicas"]
    assert entry == {"ReplicaSecretARN": replica, "ReplicationStatus": "InSync"}
    with pytest.raises(elsewhere.exceptions.InvalidParameterException, match=NOT_PERMITTED):
        elsewhere.put_secret_value(SecretId=replica, SecretString="x")
    with pytest.raises(client.exceptions.InvalidRequestException, match="Disassociate"):
        client.delete_secret(SecretId=primary)

    client.disassociate_cross_account_replica(SecretId=primary, CrossAccountReplicaARN=replica)
    client.put_secret_value(SecretId=primary, SecretString="three")
    assert (
        elsewhere.describe_secret(SecretId=replica)["CrossAccountPrimary"]["ReplicationStatus"] == "Detached"
    )
    assert elsewhere.get_secret_value(SecretId=replica)["SecretString"] == "two"
    elsewhere.stop_replication_to_replica(SecretId=replica)
    elsewhere.put_secret_value(SecretId=replica, SecretString="mine")
    client.delete_secret(SecretId=primary)


def test_a_replica_that_leaves_is_detached_at_its_primary(client, elsewhere, pair):
    primary, replica = pair
    client.associate_cross_account_replica(SecretId=primary, CrossAccountReplicaARN=replica)
    elsewhere.stop_replication_to_replica(SecretId=replica)
    (entry,) = client.describe_secret(SecretId=primary)["CrossAccountReplicas"]
    assert entry["ReplicationStatus"] == "Detached"


def test_associations_that_are_refused(client, elsewhere, pair, name):
    primary, replica = pair
    other = elsewhere.create_secret(Name=f"{name}-other", CrossAccountPrimaryARN=primary, KmsKeyId="alias/x")[
        "ARN"
    ]
    stranger = elsewhere.create_secret(Name=f"{name}-stranger", SecretString="x", KmsKeyId="alias/x")["ARN"]
    with pytest.raises(client.exceptions.InvalidRequestException, match="not created as"):
        client.associate_cross_account_replica(SecretId=primary, CrossAccountReplicaARN=stranger)
    client.associate_cross_account_replica(SecretId=primary, CrossAccountReplicaARN=replica)
    with pytest.raises(client.exceptions.LimitExceededException):
        client.associate_cross_account_replica(SecretId=primary, CrossAccountReplicaARN=other)
    with pytest.raises(client.exceptions.InvalidRequestException, match="not the primary"):
        client.disassociate_cross_account_replica(SecretId=primary, CrossAccountReplicaARN=other)
    with pytest.raises(elsewhere.exceptions.InvalidParameterException, match="KmsKeyId"):
        elsewhere.create_secret(Name=f"{name}-x", CrossAccountPrimaryARN=primary)
    with pytest.raises(client.exceptions.InvalidParameterException, match="another account"):
        client.create_secret(Name=f"{name}-x", CrossAccountPrimaryARN=primary, KmsKeyId="alias/x")
