//! The way from the readers to the service: VPC endpoints, DNS, security groups.

use std::collections::BTreeSet;
use std::net::IpAddr;

use serde_json::json;

use super::{Check, Find};
use crate::audit::{Audit, Findings, Severity};
use crate::document::{Effect, Scope};
use crate::evaluate::concerns_action;
use crate::fix::{command, quote};
use crate::reach::READ;
use crate::service;
use crate::snapshot::{Function, SecurityGroup, SecurityRule, Subnet, VpcEndpoint};

const ENDPOINTS: &[&str] = &["ec2:DescribeVpcEndpoints"];
/// What it takes to know where readers run, and more.
macro_rules! places {
    ($($more:literal),*) => {
        &[
            "ec2:DescribeVpcEndpoints",
            "lambda:ListFunctions",
            "ecs:ListClusters",
            "ecs:ListServices",
            "ecs:DescribeServices",
            "ecs:DescribeTaskDefinition",
            "ec2:DescribeInstances",
            $($more),*
        ]
    };
}
const PLACES: &[&str] = places![];
const GROUPS: &[&str] = places!["ec2:DescribeSecurityGroups", "ec2:DescribeSubnets"];

pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "network.no-endpoint",
        severity: Severity::Medium,
        title: "A VPC with readers has no endpoint for Secrets Manager",
        why: "Requests leave the VPC through a NAT gateway, or cannot leave at all: then a rotation function times out.",
        fix: "Create an interface endpoint for com.amazonaws.<Region>.secretsmanager with private DNS.",
        needs: PLACES,
        counterparts: &[
            "prowler vpc_endpoint_for_ec2_enabled (EC2 only)",
            "AWS Config service-vpc-endpoint-enabled",
        ],
        find: Find::Account(no_endpoint),
    },
    Check {
        id: "network.endpoint-state",
        severity: Severity::Medium,
        title: "The endpoint is not available",
        why: "An endpoint that waits for acceptance, failed, expired or was rejected carries nothing. One that is deleted counts \
              as none.",
        fix: "Accept the connection, or delete the endpoint and create it again.",
        needs: ENDPOINTS,
        counterparts: &[],
        find: Find::Account(state),
    },
    Check {
        id: "network.private-dns",
        severity: Severity::Medium,
        title: "The endpoint has no private DNS",
        why: "The usual name of the service resolves to public addresses, so programs that do not set an endpoint URL go around \
              the endpoint.",
        fix: "Turn private DNS on.",
        needs: ENDPOINTS,
        counterparts: &[],
        find: Find::Account(private_dns),
    },
    Check {
        id: "network.dns-attributes",
        severity: Severity::Medium,
        title: "The VPC of an endpoint does not resolve its private names",
        why: "Private DNS of endpoints takes enableDnsSupport and enableDnsHostnames.",
        fix: "Turn both on.",
        needs: &["ec2:DescribeVpcEndpoints", "ec2:DescribeVpcAttribute"],
        counterparts: &[],
        find: Find::Account(dns_attributes),
    },
    Check {
        id: "network.endpoint-policy",
        severity: Severity::Low,
        title: "The endpoint lets every request to every account through",
        why: "With the default policy, a program inside can send data to a secret of anybody's account: the way out that the \
              endpoint was meant to close.",
        fix: "Allow the account's own principals and secrets.",
        needs: ENDPOINTS,
        counterparts: &["prowler vpc_endpoint_connections_trust_boundaries"],
        find: Find::Account(endpoint_policy),
    },
    Check {
        id: "network.endpoint-trust",
        severity: Severity::Medium,
        title: "The endpoint's policy names another account",
        why: "Principals of that account may use the endpoint.",
        fix: "Remove the other account, or confirm that it is meant.",
        needs: ENDPOINTS,
        counterparts: &["prowler vpc_endpoint_connections_trust_boundaries"],
        find: Find::Account(endpoint_trust),
    },
    Check {
        id: "network.security-group",
        severity: Severity::High,
        title: "The endpoint's security groups do not let a reader in",
        why: "Port 443 is closed between them: every read and every rotation step times out.",
        fix: "Allow TCP 443 from the reader's security group, and to the endpoint from there.",
        needs: GROUPS,
        counterparts: &[],
        find: Find::Account(security_group),
    },
    Check {
        id: "network.open-group",
        severity: Severity::Low,
        title: "The endpoint's security group is open to everybody",
        why: "Any address that can reach the VPC can use the endpoint.",
        fix: "Allow 443 from the readers' security groups only.",
        needs: GROUPS,
        counterparts: &["prowler ec2_securitygroup_allow_ingress_from_internet_to_any_port"],
        find: Find::Account(open_group),
    },
    Check {
        id: "network.zones",
        severity: Severity::Low,
        title: "The endpoint is in one zone, or not in those of a reader",
        why: "When the zone fails, so does every read; and traffic between zones is charged for.",
        fix: "Add a subnet of each zone in which readers run.",
        needs: GROUPS,
        counterparts: &["prowler vpc_endpoint_multi_az_enabled"],
        find: Find::Account(zones),
    },
    Check {
        id: "network.resolves-publicly",
        severity: Severity::Medium,
        title: "From here the service resolves to public addresses",
        why: "The audit was asked to look from inside (--from-inside), and requests from here do not take the endpoint.",
        fix: "Check private DNS, the VPC's DNS attributes, and the resolver that this machine uses.",
        needs: &["dns:resolve"],
        counterparts: &[],
        find: Find::Account(resolves),
    },
];

