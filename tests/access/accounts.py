"""Two accounts in moto: one without faults, and one with every fault that moto can have."""

from __future__ import annotations

import json
import zipfile
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

import boto3

REGION = "eu-central-1"
ACCOUNT = "123456789012"
SERVICE = f"secretsmanager.{REGION}.amazonaws.com"
NAME = "prod/checkout/db"
RULES = {
    "secrets-rotation-failed": (["RotationFailed", "RotationAbandoned"], "ENABLED", False),
    "secrets-deleted": (["DeleteSecret"], "ENABLED", False),
    "secrets-policy-changed": (["PutResourcePolicy", "DeleteResourcePolicy"], "ENABLED", False),
    "secrets-value-written": (["PutSecretValue", "UpdateSecret"], "ENABLED", False),
    "secrets-read-denied": (["GetSecretValue"], "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS", True),
    "secrets-read": (["GetSecretValue"], "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS", False),
}


def policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(action: Any, resource: Any, **others: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **others}


@dataclass
class Account:
    """Clients of an account, and the ids of its resources."""

    url: str
    ids: dict[str, str] = field(default_factory=dict)

    def client(self, service: str) -> Any:
        return boto3.client(
            service,
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id="AKIAIOSFODNN7EXAMPLE",
            aws_secret_access_key="wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        )

    def role(self, name: str, *statements: dict[str, Any], trusts: Any = None) -> str:
        iam = self.client("iam")
        trusts = trusts or {"Service": "lambda.amazonaws.com"}
        trust = policy({"Effect": "Allow", "Principal": trusts, "Action": "sts:AssumeRole"})
        arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust)["Role"]["Arn"]
        if statements:
            iam.put_role_policy(RoleName=name, PolicyName="own", PolicyDocument=policy(*statements))
        return arn

    def function(self, name: str, role: str, **options: Any) -> str:
        code = BytesIO()
        with zipfile.ZipFile(code, "w") as archive:
            archive.writestr("lambda_function.py", "def lambda_handler(event, context): pass\n")
        return self.client("lambda").create_function(
            FunctionName=name,
            Runtime="python3.13",
            Role=role,
            Handler="lambda_function.lambda_handler",
            Code={"ZipFile": code.getvalue()},
            **options,
        )["FunctionArn"]

    def key(self, *statements: dict[str, Any]) -> str:
        kms = self.client("kms")
        key = kms.create_key(Policy=policy(*statements))["KeyMetadata"]
        kms.enable_key_rotation(KeyId=key["KeyId"])
        return key["Arn"]

    def network(self) -> dict[str, Any]:
        """Create a VPC with two zones, a group for functions, and a group for the endpoint."""
        ec2 = self.client("ec2")
        vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        for attribute in ("EnableDnsSupport", "EnableDnsHostnames"):
            ec2.modify_vpc_attribute(VpcId=vpc, **{attribute: {"Value": True}})
        subnets = [
            ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.0.{place}.0/24", AvailabilityZone=f"{REGION}{zone}")[
                "Subnet"
            ]["SubnetId"]
            for place, zone in enumerate("ab")
        ]
        groups = {
            name: ec2.create_security_group(GroupName=name, Description=name, VpcId=vpc)["GroupId"]
            for name in ("functions", "endpoint")
        }
        return {"vpc": vpc, "subnets": subnets, **groups}

    def service(self, name: str, role: str, subnets: list[str], group: str) -> str:
        """Create a service on Fargate whose task has a role."""
        ecs = self.client("ecs")
        ecs.create_cluster(clusterName="shop")
        ecs.register_task_definition(
            family=name,
            taskRoleArn=role,
            containerDefinitions=[{"name": "app", "image": "app", "memory": 64}],
        )
        return ecs.create_service(
            cluster="shop",
            serviceName=name,
            taskDefinition=name,
            desiredCount=1,
            launchType="FARGATE",
            networkConfiguration={"awsvpcConfiguration": {"subnets": subnets, "securityGroups": [group]}},
        )["service"]["serviceArn"]

    def instance(self, name: str, role: str, subnet: str, group: str) -> str:
        """Create an instance with a role, through a profile with another name."""
        iam, ec2 = self.client("iam"), self.client("ec2")
        profile = {"InstanceProfileName": f"{name}-profile"}
        iam.create_instance_profile(**profile)
        iam.add_role_to_instance_profile(RoleName=role.rsplit("/", 1)[1], **profile)
        return ec2.run_instances(
            ImageId=ec2.describe_images()["Images"][0]["ImageId"],
            MinCount=1,
            MaxCount=1,
            SubnetId=subnet,
            SecurityGroupIds=[group],
            IamInstanceProfile={"Name": f"{name}-profile"},
        )["Instances"][0]["InstanceId"]

    def open_https(self, network: dict[str, Any]) -> None:
        pair = [
            {
                "IpProtocol": "tcp",
                "FromPort": 443,
                "ToPort": 443,
                "UserIdGroupPairs": [{"GroupId": network["functions"]}],
            }
        ]
        self.client("ec2").authorize_security_group_ingress(GroupId=network["endpoint"], IpPermissions=pair)

    def endpoint(self, network: dict[str, Any], policy_text: str, **options: Any) -> str:
        return self.client("ec2").create_vpc_endpoint(
            VpcId=network["vpc"],
            ServiceName=f"com.amazonaws.{REGION}.secretsmanager",
            VpcEndpointType="Interface",
            PolicyDocument=policy_text,
            **{
                "SubnetIds": network["subnets"],
                "SecurityGroupIds": [network["endpoint"]],
                "PrivateDnsEnabled": True,
                **options,
            },
        )["VpcEndpoint"]["VpcEndpointId"]

    def trail(self, *selectors: dict[str, Any], multi_region: bool = True, logging: bool = True) -> str:
        self.client("s3").create_bucket(
            Bucket="trail", CreateBucketConfiguration={"LocationConstraint": REGION}
        )
        trail = self.client("cloudtrail")
        arn = trail.create_trail(Name="events", S3BucketName="trail", IsMultiRegionTrail=multi_region)[
            "TrailARN"
        ]
        if logging:
            trail.start_logging(Name=arn)
        if selectors:
            trail.put_event_selectors(TrailName=arn, **selectors[0])
        return arn

    def rule(self, name: str, state: str | None = None) -> None:
        names, usual, is_denied = RULES[name]
        detail: dict[str, Any] = {"eventSource": ["secretsmanager.amazonaws.com"], "eventName": names}
        if is_denied:
            detail["errorCode"] = [{"exists": True}]
        events = self.client("events")
        pattern = json.dumps({"source": ["aws.secretsmanager"], "detail": detail})
        events.put_rule(Name=name, State=state or usual, EventPattern=pattern)
        events.put_targets(
            Rule=name, Targets=[{"Id": "sns", "Arn": f"arn:aws:sns:{REGION}:{ACCOUNT}:secrets"}]
        )


