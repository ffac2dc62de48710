//! The network path from readers to the service: VPC endpoints, DNS and security groups.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::{Check, Find, with_narrowing};
use crate::audited::Audit;
use crate::finding::{Findings, Severity};
use crate::fix::{command, quote};
use crate::service;
use crate::snapshot::{Place, VpcEndpoint};

mod groups;
mod policy;

const ENDPOINTS: &[&str] = &["ec2:DescribeVpcEndpoints"];
/// The permissions needed to know where readers run.
const PLACES: &[&str] = &with_narrowing::<2, 7>(["ec2:DescribeVpcEndpoints", "lambda:ListFunctions"]);
const REFUSED: &[&str] = &with_narrowing::<3, 8>([
    "ec2:DescribeVpcEndpoints",
    "lambda:ListFunctions",
    "iam:GetAccountAuthorizationDetails",
]);
const GROUPS: &[&str] = &with_narrowing::<4, 9>([
    "ec2:DescribeVpcEndpoints",
    "lambda:ListFunctions",
    "ec2:DescribeSecurityGroups",
    "ec2:DescribeSubnets",
]);

pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "network.no-endpoint",
        severity: Severity::Medium,
        title: "A VPC with readers has no endpoint for Secrets Manager",
        why: "Requests leave the VPC through a NAT gateway, or not at all: a rotation function then times out. An \
              endpoint for secretsmanager-fips alone does not count for programs that use the usual name.",
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
        why: "An endpoint that is waiting for acceptance, or that failed, expired or was rejected, carries no \
              requests. A deleted one is treated as missing (network.no-endpoint).",
        fix: "Accept the connection, or delete the endpoint and create it again.",
        needs: ENDPOINTS,
        counterparts: &[],
        find: Find::Account(state),
    },
    Check {
        id: "network.private-dns",
        severity: Severity::Medium,
        title: "The endpoint has no private DNS",
        why: "The usual name of the service resolves to public addresses. Programs that do not set an endpoint URL \
              bypass the endpoint.",
        fix: "Turn private DNS on.",
        needs: ENDPOINTS,
        counterparts: &[],
        find: Find::Account(private_dns),
    },
    Check {
        id: "network.dns-attributes",
        severity: Severity::Medium,
        title: "The VPC of an endpoint does not resolve its private names",
        why: "Private DNS works only if enableDnsSupport and enableDnsHostnames are on in the VPC.",
        fix: "Turn both on.",
        needs: &["ec2:DescribeVpcEndpoints", "ec2:DescribeVpcAttribute"],
        counterparts: &[],
        find: Find::Account(dns_attributes),
    },
    Check {
        id: "network.endpoint-policy",
        severity: Severity::Low,
        title: "The endpoint's policy lets any account's requests through to any account's secrets",
        why: "With the default policy, a program in the VPC can send data to a secret of any account, using that \
              account's credentials. The endpoint's policy should prevent that.",
        fix: "Allow only the principals and secrets of your organization (aws:PrincipalOrgID and aws:ResourceOrgID), \
              or of the account if it is in no organization (aws:PrincipalAccount and aws:ResourceAccount).",
        needs: ENDPOINTS,
        counterparts: &["prowler vpc_endpoint_connections_trust_boundaries"],
        find: Find::Account(policy::endpoint_policy),
    },
    Check {
        id: "network.endpoint-trust",
        severity: Severity::Medium,
        title: "The endpoint's policy names another account",
        why: "Principals of that account can send requests through the endpoint.",
        fix: "Remove the other account, or confirm that it is intended.",
        needs: ENDPOINTS,
        counterparts: &["prowler vpc_endpoint_connections_trust_boundaries"],
        find: Find::Account(policy::endpoint_trust),
    },
    Check {
        id: "network.endpoint-refuses",
        severity: Severity::High,
        title: "The endpoint's policy refuses a reader",
        why: "Code that runs as the role in the endpoint's VPC cannot read the secret, although every other policy \
              allows it. Each read fails with AccessDenied, \"because no VPC endpoint policy allows\" it.",
        fix: "Allow the role in the endpoint's policy, or remove the secret from the role's own policies.",
        needs: REFUSED,
        counterparts: &[],
        find: Find::Account(policy::endpoint_refuses),
    },
    Check {
        id: "network.security-group",
        severity: Severity::High,
        title: "The endpoint's security groups do not let a reader in",
        why: "Port 443 between them is closed, so every read and every rotation step times out.",
        fix: "Allow TCP 443 into the endpoint's security group from the reader's, and out of the reader's to the endpoint's.",
        needs: GROUPS,
        counterparts: &[],
        find: Find::Account(groups::security_group),
    },
    Check {
        id: "network.open-group",
        severity: Severity::Low,
        title: "The endpoint's security group is open to every address",
        why: "Any address that can reach the VPC can use the endpoint.",
        fix: "Allow port 443 only from the readers' security groups.",
        needs: GROUPS,
        counterparts: &["prowler ec2_securitygroup_allow_ingress_from_internet_to_any_port"],
        find: Find::Account(groups::open_group),
    },
    Check {
        id: "network.zones",
        severity: Severity::Low,
        title: "The endpoint is in only one zone, or not in a reader's zone",
        why: "If the zone fails, every read fails. Traffic between zones also costs money.",
        fix: "Add a subnet in each zone where readers run.",
        needs: GROUPS,
        counterparts: &["prowler vpc_endpoint_multi_az_enabled"],
        find: Find::Account(groups::zones),
    },
    Check {
        id: "network.resolves-publicly",
        severity: Severity::Medium,
        title: "From this machine, the service resolves to public addresses",
        why: "The audit ran inside the VPC (--from-inside), but its requests do not go through the endpoint.",
        fix: "Check private DNS, the VPC's DNS attributes, and this machine's resolver.",
        needs: &["dns:resolve"],
        counterparts: &[],
        find: Find::Account(resolves),
    },
];