/// What reads or rotates a secret from a VPC: a function, a service or an instance.
struct Reader<'a> {
    arn: &'a str,
    vpc_id: &'a str,
    subnet_ids: &'a [String],
    security_group_ids: &'a [String],
}

impl Reader<'_> {
    /// Without Region and account: `rotate-orders`, `service/shop/checkout`, `instance/i-0a1b2c3d`.
    fn name(&self) -> &str {
        self.arn.rsplit(':').next().unwrap_or_default()
    }
}

fn readers<'a>(audit: &Audit<'a>) -> Vec<Reader<'a>> {
    let snapshot = audit.snapshot;
    let mut roles = BTreeSet::new();
    for secret in &snapshot.secrets {
        let open =
            audit.readers(secret).iter().filter(|reader| reader.outcome != crate::evaluate::Outcome::Denied);
        roles.extend(open.map(|reader| reader.principal.arn.as_str()));
    }
    let rotates = |function: &&Function| {
        let mut arns = snapshot.secrets.iter().filter_map(|secret| secret.rotation_lambda_arn.as_deref());
        arns.any(|arn| crate::reach::same_function(arn, &function.function_arn))
    };
    let functions = snapshot.functions.iter();
    let functions = functions
        .filter(|it| roles.contains(it.role.as_str()) || rotates(it))
        .map(|it| (&it.function_arn, &it.vpc_id, &it.subnet_ids, &it.security_group_ids));
    let workloads = snapshot.workloads.iter();
    let workloads = workloads
        .filter(|it| it.roles.iter().any(|role| roles.contains(role.as_str())))
        .map(|it| (&it.arn, &it.vpc_id, &it.subnet_ids, &it.security_group_ids));
    functions
        .chain(workloads)
        .filter_map(|(arn, vpc_id, subnet_ids, security_group_ids)| {
            Some(Reader { arn, vpc_id: vpc_id.as_deref()?, subnet_ids, security_group_ids })
        })
        .collect()
}

/// Those that are there; one that is deleted is listed for a while.
fn present<'a>(audit: &Audit<'a>) -> impl Iterator<Item = &'a VpcEndpoint> {
    audit.snapshot.vpc_endpoints.iter().filter(|endpoint| !endpoint.is_gone())
}

/// Those whose settings matter: of a failed one nothing can be changed.
fn endpoints<'a>(audit: &Audit<'a>) -> impl Iterator<Item = &'a VpcEndpoint> {
    present(audit).filter(|endpoint| !endpoint.has_failed())
}

fn endpoint_in<'a>(audit: &Audit<'a>, vpc: &str) -> Option<&'a VpcEndpoint> {
    endpoints(audit).filter(|endpoint| endpoint.vpc_id == vpc).max_by_key(|endpoint| endpoint.is_available())
}

fn no_endpoint(audit: &Audit<'_>, findings: &mut Findings<'_>) {
    let readers = readers(audit);
    let vpcs: BTreeSet<_> = readers.iter().map(|reader| reader.vpc_id).collect();
    // One that failed is a finding of its own.
    for vpc in vpcs.into_iter().filter(|vpc| present(audit).all(|endpoint| endpoint.vpc_id != *vpc)) {
        let inside: Vec<_> = readers.iter().filter(|reader| reader.vpc_id == vpc).collect();
        let subnets: BTreeSet<_> = inside.iter().flat_map(|reader| reader.subnet_ids).cloned().collect();
        let groups: BTreeSet<_> =
            inside.iter().flat_map(|reader| reader.security_group_ids).cloned().collect();
        let run = create(audit, vpc, &Vec::from_iter(subnets), &Vec::from_iter(groups));
        let names: Vec<_> = inside.iter().map(|reader| reader.name()).collect();
        findings.add(vpc, format!("no endpoint; {} run there", names.join(", "))).run(run);
    }
}