NETWORK_EVENTS = {
    "AdvancedEventSelectors": [
        {"Name": "Management", "FieldSelectors": [{"Field": "eventCategory", "Equals": ["Management"]}]},
        {
            "Name": "Refused",
            "FieldSelectors": [
                {"Field": "eventCategory", "Equals": ["NetworkActivity"]},
                {"Field": "eventSource", "Equals": ["secretsmanager.amazonaws.com"]},
                {"Field": "errorCode", "Equals": ["VpceAccessDenied"]},
            ],
        },
    ]
}

OWN_ENDPOINT = policy(
    allow(
        "secretsmanager:*",
        "*",
        Principal="*",
        Condition={"StringEquals": {"aws:PrincipalAccount": ACCOUNT, "aws:ResourceAccount": ACCOUNT}},
    )
)


def administer() -> dict[str, Any]:
    actions = [
        f"kms:{verb}*"
        for verb in ("Describe", "Enable", "List", "Put", "Update", "Disable", "Get", "Schedule", "Cancel")
    ]
    return allow(actions, "*", Principal={"AWS": f"arn:aws:iam::{ACCOUNT}:root"})


def through_secrets_manager(principal: Any, pattern: str) -> dict[str, Any]:
    condition = {
        "StringEquals": {"kms:ViaService": SERVICE, "kms:CallerAccount": ACCOUNT},
        "StringLike": {"kms:EncryptionContext:SecretARN": pattern},
    }
    return allow(
        ["kms:Decrypt", "kms:GenerateDataKey"], "*", Principal={"AWS": principal}, Condition=condition
    )


