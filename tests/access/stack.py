"""Applies deploy/cloudformation/template.yaml to moto.

moto's CloudFormation creates what it supports. The rest is created through boto3 from the same parsed template: moto's
CloudFormation supports no resources of Secrets Manager, CloudTrail or CloudWatch, no separate resources for policies of
roles, buckets or topics, and nothing that depends on those.
"""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import yaml
from accounts import ACCOUNT, REGION, Account

ROOT = Path(__file__).resolve().parents[2]
TEMPLATE = ROOT / "deploy" / "cloudformation" / "template.yaml"
STACK = "checkout"
BY_MOTO = {
    f"AWS::{name}"
    for name in (
        "IAM::Role",
        "KMS::Key",
        "Logs::LogGroup",
        "EC2::SecurityGroup",
        "EC2::SecurityGroupIngress",
        "S3::Bucket",
        "SNS::Topic",
        "Events::Rule",
    )
}


class Loader(yaml.SafeLoader):
    """A YAML loader for CloudFormation's short forms."""


def short_form(loader: Loader, name: str, node: yaml.Node) -> dict[str, Any]:
    value: Any
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)
    if name == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {name if name in ("Ref", "Condition") else f"Fn::{name}": value}


Loader.add_multi_constructor("!", short_form)  # type: ignore[no-untyped-call]


def template() -> dict[str, Any]:
    return yaml.load(TEMPLATE.read_text(), Loader)


class NoValue:
    pass