fn create(audit: &Audit<'_>, vpc: &str, subnets: &[String], groups: &[String]) -> String {
    let service = service::of_endpoints(&audit.snapshot.region);
    let mut words =
        vec!["aws", "ec2", "create-vpc-endpoint", "--vpc-endpoint-type", "Interface", "--vpc-id", vpc];
    words.extend(["--private-dns-enabled", "--service-name", &service, "--subnet-ids"]);
    words.extend(subnets.iter().map(String::as_str));
    words.push("--security-group-ids");
    words.extend(groups.iter().map(String::as_str));
    format!("{} --policy-document {}", command(&words), quote(&own_policy(audit)))
}

/// An endpoint policy for the account's own principals and secrets.
fn own_policy(audit: &Audit<'_>) -> String {
    let snapshot = audit.snapshot;
    json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "secretsmanager:*",
        "Resource": "*", "Condition": {"StringEquals": {"aws:PrincipalAccount": snapshot.account,
            "aws:ResourceAccount": snapshot.account}}}]})
    .to_string()
}

fn state(audit: &Audit<'_>, findings: &mut Findings<'_>) {
    for endpoint in present(audit).filter(|endpoint| !endpoint.is_available()) {
        let finding = findings.add(&endpoint.vpc_endpoint_id, format!("its state is {}", endpoint.state));
        match endpoint.state.to_ascii_lowercase().as_str() {
            "pending" => finding.advise("wait a few minutes, then audit again"),
            "pendingacceptance" => finding.advise("accept the connection on the service's side"),
            "partial" => finding.advise("look at its network interfaces: some of them failed"),
            _ => {
                let delete =
                    ["aws", "ec2", "delete-vpc-endpoints", "--vpc-endpoint-ids", &endpoint.vpc_endpoint_id];
                finding.run(command(&delete)).run(create(
                    audit,
                    &endpoint.vpc_id,
                    &endpoint.subnet_ids,
                    &endpoint.security_groups,
                ))
            }
        };
    }
}

fn modify(endpoint: &VpcEndpoint, words: &[&str]) -> String {
    let begin = ["aws", "ec2", "modify-vpc-endpoint", "--vpc-endpoint-id", &endpoint.vpc_endpoint_id];
    command(&[&begin, words].concat())
}

fn private_dns(audit: &Audit<'_>, findings: &mut Findings<'_>) {
    for endpoint in endpoints(audit).filter(|endpoint| !endpoint.private_dns_enabled) {
        let run = modify(endpoint, &["--private-dns-enabled"]);
        findings.add(&endpoint.vpc_endpoint_id, "PrivateDnsEnabled is false").run(run);
    }
}

fn dns_attributes(audit: &Audit<'_>, findings: &mut Findings<'_>) {
    for vpc in audit.snapshot.vpcs.iter().filter(|vpc| endpoint_in(audit, &vpc.vpc_id).is_some()) {
        let attributes = [
            (vpc.enable_dns_support, "enableDnsSupport", "--enable-dns-support"),
            (vpc.enable_dns_hostnames, "enableDnsHostnames", "--enable-dns-hostnames"),
        ];
        for (value, name, option) in attributes {
            if value == Some(false) {
                let words = [
                    "aws",
                    "ec2",
                    "modify-vpc-attribute",
                    "--vpc-id",
                    &vpc.vpc_id,
                    option,
                    r#"{"Value":true}"#,
                ];
                findings.add(&vpc.vpc_id, format!("{name} is false")).run(command(&words));
            }
        }
    }
}

fn endpoint_policy(audit: &Audit<'_>, findings: &mut Findings<'_>) {
    for endpoint in endpoints(audit) {
        let is_open = endpoint.policy.as_ref().is_none_or(|policy| {
            policy.statements.iter().any(|statement| {
                let for_all = statement.principal.as_ref().is_none_or(|scope| match scope {
                    Scope::Only(listed) => listed.0.values().flatten().any(|id| id == "*"),
                    Scope::AllBut(_) => true,
                });
                let to_all =
                    matches!(&statement.resource, Some(Scope::Only(all)) if all.iter().any(|it| it == "*"));
                statement.effect == Effect::Allow
                    && statement.conditions.is_empty()
                    && for_all
                    && to_all
                    && concerns_action(statement, READ)
            })
        });
        if is_open {
            let run = format!("{} --policy-document {}", modify(endpoint, &[]), quote(&own_policy(audit)));
            findings.add(&endpoint.vpc_endpoint_id, "its policy allows everything to everybody").run(run);
        }
    }
}