/// A function, a service or an instance that reads or rotates a secret from a VPC.
struct Reader<'a> {
    place: Place<'a>,
    vpc_id: &'a str,
}

impl<'a> std::ops::Deref for Reader<'a> {
    type Target = Place<'a>;

    fn deref(&self) -> &Place<'a> {
        &self.place
    }
}

impl Reader<'_> {
    /// The name without Region and account: `rotate-orders`, `service/shop/checkout`, `instance/i-0a1b2c3d`.
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
    let rotates = |arn: &str| {
        let mut arns = snapshot.secrets.iter().filter_map(|secret| secret.rotation_lambda_arn.as_deref());
        arns.any(|function| crate::reach::same_function(function, arn))
    };
    let reads = |place: &Place<'_>| place.roles.iter().any(|role| roles.contains(role.as_str()));
    let places = snapshot.places().filter(|place| reads(place) || rotates(place.arn));
    places.filter_map(|place| Some(Reader { vpc_id: place.vpc_id?, place })).collect()
}

/// The endpoints that exist. A deleted one stays listed for a while.
fn present<'a>(audit: &Audit<'a>) -> impl Iterator<Item = &'a VpcEndpoint> {
    audit.snapshot.endpoints().filter(|endpoint| !endpoint.is_gone())
}

/// The endpoints whose settings matter: those of a failed one cannot be changed.
fn endpoints<'a>(audit: &Audit<'a>) -> impl Iterator<Item = &'a VpcEndpoint> {
    present(audit).filter(|endpoint| !endpoint.has_failed())
}

