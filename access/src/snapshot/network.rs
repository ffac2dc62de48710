//! VPCs, with their endpoints, security groups and subnets, and the workloads in them.

use serde::{Deserialize, Serialize};

use super::Snapshot;
use crate::document::Document;
use crate::service;

record! {
    /// A VPC.
    Vpc {
        /// Its id.
        vpc_id: String,
        /// Whether the VPC's DNS resolver is on.
        enable_dns_support: Option<bool>,
        /// Whether addresses get DNS names, which private DNS of endpoints needs.
        enable_dns_hostnames: Option<bool>,
    }
}

record! {
    /// A VPC endpoint.
    VpcEndpoint {
        /// Its id.
        vpc_endpoint_id: String,
        /// Its VPC.
        vpc_id: String,
        /// `com.amazonaws.<Region>.secretsmanager`, or the same followed by `-fips`.
        service_name: String,
        /// `available`, `pending`, `pendingacceptance`, `deleting`, `deleted`, `rejected`, `failed`, `expired`, `partial`.
        state: String,
        /// Whether the usual name of the service resolves to it.
        private_dns_enabled: bool,
        /// Its policy.
        policy: Option<Document>,
        /// Its security groups.
        security_groups: Vec<String>,
        /// Its subnets.
        subnet_ids: Vec<String>,
        /// `ipv4`, `dualstack` or `ipv6`; empty means `ipv4`.
        ip_address_type: String,
    }
}

impl VpcEndpoint {
    /// Whether this is a FIPS endpoint, to which the service's usual name does not resolve.
    pub fn is_fips(&self) -> bool {
        self.service_name.ends_with("-fips")
    }

    /// Whether it is reachable over IPv4.
    pub fn has_ipv4(&self) -> bool {
        !self.ip_address_type.eq_ignore_ascii_case("ipv6")
    }

    /// Whether it is reachable over IPv6.
    pub fn has_ipv6(&self) -> bool {
        ["ipv6", "dualstack"].iter().any(|kind| self.ip_address_type.eq_ignore_ascii_case(kind))
    }

    /// Whether it carries requests. An empty state, as in a snapshot written by hand, counts as available.
    pub fn is_available(&self) -> bool {
        self.is("available") || self.state.is_empty()
    }

    /// Whether it is deleted. It stays listed for about an hour.
    pub fn is_gone(&self) -> bool {
        self.is("deleting") || self.is("deleted")
    }

    /// Whether it is beyond repair and must be replaced.
    pub fn has_failed(&self) -> bool {
        ["rejected", "failed", "expired"].iter().any(|state| self.is(state))
    }

    /// Compares the state with one of <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_VpcEndpoint.html>,
    /// ignoring case because it varies.
    fn is(&self, state: &str) -> bool {
        self.state.eq_ignore_ascii_case(state)
    }
}

record! {
    /// A security group.
    SecurityGroup {
        /// Its id.
        group_id: String,
        /// Its VPC.
        vpc_id: String,
        /// Inbound rules.
        ingress: Vec<SecurityRule>,
        /// Outbound rules.
        egress: Vec<SecurityRule>,
    }
}

record! {
    /// A rule of a security group.
    SecurityRule {
        /// `tcp`, or `-1` for all.
        ip_protocol: String,
        /// First port; `None` means all.
        from_port: Option<i64>,
        /// Last port.
        to_port: Option<i64>,
        /// Address ranges, IPv4 and IPv6.
        cidrs: Vec<String>,
        /// Ids of security groups.
        groups: Vec<String>,
        /// Ids of prefix lists.
        prefix_lists: Vec<String>,
    }
}

record! {
    /// A subnet.
    Subnet {
        /// Its id.
        subnet_id: String,
        /// Its VPC.
        vpc_id: String,
        /// Its IPv4 range; empty if it has only IPv6.
        cidr_block: String,
        /// Its IPv6 ranges.
        ipv6_cidr_blocks: Vec<String>,
        /// Its availability zone.
        availability_zone: String,
    }
}

record! {
    /// An ECS service or an EC2 instance. Lambda functions have [their own record](super::Function).
    Workload {
        /// Its ARN. Instances with the same role, subnet and security groups are one workload, with the ARN of the
        /// first.
        arn: String,
        /// The roles whose requests leave from its network.
        roles: Vec<String>,
        /// Its subnets.
        subnet_ids: Vec<String>,
        /// Its security groups.
        security_group_ids: Vec<String>,
        /// Its VPC.
        vpc_id: Option<String>,
    }
}

/// The network location of something that can read secrets: a function, a service or an instance.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The ARN of the function, service or instance.
    pub arn: &'a str,
    /// The roles whose requests leave from this location.
    pub roles: &'a [String],
    /// Its subnets.
    pub subnet_ids: &'a [String],
    /// Its security groups.
    pub security_group_ids: &'a [String],
    /// Its VPC; `None` outside of a VPC.
    pub vpc_id: Option<&'a str>,
    /// Whether it is known to use the service's FIPS name.
    pub uses_fips_endpoint: bool,
}

impl Snapshot {
    /// Returns the network locations of functions, services and instances.
    pub fn places(&self) -> impl Iterator<Item = Place<'_>> {
        let functions = self.functions.iter().map(|it| Place {
            arn: &it.function_arn,
            roles: std::slice::from_ref(&it.role),
            subnet_ids: &it.subnet_ids,
            security_group_ids: &it.security_group_ids,
            vpc_id: it.vpc_id.as_deref(),
            uses_fips_endpoint: it.uses_fips_endpoint,
        });
        let workloads = self.workloads.iter().map(|it| Place {
            arn: &it.arn,
            roles: &it.roles,
            subnet_ids: &it.subnet_ids,
            security_group_ids: &it.security_group_ids,
            vpc_id: it.vpc_id.as_deref(),
            uses_fips_endpoint: false,
        });
        functions.chain(workloads)
    }

    /// The endpoints for the service in this Region; a request never uses one of another Region. An empty service name,
    /// as in a snapshot written by hand, counts as this one.
    pub(crate) fn endpoints(&self) -> impl Iterator<Item = &VpcEndpoint> {
        let usual = service::of_endpoints(&self.region);
        self.vpc_endpoints.iter().filter(move |it| {
            it.service_name.is_empty()
                || it.service_name.strip_suffix("-fips").unwrap_or(&it.service_name) == usual
        })
    }

    /// The endpoint to which the service's usual name, or its FIPS name, resolves in a VPC.
    pub(crate) fn endpoint_of_name(&self, vpc: &str, is_fips: bool) -> Option<&VpcEndpoint> {
        let mut endpoints = self.endpoints().filter(|it| it.is_fips() == is_fips);
        endpoints.find(|it| it.vpc_id == vpc && it.private_dns_enabled && it.is_available())
    }

    /// Sets the VPC of each function and workload from its subnets.
    #[cfg(feature = "collect")]
    pub(crate) fn learn_vpcs(&mut self) {
        let subnets = &self.subnets;
        let functions = self.functions.iter_mut().map(|it| (&mut it.vpc_id, &it.subnet_ids));
        let workloads = self.workloads.iter_mut().map(|it| (&mut it.vpc_id, &it.subnet_ids));
        for (vpc_id, ids) in functions.chain(workloads) {
            if let Some(subnet) = subnets.iter().find(|subnet| ids.contains(&subnet.subnet_id)) {
                *vpc_id = Some(subnet.vpc_id.clone());
            }
        }
    }
}