fn endpoint_trust(audit: &Audit<'_>, findings: &mut Findings<'_>) {
    for endpoint in endpoints(audit) {
        let Some(policy) = &endpoint.policy else { continue };
        let account = &audit.snapshot.account;
        let exposure = crate::exposure::Exposure { policy, action: READ, resource: None, account };
        for outsider in exposure.outsiders() {
            if outsider.principal == "*" {
                continue;
            }
            let rest = policy.with_statements(outsider.statement, Vec::new());
            let run = if rest["Statement"] == json!([]) {
                format!("{} --policy-document {}", modify(endpoint, &[]), quote(&own_policy(audit)))
            } else {
                format!("{} --policy-document {}", modify(endpoint, &[]), quote(&rest.to_string()))
            };
            findings
                .add(&endpoint.vpc_endpoint_id, format!("its policy allows {}", outsider.principal))
                .run(run);
        }
    }
}

const HTTPS: i64 = 443;

fn concerns_https(rule: &SecurityRule) -> bool {
    let ports = rule.from_port.is_none_or(|from| from <= HTTPS)
        && rule.to_port.is_none_or(|to| to >= HTTPS || to == -1);
    match rule.ip_protocol.as_str() {
        "-1" => true,
        "tcp" | "6" => ports,
        _ => false,
    }
}

fn groups<'a>(audit: &Audit<'a>, ids: &[String]) -> Vec<&'a SecurityGroup> {
    audit.snapshot.security_groups.iter().filter(|group| ids.contains(&group.group_id)).collect()
}

fn subnets<'a>(audit: &Audit<'a>, ids: &[String]) -> Vec<&'a Subnet> {
    audit.snapshot.subnets.iter().filter(|subnet| ids.contains(&subnet.subnet_id)).collect()
}

/// Whether rules let traffic on 443 pass from or to other groups and subnets.
fn lets_through<'a>(
    mut rules: impl Iterator<Item = &'a SecurityRule>,
    groups: &[String],
    subnets: &[&Subnet],
) -> bool {
    rules.any(|rule| {
        let contains = |cidr: &String| {
            let range: Option<ipnet::IpNet> = cidr.parse().ok();
            range.is_some_and(|range| {
                let whole = |subnet: &&Subnet| {
                    subnet.cidr_block.parse().is_ok_and(|block: ipnet::IpNet| range.contains(&block))
                };
                range.prefix_len() == 0 || !subnets.is_empty() && subnets.iter().all(whole)
            })
        };
        concerns_https(rule)
            && (rule.groups.iter().any(|id| groups.contains(id)) || rule.cidrs.iter().any(contains))
    })
}

/// Adds a rule to a group that lets another group through on 443.
fn let_in(kind: &str, group: &str, other: &str) -> String {
    let permission = format!("IpProtocol=tcp,FromPort=443,ToPort=443,UserIdGroupPairs=[{{GroupId={other}}}]");
    command(&["aws", "ec2", kind, "--group-id", group, "--ip-permissions", &permission])
}

fn security_group(audit: &Audit<'_>, findings: &mut Findings<'_>) {
    // Many instances can have the same groups: one rule lets all of them through.
    let mut asked = BTreeSet::new();
    for reader in readers(audit) {
        let Some(endpoint) = endpoint_in(audit, reader.vpc_id) else { continue };
        let (its, ours) =
            (groups(audit, &endpoint.security_groups), groups(audit, reader.security_group_ids));
        if its.is_empty() || ours.is_empty() || !asked.insert((reader.vpc_id, reader.security_group_ids)) {
            continue;
        }
        let places = [subnets(audit, reader.subnet_ids), subnets(audit, &endpoint.subnet_ids)];
        let name = reader.name();
        if !lets_through(its.iter().flat_map(|group| &group.ingress), reader.security_group_ids, &places[0]) {
            let run = let_in("authorize-security-group-ingress", &its[0].group_id, &ours[0].group_id);
            let seen =
                format!("no rule of {} lets {name} in on port 443", endpoint.security_groups.join(", "));
            findings.add(&endpoint.vpc_endpoint_id, seen).run(run);
        }
        if !lets_through(ours.iter().flat_map(|group| &group.egress), &endpoint.security_groups, &places[1]) {
            let run = let_in("authorize-security-group-egress", &ours[0].group_id, &its[0].group_id);
            let seen =
                format!("no rule of {} lets {name} out on port 443", reader.security_group_ids.join(", "));
            findings.add(reader.arn, seen).run(run);
        }
    }
}

