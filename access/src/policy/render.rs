//! Renders policies as JSON, Terraform and CloudFormation.

use std::str::FromStr;

use serde_json::{Map, Value, json};

use super::{Kind, ScopeError};

/// The output format of a policy.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum Format {
    /// The policy document alone.
    #[default]
    Json,
    /// A resource of Terraform's AWS provider, in HCL.
    Terraform,
    /// A CloudFormation template, in JSON.
    Cloudformation,
}

impl FromStr for Format {
    type Err = ScopeError;

    fn from_str(text: &str) -> Result<Self, ScopeError> {
        match text {
            "json" => Ok(Self::Json),
            "terraform" => Ok(Self::Terraform),
            "cloudformation" => Ok(Self::Cloudformation),
            _ => Err(ScopeError(format!("unknown format {text:?}; use json, terraform or cloudformation"))),
        }
    }
}

/// Renders a policy, with a newline at the end.
///
/// `name` is the resource's name: letters, digits and `-`, such as `checkout-app`.
pub fn render(document: &Value, kind: Kind, format: Format, name: &str) -> String {
    match format {
        Format::Json => pretty(document),
        Format::Terraform => terraform(document, kind, name),
        Format::Cloudformation => pretty(&cloudformation(document, kind, name)),
    }
}

fn pretty(value: &Value) -> String {
    format!("{value:#}\n")
}

fn terraform(document: &Value, kind: Kind, name: &str) -> String {
    let policy = format!("jsonencode({})", hcl(document, 1));
    let label = name.replace('-', "_");
    let (resource, members) = match kind {
        Kind::Kms => ("aws_kms_key_policy", vec![("key_id", "var.key_id".to_owned()), ("policy", policy)]),
        Kind::Resource => (
            "aws_secretsmanager_secret_policy",
            vec![
                ("secret_arn", "var.secret_arn".to_owned()),
                ("block_public_policy", "true".to_owned()),
                ("policy", policy),
            ],
        ),
        Kind::Endpoint => (
            "aws_vpc_endpoint_policy",
            vec![("vpc_endpoint_id", "var.vpc_endpoint_id".to_owned()), ("policy", policy)],
        ),
        _ => ("aws_iam_policy", vec![("name", quoted(name)), ("policy", policy)]),
    };
    let width = members.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    let lines: Vec<_> = members.iter().map(|(name, value)| format!("  {name:width$} = {value}\n")).collect();
    format!("resource \"{resource}\" \"{label}\" {{\n{}}}\n", lines.concat())
}

/// Renders a value in HCL syntax, for `jsonencode`.
fn hcl(value: &Value, depth: usize) -> String {
    let (inner, outer) = ("  ".repeat(depth + 1), "  ".repeat(depth));
    match value {
        Value::Object(members) => {
            let line = |(name, value): (&String, &Value)| {
                let is_identifier = name.bytes().all(|it| it.is_ascii_alphanumeric());
                let name = if is_identifier { name.clone() } else { quoted(name) };
                format!("{inner}{name} = {}\n", hcl(value, depth + 1))
            };
            format!("{{\n{}{outer}}}", members.iter().map(line).collect::<String>())
        }
        Value::Array(items) => {
            let line = |item: &Value| format!("{inner}{},\n", hcl(item, depth + 1));
            format!("[\n{}{outer}]", items.iter().map(line).collect::<String>())
        }
        Value::String(text) => quoted(text),
        other => other.to_string(),
    }
}

/// Renders an HCL string. Escapes `${` and `%{`, which would begin a template.
fn quoted(text: &str) -> String {
    Value::from(text).to_string().replace("${", "$${").replace("%{", "%%{")
}

fn cloudformation(document: &Value, kind: Kind, name: &str) -> Value {
    let logical: String = name.split('-').map(capitalised).collect();
    let (kind, properties, parameters) = match kind {
        // In CloudFormation, a key policy is a property of the key.
        Kind::Kms => (
            "AWS::KMS::Key",
            json!({
                "Description": format!("{name}: encrypts secrets"),
                "EnableKeyRotation": true,
                "KeyPolicy": document,
            }),
            json!({}),
        ),
        Kind::Resource => (
            "AWS::SecretsManager::ResourcePolicy",
            json!({ "SecretId": { "Ref": "SecretArn" }, "BlockPublicPolicy": true, "ResourcePolicy": document }),
            json!({ "SecretArn": { "Type": "String", "Description": "ARN of the secret" } }),
        ),
        Kind::Endpoint => (
            "AWS::EC2::VPCEndpoint",
            json!({
                "VpcEndpointType": "Interface",
                "ServiceName": { "Fn::Sub": "com.amazonaws.${AWS::Region}.secretsmanager" },
                "PrivateDnsEnabled": true,
                "VpcId": { "Ref": "VpcId" },
                "SubnetIds": { "Ref": "SubnetIds" },
                "SecurityGroupIds": { "Ref": "SecurityGroupIds" },
                "PolicyDocument": document,
            }),
            json!({
                "VpcId": { "Type": "AWS::EC2::VPC::Id" },
                "SubnetIds": { "Type": "List<AWS::EC2::Subnet::Id>" },
                "SecurityGroupIds": { "Type": "List<AWS::EC2::SecurityGroup::Id>" },
            }),
        ),
        _ => (
            "AWS::IAM::ManagedPolicy",
            json!({ "ManagedPolicyName": name, "PolicyDocument": document }),
            json!({}),
        ),
    };
    let mut resource = Map::new();
    resource.insert("Type".into(), kind.into());
    resource.insert("Properties".into(), properties);
    let mut template = Map::new();
    template.insert("AWSTemplateFormatVersion".into(), "2010-09-09".into());
    if parameters.as_object().is_some_and(|parameters| !parameters.is_empty()) {
        template.insert("Parameters".into(), parameters);
    }
    template.insert("Resources".into(), json!({ logical: resource }));
    Value::Object(template)
}

fn capitalised(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|first| first.to_ascii_uppercase().to_string() + letters.as_str()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terraform_takes_a_policy_variable_literally() {
        let document =
            json!({ "Statement": [{ "Resource": "arn:${aws:username}", "Condition": { "A:B": "c" } }] });
        let text = render(&document, Kind::App, Format::Terraform, "checkout-app");
        assert!(
            text.starts_with("resource \"aws_iam_policy\" \"checkout_app\" {\n  name   = \"checkout-app\"\n")
        );
        assert!(text.contains("Resource = \"arn:$${aws:username}\""), "{text}");
        assert!(text.contains("\"A:B\" = \"c\""), "{text}");
    }

    #[test]
    fn cloudformation_has_one_resource_of_the_kind() {
        let types = [
            (Kind::App, "AWS::IAM::ManagedPolicy"),
            (Kind::Kms, "AWS::KMS::Key"),
            (Kind::Resource, "AWS::SecretsManager::ResourcePolicy"),
            (Kind::Endpoint, "AWS::EC2::VPCEndpoint"),
        ];
        for (kind, expected) in types {
            let text = render(&json!({}), kind, Format::Cloudformation, "checkout-app");
            let template: Value = serde_json::from_str(&text).unwrap();
            assert_eq!(template["Resources"]["CheckoutApp"]["Type"], expected);
        }
    }
}
