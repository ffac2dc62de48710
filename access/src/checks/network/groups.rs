//! Security groups and subnets: whether readers can reach the endpoint, and what else can.

use std::collections::BTreeSet;

use ipnet::IpNet;

use super::{Reader, endpoint_for, endpoints, modify, readers};
use crate::audited::{Audit, NARROWING};
use crate::condition::Truth;
use crate::finding::Findings;
use crate::fix::{command, quote};
use crate::snapshot::{SecurityGroup, SecurityRule, Subnet, VpcEndpoint};

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

/// Whether rules allow traffic on port 443 between an endpoint and other groups and subnets. `Maybe` if only a prefix
/// list could allow it, because its addresses are not known. IPv6 rules count only for an endpoint with such addresses.
fn lets_through<'a>(
    rules: impl Iterator<Item = &'a SecurityRule>,
    groups: &[String],
    subnets: &[&Subnet],
    endpoint: &VpcEndpoint,
) -> Truth {
    let rules: Vec<_> = rules.filter(|rule| concerns_https(rule)).collect();
    let ranges = covered(&rules);
    let is_open_by = |is_ipv6: bool| {
        let is_of_family = |range: &&IpNet| matches!(range, IpNet::V6(_)) == is_ipv6;
        let ranges: Vec<_> = ranges.iter().filter(is_of_family).collect();
        let is_whole = |subnet: &&Subnet| {
            let of_ipv4 = std::slice::from_ref(&subnet.cidr_block);
            let blocks = if is_ipv6 { subnet.ipv6_cidr_blocks.as_slice() } else { of_ipv4 };
            let is_within = |block: &String| {
                block.parse().is_ok_and(|block: IpNet| ranges.iter().any(|range| range.contains(&block)))
            };
            !blocks.is_empty() && blocks.iter().all(is_within)
        };
        ranges.iter().any(|range| range.prefix_len() == 0)
            || !subnets.is_empty() && subnets.iter().all(is_whole)
    };
    let is_open = rules.iter().any(|rule| rule.groups.iter().any(|id| groups.contains(id)))
        || endpoint.has_ipv4() && is_open_by(false)
        || endpoint.has_ipv6() && is_open_by(true);
    match () {
        () if is_open => Truth::Yes,
        () if rules.iter().any(|rule| !rule.prefix_lists.is_empty()) => Truth::Maybe,
        () => Truth::No,
    }
}

/// The address ranges of rules, merged: two halves make a whole.
fn covered(rules: &[&SecurityRule]) -> Vec<IpNet> {
    let ranges = rules.iter().flat_map(|rule| &rule.cidrs).filter_map(|cidr| cidr.parse().ok());
    IpNet::aggregate(&ranges.collect())
}

/// Records that the answer depends on prefix lists.
fn not_known(findings: &mut Findings<'_>, resource: &str) {
    findings.not_known(
        "ec2:GetManagedPrefixListEntries",
        format!("rules of {resource} name prefix lists, whose addresses are not read"),
    );
}

/// Whether the endpoint's rules keep out a reader in its VPC, as far as is known.
pub(super) fn keep_somebody_out(audit: &Audit<'_>, endpoint: &VpcEndpoint) -> bool {
    let rules: Vec<_> =
        groups(audit, &endpoint.security_groups).into_iter().flat_map(|group| &group.ingress).collect();
    let is_out = |reader: &Reader<'_>| {
        let places = subnets(audit, reader.subnet_ids);
        lets_through(rules.iter().copied(), reader.security_group_ids, &places, endpoint) != Truth::Yes
    };
    readers(audit).iter().filter(|reader| reader.vpc_id == endpoint.vpc_id).any(is_out)
}

/// The command that adds a rule to a group, allowing port 443 to or from another group.
fn let_in(kind: &str, group: &str, other: &str) -> String {
    let permission = format!("IpProtocol=tcp,FromPort=443,ToPort=443,UserIdGroupPairs=[{{GroupId={other}}}]");
    command(&["aws", "ec2", kind, "--group-id", group, "--ip-permissions", &permission])
}