fn open_group(audit: &Audit<'_>, findings: &mut Findings<'_>) {
    for endpoint in endpoints(audit) {
        for group in groups(audit, &endpoint.security_groups) {
            let mut inside: BTreeSet<_> = readers(audit)
                .into_iter()
                .filter(|reader| reader.vpc_id == endpoint.vpc_id)
                .flat_map(|reader| reader.security_group_ids)
                .cloned()
                .collect();
            let has_readers = !inside.is_empty();
            for rule in group.ingress.iter().filter(|rule| concerns_https(rule)) {
                inside.retain(|id| !rule.groups.contains(id));
            }
            for rule in group.ingress.iter().filter(|rule| concerns_https(rule)) {
                for cidr in rule.cidrs.iter().filter(|cidr| cidr.ends_with("/0")) {
                    let ports = format!(
                        "IpProtocol={},FromPort={},ToPort={},IpRanges=[{{CidrIp={cidr}}}]",
                        rule.ip_protocol,
                        rule.from_port.unwrap_or(-1),
                        rule.to_port.unwrap_or(-1)
                    );
                    let ports = if cidr.contains(':') {
                        ports.replace("IpRanges=[{CidrIp", "Ipv6Ranges=[{CidrIpv6")
                    } else {
                        ports
                    };
                    let words =
                        ["aws", "ec2", "revoke-security-group-ingress", "--group-id", &group.group_id];
                    let finding = findings.add(&group.group_id, format!("lets {cidr} in on port 443"));
                    if !has_readers {
                        // Somebody may come in by this rule alone.
                        finding.advise("let in the security groups of what reads here, then revoke the rule");
                        continue;
                    }
                    for reader in &inside {
                        finding.run(let_in("authorize-security-group-ingress", &group.group_id, reader));
                    }
                    finding.run(format!("{} --ip-permissions {}", command(&words), quote(&ports)));
                }
            }
        }
    }
}

fn zones(audit: &Audit<'_>, findings: &mut Findings<'_>) {
    for endpoint in endpoints(audit) {
        let zones: BTreeSet<_> = subnets(audit, &endpoint.subnet_ids)
            .iter()
            .map(|subnet| subnet.availability_zone.as_str())
            .collect();
        let inside = readers(audit).into_iter().filter(|reader| reader.vpc_id == endpoint.vpc_id);
        let used: Vec<_> = inside.flat_map(|reader| subnets(audit, reader.subnet_ids)).collect();
        let missing: BTreeSet<_> = used
            .iter()
            .map(|it| it.availability_zone.as_str())
            .filter(|zone| !zones.contains(zone))
            .collect();
        let first = used.iter().find(|subnet| missing.contains(subnet.availability_zone.as_str()));
        if let Some(subnet) = first {
            let names: Vec<_> = missing.iter().copied().collect();
            findings
                .add(
                    &endpoint.vpc_endpoint_id,
                    format!("readers run in {}, where it has no subnet", names.join(", ")),
                )
                .run(modify(endpoint, &["--add-subnet-ids", &subnet.subnet_id]));
        } else if zones.len() == 1 {
            findings
                .add(
                    &endpoint.vpc_endpoint_id,
                    format!("it is in {} alone", zones.first().unwrap_or(&"one zone")),
                )
                .advise("add a subnet of another zone: aws ec2 modify-vpc-endpoint --add-subnet-ids");
        }
    }
}

fn resolves(audit: &Audit<'_>, findings: &mut Findings<'_>) {
    let is_public = |text: &&String| match text.parse() {
        Ok(IpAddr::V4(address)) => !address.is_private() && !address.is_loopback(),
        Ok(IpAddr::V6(address)) => (address.segments()[0] & 0xfe00) != 0xfc00 && !address.is_loopback(),
        Err(_) => false,
    };
    let public: Vec<_> = audit.snapshot.resolved_addresses.iter().filter(is_public).cloned().collect();
    if !public.is_empty() {
        let name = format!("secretsmanager.{}.amazonaws.com", audit.snapshot.region);
        findings
            .add(name, format!("resolves to {}", public.join(", ")))
            .advise("check private DNS of the endpoint");
    }
}
