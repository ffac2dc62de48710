"""A typical rotation function in Python: boto3, a database driver, and createSecret.

It calls the Runtime API directly in as few lines as possible; Lambda's own Python runtime would import more.
"""

import http.client
import json
import os

import boto3
import psycopg

assert psycopg.connect  # what setSecret would use

client = boto3.client("secretsmanager", endpoint_url=os.environ["SECRETS_MANAGER_ENDPOINT"])


def create_secret(event: dict[str, str]) -> None:
    secret, token = event["SecretId"], event["ClientRequestToken"]
    described = client.describe_secret(SecretId=secret)
    assert "AWSPENDING" in described["VersionIdsToStages"][token]
    current = client.get_secret_value(SecretId=secret, VersionStage="AWSCURRENT")
    try:
        client.get_secret_value(SecretId=secret, VersionId=token, VersionStage="AWSPENDING")
    except client.exceptions.ResourceNotFoundException:
        value = json.loads(current["SecretString"])
        value["password"] = client.get_random_password(ExcludeCharacters=":/@\"'\\")["RandomPassword"]
        client.put_secret_value(
            SecretId=secret,
            ClientRequestToken=token,
            SecretString=json.dumps(value),
            VersionStages=["AWSPENDING"],
            RotationToken=event["RotationToken"],
        )


api = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
while True:
    api.request("GET", "/2018-06-01/runtime/invocation/next")
    answer = api.getresponse()
    request = answer.headers["Lambda-Runtime-Aws-Request-Id"]
    create_secret(json.loads(answer.read()))
    api.request("POST", f"/2018-06-01/runtime/invocation/{request}/response", b"null")
    api.getresponse().read()