pub(super) fn security_group(audit: &Audit<'_>, findings: &mut Findings<'_>) {
    // Many instances can have the same groups. One rule covers all of them.
    let mut asked = BTreeSet::new();
    for reader in readers(audit) {
        let Some(endpoint) = endpoint_for(audit, &reader) else { continue };
        let (its, ours) =
            (groups(audit, &endpoint.security_groups), groups(audit, reader.security_group_ids));
        if its.is_empty()
            || ours.is_empty()
            || !asked.insert((&endpoint.vpc_endpoint_id, reader.security_group_ids))
        {
            continue;
        }
        let places = [subnets(audit, reader.subnet_ids), subnets(audit, &endpoint.subnet_ids)];
        let name = reader.name();
        let rules = its.iter().flat_map(|group| &group.ingress);
        let way_in = lets_through(rules, reader.security_group_ids, &places[0], endpoint);
        if way_in == Truth::Maybe {
            not_known(findings, &endpoint.security_groups.join(", "));
        }
        if way_in == Truth::No {
            let run = let_in("authorize-security-group-ingress", &its[0].group_id, &ours[0].group_id);
            let seen =
                format!("no rule of {} lets {name} in on port 443", endpoint.security_groups.join(", "));
            findings.add(&endpoint.vpc_endpoint_id, seen).run(run);
        }
        let rules = ours.iter().flat_map(|group| &group.egress);
        let way_out = lets_through(rules, &endpoint.security_groups, &places[1], endpoint);
        if way_out == Truth::Maybe {
            not_known(findings, &reader.security_group_ids.join(", "));
        }
        if way_out == Truth::No {
            let run = let_in("authorize-security-group-egress", &ours[0].group_id, &its[0].group_id);
            let seen =
                format!("no rule of {} lets {name} out on port 443", reader.security_group_ids.join(", "));
            findings.add(reader.arn, seen).run(run);
        }
    }
}

pub(super) fn open_group(audit: &Audit<'_>, findings: &mut Findings<'_>) {
    // A reader that the audit does not know of may depend on such a rule.
    let is_partly_known = NARROWING.iter().any(|permission| audit.denied.contains(&(*permission, "")));
    for endpoint in endpoints(audit) {
        let inside: BTreeSet<_> = readers(audit)
            .into_iter()
            .filter(|reader| reader.vpc_id == endpoint.vpc_id)
            .flat_map(|reader| reader.security_group_ids)
            .cloned()
            .collect();
        for group in groups(audit, &endpoint.security_groups) {
            let rules: Vec<_> = group.ingress.iter().filter(|rule| concerns_https(rule)).collect();
            let is_let_in = |id: &&String| rules.iter().any(|rule| rule.groups.contains(id));
            let others: Vec<_> = inside.iter().filter(|id| !is_let_in(id)).collect();
            for everybody in covered(&rules).into_iter().filter(|range| range.prefix_len() == 0) {
                let open = open_ranges(&rules, everybody);
                let names: Vec<_> = open.iter().map(|(_, cidr)| *cidr).collect();
                let seen = format!("lets {} in on port 443", names.join(" and "));
                let finding = findings.add(&group.group_id, seen);
                if inside.is_empty() || is_partly_known {
                    finding.advise("allow the security groups of the readers, then revoke the rule");
                    continue;
                }
                for reader in &others {
                    finding.run(let_in("authorize-security-group-ingress", &group.group_id, reader));
                }
                for (rule, cidr) in open {
                    finding.run(revoke(&group.group_id, rule, cidr));
                }
            }
        }
    }
}

/// The ranges that let every address in: the one for all, or those that cover the Internet together.
fn open_ranges<'a>(rules: &[&'a SecurityRule], everybody: IpNet) -> Vec<(&'a SecurityRule, &'a str)> {
    let all = rules.iter().flat_map(|rule| rule.cidrs.iter().map(move |cidr| (*rule, cidr.as_str())));
    let of_family =
        |(_, cidr): &(&SecurityRule, &str)| cidr.parse().is_ok_and(|range: IpNet| everybody.contains(&range));
    let all: Vec<_> = all.filter(of_family).collect();
    let whole = |(_, cidr): &&(&'a SecurityRule, &'a str)| cidr.ends_with("/0");
    let found: Vec<_> = all.iter().filter(whole).copied().collect();
    if !found.is_empty() {
        return found;
    }
    // Private ranges are allowed on purpose.
    all.into_iter().filter(|(_, cidr)| cidr.parse().is_ok_and(|range: IpNet| !is_private(range))).collect()
}

/// Whether all of a range is private: <https://www.rfc-editor.org/rfc/rfc1918> and <https://www.rfc-editor.org/rfc/rfc4193>.
fn is_private(range: IpNet) -> bool {
    ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"]
        .iter()
        .any(|private| private.parse().is_ok_and(|private: IpNet| private.contains(&range)))
}

fn revoke(group: &str, rule: &SecurityRule, cidr: &str) -> String {
    let ranges = if cidr.contains(':') {
        format!("Ipv6Ranges=[{{CidrIpv6={cidr}}}]")
    } else {
        format!("IpRanges=[{{CidrIp={cidr}}}]")
    };
    let ports = format!(
        "IpProtocol={},FromPort={},ToPort={},{ranges}",
        rule.ip_protocol,
        rule.from_port.unwrap_or(-1),
        rule.to_port.unwrap_or(-1)
    );
    let words = ["aws", "ec2", "revoke-security-group-ingress", "--group-id", group];
    format!("{} --ip-permissions {}", command(&words), quote(&ports))
}

pub(super) fn zones(audit: &Audit<'_>, findings: &mut Findings<'_>) {
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
                    format!("it is only in {}", zones.first().unwrap_or(&"one zone")),
                )
                .advise("add a subnet in another zone: aws ec2 modify-vpc-endpoint --add-subnet-ids");
        }
    }
}