def good(url: str) -> Account:
    """Create an account that follows the hardening page."""
    account = Account(url)
    secrets = account.client("secretsmanager")
    network = account.network()
    account.open_https(network)
    account.ids.update(
        endpoint=account.endpoint(network, OWN_ENDPOINT), vpc=network["vpc"], groups=network["endpoint"]
    )
    app, rotation = account.role("app"), account.role("rotation")
    pattern = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:{NAME}-??????"
    key = account.key(administer(), through_secrets_manager([app, rotation], pattern))
    value = {
        "engine": "postgres",
        "host": "db.internal",
        "username": "app",
        "password": "correct-horse",
        "ssl": True,
    }
    secret = secrets.create_secret(
        Name=NAME, KmsKeyId=key, SecretString=json.dumps(value), Tags=[{"Key": "owner", "Value": "checkout"}]
    )["ARN"]
    account.ids.update(secret=secret, key=key, app=app, rotation=rotation)
    iam = account.client("iam")
    iam.put_role_policy(
        RoleName="app",
        PolicyName="own",
        PolicyDocument=policy(
            allow(["secretsmanager:GetSecretValue", "secretsmanager:DescribeSecret"], secret)
        ),
    )
    rotates = ["DescribeSecret", "GetSecretValue", "PutSecretValue", "UpdateSecretVersionStage"]
    iam.put_role_policy(
        RoleName="rotation",
        PolicyName="own",
        PolicyDocument=policy(
            allow([f"secretsmanager:{action}" for action in rotates], secret),
            allow("secretsmanager:GetRandomPassword", "*"),
        ),
    )
    deny = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": ["secretsmanager:GetSecretValue", "secretsmanager:BatchGetSecretValue"],
        "Resource": "*",
        "Condition": {"ArnNotEquals": {"aws:PrincipalArn": [app, rotation]}},
    }
    secrets.put_resource_policy(SecretId=secret, ResourcePolicy=policy(deny))
    vpc = {"SubnetIds": network["subnets"], "SecurityGroupIds": [network["functions"]]}
    function = account.function("rotate-MultiUser", rotation, VpcConfig=vpc)
    account.service("checkout", app, network["subnets"], network["functions"])
    account.instance("worker", app, network["subnets"][0], network["functions"])
    account.client("lambda").add_permission(
        FunctionName=function,
        StatementId="SecretsManagerRotation",
        Action="lambda:InvokeFunction",
        Principal="secretsmanager.amazonaws.com",
        SourceAccount=ACCOUNT,
    )
    secrets.rotate_secret(
        SecretId=secret,
        RotationLambdaARN=function,
        RotationRules={"AutomaticallyAfterDays": 30},  # moto accepts no other form of schedule
        RotateImmediately=False,
    )
    account.ids.update(function=function, trail=account.trail(NETWORK_EVENTS))
    for rule in RULES:
        account.rule(rule)
    secrets.get_secret_value(SecretId=secret)
    return account