/// The endpoint that a reader's requests use. Whether services and instances use a FIPS endpoint is not known, so one
/// counts as theirs if there is no other.
fn endpoint_for<'a>(audit: &Audit<'a>, reader: &Reader<'_>) -> Option<&'a VpcEndpoint> {
    let here = endpoints(audit).filter(|endpoint| endpoint.vpc_id == reader.vpc_id);
    let its = here.filter(|endpoint| endpoint.is_fips() || !reader.uses_fips_endpoint);
    its.max_by_key(|endpoint| (!endpoint.is_fips(), endpoint.is_available()))
}

fn no_endpoint(audit: &Audit<'_>, findings: &mut Findings<'_>) {
    let mut readers = readers(audit);
    // A failed endpoint is reported by network.endpoint-state.
    readers.retain(|reader| {
        let mut here = present(audit).filter(|endpoint| endpoint.vpc_id == reader.vpc_id);
        !here.any(|endpoint| endpoint.is_fips() == reader.uses_fips_endpoint)
    });
    let ways: BTreeSet<_> = readers.iter().map(|reader| (reader.vpc_id, reader.uses_fips_endpoint)).collect();
    for (vpc, is_fips) in ways {
        let inside: Vec<_> =
            readers.iter().filter(|it| (it.vpc_id, it.uses_fips_endpoint) == (vpc, is_fips)).collect();
        let subnets: BTreeSet<_> = inside.iter().flat_map(|reader| reader.subnet_ids).cloned().collect();
        let names: Vec<_> = inside.iter().map(|reader| reader.name()).collect();
        // The readers' own groups rarely allow inbound traffic, and with private DNS the whole VPC uses the endpoint.
        let group = if is_fips { "secrets-fips-endpoint" } else { "secrets-endpoint" };
        let group = ["aws", "ec2", "create-security-group", "--group-name", group, "--vpc-id", vpc];
        let all = ["aws", "ec2", "describe-vpcs", "--vpc-ids", vpc, "--query", EVERY_BLOCK];
        let own = policy::own(audit);
        let new = Wanted { vpc, is_fips, subnets: &Vec::from_iter(subnets), groups: "\"$group\"" };
        let run = format!(
            "group=$({} --description 'HTTPS to Secrets Manager' --query GroupId --output text) && \
             aws ec2 authorize-security-group-ingress --group-id \"$group\" --ip-permissions \"$({} --output json)\" && {}",
            command(&group),
            command(&all),
            create(audit, &new, &own.to_string())
        );
        let other = present(audit).find(|endpoint| endpoint.vpc_id == vpc).map(|it| &it.vpc_endpoint_id);
        let seen = match (other, is_fips) {
            (None, _) => "no endpoint".to_owned(),
            (Some(fips), false) => {
                format!("no endpoint but {fips} for FIPS, which the usual name does not resolve to")
            }
            (Some(usual), true) => format!("no endpoint for FIPS, and requests for it do not use {usual}"),
        };
        let or = match (other, is_fips) {
            (_, true) => "; or remove AWS_USE_FIPS_ENDPOINT, if nobody needs FIPS",
            (Some(_), false) => "; if they use FIPS (AWS_USE_FIPS_ENDPOINT), nothing is wrong",
            (None, false) => "",
        };
        findings
            .add(vpc, format!("{seen}; {} run there", names.join(", ")))
            .run(run)
            .advise(format!("{EVERYTHING_TAKES_IT}{or}"));
    }
}

/// The warning before private DNS is turned on.
const EVERYTHING_TAKES_IT: &str = "afterwards, every request from the VPC goes through the endpoint: its security \
    groups must let in everything that reads secrets there, and its policy must name any other accounts whose secrets \
    are read there";

/// A JMESPath query for a rule that allows port 443 from all address ranges of a VPC, including ranges associated later
/// and IPv6.
const EVERY_BLOCK: &str = "[{IpProtocol: 'tcp', FromPort: `443`, ToPort: `443`, \
     IpRanges: (Vpcs[0].CidrBlockAssociationSet || `[]`)[?CidrBlockState.State=='associated'].{CidrIp: CidrBlock}, \
     Ipv6Ranges: (Vpcs[0].Ipv6CidrBlockAssociationSet || `[]`)[?Ipv6CidrBlockState.State=='associated']\
     .{CidrIpv6: Ipv6CidrBlock}}]";