@dataclass
class Stack:
    """A template with its parameters, and the ids and attributes of its resources once they exist."""

    parameters: dict[str, Any]
    template: dict[str, Any] = field(default_factory=template)
    ids: dict[str, str] = field(default_factory=dict)
    attributes: dict[tuple[str, str], str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        defaults = {
            name: it["Default"] for name, it in self.template["Parameters"].items() if "Default" in it
        }
        missing = set(self.template["Parameters"]) - set(defaults) - set(self.parameters)
        assert not missing and set(self.parameters) <= set(self.template["Parameters"]), missing
        self.parameters = {**defaults, **self.parameters}

    def holds(self, condition: str) -> bool:
        return bool(self.value(self.template["Conditions"][condition]))

    @property
    def resources(self) -> dict[str, Any]:
        """Return the resources whose conditions hold."""
        every = self.template["Resources"].items()
        return {name: it for name, it in every if "Condition" not in it or self.holds(it["Condition"])}

    def properties(self, name: str) -> dict[str, Any]:
        return self.value(self.template["Resources"][name]["Properties"])

    def value(self, node: Any) -> Any:
        """Resolve the functions in a part of the template."""
        if isinstance(node, list):
            return [value for value in map(self.value, node) if value is not NoValue]
        if not isinstance(node, dict):
            return node
        if len(node) == 1:
            ((name, argument),) = node.items()
            if name in FUNCTIONS:
                return FUNCTIONS[name](self, argument)
        resolved = {name: self.value(value) for name, value in node.items()}
        return {name: value for name, value in resolved.items() if value is not NoValue}

    def ref(self, name: str) -> Any:
        pseudo = {
            "AWS::NoValue": NoValue,
            "AWS::Region": REGION,
            "AWS::AccountId": ACCOUNT,
            "AWS::Partition": "aws",
            "AWS::StackName": STACK,
        }
        if name in pseudo:
            return pseudo[name]
        return self.parameters[name] if name in self.parameters else self.ids[name]

    def sub(self, text: str) -> str:
        def found(match: re.Match[str]) -> str:
            name, _, attribute = match[1].partition(".")
            return str(self.attributes[name, attribute] if attribute else self.ref(name))

        return re.sub(r"\$\{([A-Za-z:.]+)\}", found, text)

    def if_(self, argument: list[Any]) -> Any:
        condition, yes, no = argument
        return self.value(yes if self.holds(condition) else no)


FUNCTIONS: dict[str, Callable[[Stack, Any], Any]] = {
    "Ref": Stack.ref,
    "Condition": Stack.holds,
    "Fn::GetAtt": lambda stack, at: stack.attributes[at[0], at[1]],
    "Fn::Sub": Stack.sub,
    "Fn::If": Stack.if_,
    "Fn::Equals": lambda stack, both: stack.value(both[0]) == stack.value(both[1]),
    "Fn::Not": lambda stack, one: not stack.value(one[0]),
    "Fn::And": lambda stack, all_: all(stack.value(one) for one in all_),
}


def references(node: Any) -> set[tuple[str, str]]:
    """Return what a part of the template refers to: names, each with an attribute or none."""
    if isinstance(node, list):
        return set().union(*map(references, node))
    if not isinstance(node, dict):
        return set()
    found = set()
    for name, value in node.items():
        if name == "Ref":
            found.add((value, ""))
        elif name == "Fn::GetAtt":
            found.add((value[0], value[1]))
        elif name == "Fn::Sub":
            found |= {
                (one.partition(".")[0], one.partition(".")[2])
                for one in re.findall(r"\$\{([A-Za-z.]+)\}", value)
            }
        else:
            found |= references(value)
    return found


def placeholders(node: Any) -> Any:
    """Rewrite the references in a part of the template as Fn::Sub placeholders."""
    if isinstance(node, list):
        return [placeholders(one) for one in node]
    if not isinstance(node, dict):
        return node
    if len(node) == 1:
        ((name, argument),) = node.items()
        if name == "Ref":
            return "${" + argument + "}"
        if name == "Fn::GetAtt":
            return "${" + ".".join(argument) + "}"
        if name == "Fn::Sub":
            return argument
    return {name: placeholders(value) for name, value in node.items()}


def needs(stack: Stack, name: str) -> set[str]:
    """Return the resources that a resource depends on."""
    resource = stack.resources[name]
    after = resource.get("DependsOn", [])
    named = {one for one, _ in references(resource["Properties"])} | set(
        [after] if isinstance(after, str) else after
    )
    return named & set(stack.resources)


def apply(account: Account, parameters: dict[str, Any]) -> Stack:
    """Create all resources, and return the stack with their ids."""
    stack = Stack(parameters)
    left = by_cloudformation(account, stack)
    while left:
        ready = [name for name in left if not needs(stack, name) & set(left)]
        assert ready, f"circular dependencies: {left}"
        for name in ready:
            kind = stack.resources[name]["Type"]
            MAKERS[kind.removeprefix("AWS::")](account, stack, name, stack.properties(name))
            left.remove(name)
    return stack


def by_cloudformation(account: Account, stack: Stack) -> list[str]:
    """Create what moto's CloudFormation supports; return the names of the others."""
    able = {name for name, it in stack.resources.items() if it["Type"] in BY_MOTO}
    while True:
        unable = {name for name in able if needs(stack, name) - able}
        if not unable:
            break
        able -= unable
    resources = {name: stack.resources[name] for name in able}
    for name, it in resources.items():
        if it["Type"] == "AWS::KMS::Key":
            # moto stores the policy as given, and later can read it only if it is text.
            text = {"Fn::Sub": json.dumps(placeholders(it["Properties"]["KeyPolicy"]))}
            resources[name] = {**it, "Properties": {**it["Properties"], "KeyPolicy": text}}
    wanted = {
        (name, attribute)
        for name, attribute in references([it["Properties"] for it in stack.resources.values()])
        if name in able
    } | {(name, "") for name in able}
    numbered = dict(enumerate(sorted(wanted)))
    outputs = {
        f"Output{number}": {"Value": {"Fn::GetAtt": [name, attribute]} if attribute else {"Ref": name}}
        for number, (name, attribute) in numbered.items()
    }
    body = {**stack.template, "Resources": resources, "Outputs": outputs}
    body.pop("Rules")
    given = [
        {"ParameterKey": name, "ParameterValue": ",".join(value) if isinstance(value, list) else str(value)}
        for name, value in stack.parameters.items()
    ]
    client = account.client("cloudformation")
    client.create_stack(StackName=STACK, TemplateBody=json.dumps(body), Parameters=given)
    made = client.describe_stacks(StackName=STACK)["Stacks"][0]
    assert made["StackStatus"] == "CREATE_COMPLETE", made
    for output in made["Outputs"]:
        name, attribute = numbered[int(output["OutputKey"].removeprefix("Output"))]
        if attribute:
            stack.attributes[name, attribute] = output["OutputValue"]
        else:
            stack.ids[name] = output["OutputValue"]
    return [name for name in stack.resources if name not in able]


def role_policy(account: Account, _: Stack, __: str, it: dict[str, Any]) -> None:
    account.client("iam").put_role_policy(
        RoleName=it["RoleName"],
        PolicyName=it["PolicyName"],
        PolicyDocument=json.dumps(it["PolicyDocument"]),
    )


def secret(account: Account, stack: Stack, name: str, it: dict[str, Any]) -> None:
    json.loads(it["SecretString"])
    made = account.client("secretsmanager").create_secret(**it)
    stack.ids[name] = made["ARN"]


def secret_policy(account: Account, _: Stack, __: str, it: dict[str, Any]) -> None:
    it["ResourcePolicy"] = json.dumps(it["ResourcePolicy"])
    account.client("secretsmanager").put_resource_policy(**it)


def function(account: Account, stack: Stack, name: str, it: dict[str, Any]) -> None:
    it["Tags"] = {tag["Key"]: tag["Value"] for tag in it["Tags"]}
    made = account.client("lambda").create_function(**it)
    stack.ids[name], stack.attributes[name, "Arn"] = made["FunctionName"], made["FunctionArn"]


def permission(account: Account, stack: Stack, name: str, it: dict[str, Any]) -> None:
    account.client("lambda").add_permission(StatementId=name, **it)
    stack.ids[name] = name


def schedule(account: Account, stack: Stack, _: str, it: dict[str, Any]) -> None:
    assert it["RotateImmediatelyOnUpdate"] is True
    assert it["RotationRules"] == {
        "ScheduleExpression": stack.parameters["ScheduleExpression"],
        "Duration": stack.parameters["ScheduleDuration"],
    }
    # moto turns rotation on only with AutomaticallyAfterDays, and would run the function in Docker at once.
    account.client("secretsmanager").rotate_secret(
        SecretId=it["SecretId"],
        RotationLambdaARN=it["RotationLambdaARN"],
        RotationRules={"AutomaticallyAfterDays": 31},
        RotateImmediately=False,
    )


def endpoint(account: Account, stack: Stack, name: str, it: dict[str, Any]) -> None:
    it["PolicyDocument"] = json.dumps(it["PolicyDocument"])
    stack.ids[name] = account.client("ec2").create_vpc_endpoint(**it)["VpcEndpoint"]["VpcEndpointId"]


def bucket_policy(account: Account, _: Stack, __: str, it: dict[str, Any]) -> None:
    account.client("s3").put_bucket_policy(Bucket=it["Bucket"], Policy=json.dumps(it["PolicyDocument"]))


def topic_policy(account: Account, _: Stack, __: str, it: dict[str, Any]) -> None:
    for topic in it["Topics"]:
        account.client("sns").set_topic_attributes(
            TopicArn=topic, AttributeName="Policy", AttributeValue=json.dumps(it["PolicyDocument"])
        )


def trail(account: Account, stack: Stack, name: str, it: dict[str, Any]) -> None:
    client = account.client("cloudtrail")
    names = {
        "TrailName": "Name",
        "KMSKeyId": "KmsKeyId",
        "EnableLogFileValidation": "EnableLogFileValidation",
    }
    asked = {names.get(key, key): value for key, value in it.items()}
    selectors, is_logging = asked.pop("AdvancedEventSelectors"), asked.pop("IsLogging")
    arn = client.create_trail(**asked)["TrailARN"]
    if is_logging:
        client.start_logging(Name=arn)
    client.put_event_selectors(TrailName=arn, AdvancedEventSelectors=selectors)
    stack.ids[name] = it["TrailName"]


def metric_filter(account: Account, _: Stack, __: str, it: dict[str, Any]) -> None:
    transformations = [
        {key[0].lower() + key[1:]: value for key, value in one.items()} for one in it["MetricTransformations"]
    ]
    account.client("logs").put_metric_filter(
        logGroupName=it["LogGroupName"],
        filterName=it["FilterName"],
        filterPattern=it["FilterPattern"],
        metricTransformations=transformations,
    )


def alarm(account: Account, _: Stack, name: str, it: dict[str, Any]) -> None:
    account.client("cloudwatch").put_metric_alarm(AlarmName=f"{STACK}-{name}", **it)


MAKERS: dict[str, Callable[[Account, Stack, str, dict[str, Any]], None]] = {
    "IAM::RolePolicy": role_policy,
    "SecretsManager::Secret": secret,
    "SecretsManager::ResourcePolicy": secret_policy,
    "SecretsManager::RotationSchedule": schedule,
    "Lambda::Function": function,
    "Lambda::Permission": permission,
    "EC2::VPCEndpoint": endpoint,
    "S3::BucketPolicy": bucket_policy,
    "SNS::TopicPolicy": topic_policy,
    "CloudTrail::Trail": trail,
    "Logs::MetricFilter": metric_filter,
    "CloudWatch::Alarm": alarm,
}


def surroundings(account: Account) -> dict[str, Any]:
    """Create what a user has before the deployment, and return the parameters that name it.

    These are a VPC, groups for database and application, an administrator's secret, an operator role, and the package.
    """
    network = account.network()
    ec2 = account.client("ec2")
    groups = [
        ec2.create_security_group(GroupName=name, Description=name, VpcId=network["vpc"])["GroupId"]
        for name in ("database", "application")
    ]
    master_key = account.client("kms").create_key()["KeyMetadata"]["Arn"]
    master = account.client("secretsmanager").create_secret(
        Name="prod/checkout/admin",
        KmsKeyId=master_key,
        SecretString='{"username": "postgres", "password": "correct-horse"}',
    )["ARN"]
    operator = account.role("operator")
    account.client("iam").tag_role(
        RoleName="operator", Tags=[{"Key": "secretcache:role", "Value": "operator"}]
    )
    s3 = account.client("s3")
    s3.create_bucket(Bucket="code", CreateBucketConfiguration={"LocationConstraint": REGION})
    package = BytesIO()
    with zipfile.ZipFile(package, "w") as archive:
        archive.writestr("bootstrap", "#!/bin/sh\n")
    s3.put_object(Bucket="code", Key="rotation.zip", Body=package.getvalue())
    return {
        "SecretName": "prod/checkout/db",
        "Owner": "checkout",
        "Engine": "postgres",
        "Strategy": "alternating-users",
        "DatabaseHost": "db.internal",
        "DatabasePort": 5432,
        "DatabaseName": "checkout",
        "Username": "app",
        "InitialPassword": "correct-horse",
        "MasterSecretArn": master,
        "MasterKeyArn": master_key,
        "OperatorArn": operator,
        "CodeBucket": "code",
        "CodeKey": "rotation.zip",
        "VpcId": network["vpc"],
        "SubnetIds": network["subnets"],
        "ApplicationSecurityGroupId": groups[1],
        "DatabaseSecurityGroupId": groups[0],
    }