def bad(url: str) -> Account:
    """Create an account with every fault that moto can have at the same time."""
    account = Account(url)
    secrets, iam, kms = (account.client(service) for service in ("secretsmanager", "iam", "kms"))
    root = {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}

    def secret(name: str, **options: Any) -> str:
        return secrets.create_secret(
            Name=name, SecretString=json.dumps({"username": "app", "password": "x"}), **options
        )["ARN"]

    pattern = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:*"
    first = secret("prod/checkout/db")
    ghost = allow("secretsmanager:GetSecretValue", "*", Principal={"AWS": "AROADELETEDROLE00000"})
    public = allow("secretsmanager:GetSecretValue", "*", Principal="*")
    secrets.put_resource_policy(SecretId=first, ResourcePolicy=policy(public, ghost))

    every = allow("kms:*", "*", Principal="*")
    open_key = account.key(administer(), every)
    second = secret("prod/billing/db-backup", KmsKeyId=open_key)
    organization = allow(
        "secretsmanager:GetSecretValue",
        "*",
        Principal="*",
        Condition={
            "StringEquals": {"aws:PrincipalOrgID": "o-a1b2c3d4e5"},
            "StringLike": {"aws:PrincipalArn": "*"},
        },
    )
    secrets.put_resource_policy(SecretId=second, ResourcePolicy=policy(organization))
    disabled = account.key(administer(), through_secrets_manager(root["AWS"], pattern))
    secret("prod/off/db", KmsKeyId=disabled)
    kms.disable_key(KeyId=disabled.rsplit("/", 1)[1])
    dying = account.key(administer(), through_secrets_manager(root["AWS"], pattern))
    secret("prod/dying/db", KmsKeyId=dying)
    kms.schedule_key_deletion(KeyId=dying.rsplit("/", 1)[1], PendingWindowInDays=7)

    wrong = through_secrets_manager(root["AWS"], f"{pattern[:-1]}prod/old/db-ZyXwVu")
    wrong["Condition"]["StringEquals"]["kms:ViaService"] = "secretsmanager.us-east-1.amazonaws.com"
    wrong["Condition"]["StringLike"]["kms:EncryptionContext:SecretVersionId"] = "11111111-*"
    wrong_key = account.key(administer(), wrong)
    kms.disable_key_rotation(KeyId=wrong_key)
    batch = f"arn:aws:iam::{ACCOUNT}:role/batch"
    kms.create_grant(KeyId=wrong_key, GranteePrincipal=batch, Operations=["Decrypt"])
    shared = secret("prod/wrong/db", KmsKeyId=wrong_key, Tags=[{"Key": "owner", "Value": "ops"}])
    others = [f"arn:aws:iam::44445555666{place}:root" for place in range(6)]
    share = allow("secretsmanager:GetSecretValue", "*", Principal={"AWS": others})
    secrets.put_resource_policy(SecretId=shared, ResourcePolicy=policy(share))
    no_context = through_secrets_manager(root["AWS"], pattern)
    del no_context["Condition"]["StringLike"]
    closed = secret("prod/nocontext/db", KmsKeyId=account.key(administer(), no_context))
    one = allow("secretsmanager:GetSecretValue", "*", Principal={"AWS": others[:1]})
    anybody = allow("secretsmanager:GetSecretValue", "*", Principal={"Service": "appflow.amazonaws.com"})
    secrets.put_resource_policy(SecretId=closed, ResourcePolicy=policy(one, anybody))
    secret("prod/master", Tags=[{"Key": "secretcache:role", "Value": "master"}])

    read = "secretsmanager:GetSecretValue"
    account.role("star", allow(read, "*"))
    account.role("everything", allow("secretsmanager:*", first))
    account.role("notaction", {"Effect": "Allow", "NotAction": "iam:*", "Resource": first})
    account.role("notresource", {"Effect": "Allow", "Action": read, "NotResource": f"{pattern[:-1]}dev/*"})
    account.role("loose", allow(read, f"{pattern[:-1]}prod/checkout/db-*"))
    account.role("recreated", allow(read, f"{pattern[:-1]}prod/checkout/db-??????"))
    account.role("becomes", allow("iam:UpdateAssumeRolePolicy", "*"))
    account.role("writer", allow([read, "secretsmanager:PutSecretValue"], first))
    account.role("dba", allow(read, f"{pattern[:-1]}prod/master-??????"))
    iam.create_user(UserName="alice")
    iam.create_group(GroupName="readers")
    iam.put_group_policy(GroupName="readers", PolicyName="all", PolicyDocument=policy(allow(read, pattern)))
    iam.add_user_to_group(GroupName="readers", UserName="alice")
    managed = iam.create_policy(
        PolicyName="managed", PolicyDocument=policy(allow([read, "s3:GetObject"], "*"))
    )["Policy"]["Arn"]
    iam.attach_role_policy(RoleName=account.role("managed").rsplit("/", 1)[1], PolicyArn=managed)
    for place, trusts in enumerate([None, None, {"AWS": "*"}, {"AWS": "arn:aws:iam::444455556666:root"}]):
        account.role(f"reader{place}", allow(read, first), trusts=trusts)

    network = account.network()
    ec2 = account.client("ec2")
    ec2.modify_vpc_attribute(VpcId=network["vpc"], EnableDnsHostnames={"Value": False})
    trusted = allow(read, "*", Principal={"AWS": "arn:aws:iam::444455556666:root"})
    full = allow("*", "*", Principal="*")
    options = {"PrivateDnsEnabled": False, "SubnetIds": network["subnets"][:1]}
    account.endpoint(network, policy(full, trusted), **options)
    vpc = {"SubnetIds": network["subnets"], "SecurityGroupIds": [network["functions"]]}
    for name, start in (("service", account.service), ("instance", account.instance)):
        own = ec2.create_security_group(GroupName=name, Description=name, VpcId=network["vpc"])["GroupId"]
        where = network["subnets"] if name == "service" else network["subnets"][0]
        account.ids[name] = start(name, f"arn:aws:iam::{ACCOUNT}:role/star", where, own)
    other = ec2.create_vpc(CidrBlock="10.1.0.0/16")["Vpc"]["VpcId"]
    far = ec2.create_subnet(VpcId=other, CidrBlock="10.1.0.0/24")["Subnet"]["SubnetId"]
    group = ec2.create_security_group(GroupName="far", Description="far", VpcId=other)["GroupId"]

    wide = account.role(
        "wide",
        allow("secretsmanager:*", "*"),
    )
    lacking = account.role("lacking", allow("secretsmanager:PutSecretValue", second))

    def rotate(
        arn: str, name: str, role: str, days: int, permission: dict[str, str] | None, **placement: Any
    ) -> str:
        function = account.function(name, role, **placement)
        if permission is not None:
            account.client("lambda").add_permission(
                FunctionName=function,
                StatementId="rotation",
                Action="lambda:InvokeFunction",
                Principal="secretsmanager.amazonaws.com",
                **permission,
            )
        rules = {"AutomaticallyAfterDays": days}
        secrets.rotate_secret(
            SecretId=arn, RotationLambdaARN=function, RotationRules=rules, RotateImmediately=False
        )
        return function

    rotate(first, "rotate-SingleUser", wide, 365, {}, VpcConfig=vpc)
    rotate(
        second,
        "rotate-lacking",
        lacking,
        30,
        None,
        VpcConfig={"SubnetIds": [far], "SecurityGroupIds": [group]},
    )
    gone = rotate(shared, "rotate-gone", account.role("gone"), 30, {"SourceAccount": ACCOUNT})
    account.client("lambda").delete_function(FunctionName=gone)

    deleted = secret("prod/deleted/db")
    account.client("ecs").register_task_definition(
        family="checkout",
        containerDefinitions=[
            {
                "name": "app",
                "image": "app",
                "memory": 64,
                "secrets": [
                    {"name": "DB", "valueFrom": f"{first}:password::"},
                    {"name": "OLD", "valueFrom": deleted},
                ],
            }
        ],
    )
    secrets.delete_secret(SecretId=deleted, RecoveryWindowInDays=7)
    account.client("rds").create_db_instance(
        DBInstanceIdentifier="checkout",
        DBInstanceClass="db.t3.micro",
        Engine="postgres",
        MasterUsername="postgres",
        MasterUserPassword="not-a-secret",
        AllocatedStorage=20,
    )
    write_only = {"EventSelectors": [{"ReadWriteType": "WriteOnly", "IncludeManagementEvents": True}]}
    account.trail(write_only, multi_region=False)
    account.rule("secrets-read", "ENABLED")
    return account