/// An endpoint to create.
struct Wanted<'a> {
    vpc: &'a str,
    is_fips: bool,
    subnets: &'a [String],
    /// The ids, as words for a shell.
    groups: &'a str,
}

fn create(audit: &Audit<'_>, wanted: &Wanted<'_>, policy: &str) -> String {
    let end = if wanted.is_fips { "-fips" } else { "" };
    let service = format!("{}{end}", service::of_endpoints(&audit.snapshot.region));
    let mut words =
        vec!["aws", "ec2", "create-vpc-endpoint", "--vpc-endpoint-type", "Interface", "--vpc-id", wanted.vpc];
    words.extend(["--private-dns-enabled", "--service-name", &service, "--subnet-ids"]);
    words.extend(wanted.subnets.iter().map(String::as_str));
    format!("{} --security-group-ids {} --policy-document {}", command(&words), wanted.groups, quote(policy))
}

fn state(audit: &Audit<'_>, findings: &mut Findings<'_>) {
    for endpoint in present(audit).filter(|endpoint| !endpoint.is_available()) {
        let finding = findings.add(&endpoint.vpc_endpoint_id, format!("its state is {}", endpoint.state));
        match endpoint.state.to_ascii_lowercase().as_str() {
            "pending" => finding.advise("wait a few minutes, then audit again"),
            "pendingacceptance" => finding.advise("accept the connection on the service's side"),
            "partial" => finding.advise("check its network interfaces: some of them failed"),
            _ => {
                let delete =
                    ["aws", "ec2", "delete-vpc-endpoints", "--vpc-endpoint-ids", &endpoint.vpc_endpoint_id];
                let again = Wanted {
                    vpc: &endpoint.vpc_id,
                    is_fips: endpoint.is_fips(),
                    subnets: &endpoint.subnet_ids,
                    groups: &words_of(&endpoint.security_groups),
                };
                let policy = policy::kept(audit, endpoint).to_string();
                finding.run(command(&delete)).run(create(audit, &again, &policy))
            }
        };
    }
}

fn words_of(ids: &[String]) -> String {
    command(&ids.iter().map(String::as_str).collect::<Vec<_>>())
}

fn modify(endpoint: &VpcEndpoint, words: &[&str]) -> String {
    let begin = ["aws", "ec2", "modify-vpc-endpoint", "--vpc-endpoint-id", &endpoint.vpc_endpoint_id];
    command(&[&begin, words].concat())
}

fn private_dns(audit: &Audit<'_>, findings: &mut Findings<'_>) {
    for endpoint in endpoints(audit).filter(|endpoint| !endpoint.private_dns_enabled) {
        // In a VPC, a name resolves to one endpoint. A second one is refused private DNS and exists for other names.
        let has_name = |it: &VpcEndpoint| {
            (&it.vpc_id, it.is_fips()) == (&endpoint.vpc_id, endpoint.is_fips()) && it.private_dns_enabled
        };
        if endpoints(audit).any(has_name) {
            continue;
        }
        let finding = findings.add(&endpoint.vpc_endpoint_id, "PrivateDnsEnabled is false");
        if groups::keep_somebody_out(audit, endpoint) {
            finding.advise("first let the readers into its security groups (network.security-group), then turn on private DNS");
            continue;
        }
        finding.run(modify(endpoint, &["--private-dns-enabled"])).advise(EVERYTHING_TAKES_IT);
    }
}

fn dns_attributes(audit: &Audit<'_>, findings: &mut Findings<'_>) {
    for vpc in audit.snapshot.vpcs.iter().filter(|vpc| endpoints(audit).any(|it| it.vpc_id == vpc.vpc_id)) {
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
            .advise("check the endpoint's private DNS");
    }
}
