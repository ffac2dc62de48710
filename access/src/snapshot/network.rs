//! VPCs, their endpoints, security groups and subnets, and what runs in them.

use serde::{Deserialize, Serialize};

use super::Snapshot;
use crate::document::Document;
use crate::service;

record! {
    /// A VPC.
    Vpc {
        /// Its id.
        vpc_id: String,
        /// Whether the resolver answers.
        enable_dns_support: Option<bool>,
        /// Whether names are given to addresses; private DNS of endpoints needs it.
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
        /// `com.amazonaws.<Region>.secretsmanager`, or the same with `-fips` at its end.
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
        /// `ipv4`, `dualstack` or `ipv6`; empty is `ipv4`.
        ip_address_type: String,
    }
}

impl VpcEndpoint {
    /// Whether it is the one for validated cryptography: the usual name of the service does not lead to it.
    pub fn is_fips(&self) -> bool {
        self.service_name.ends_with("-fips")
    }

    /// Whether requests reach it by IPv4.
    pub fn has_ipv4(&self) -> bool {
        !self.ip_address_type.eq_ignore_ascii_case("ipv6")
    }

    /// Whether requests reach it by IPv6.
    pub fn has_ipv6(&self) -> bool {
        ["ipv6", "dualstack"].iter().any(|kind| self.ip_address_type.eq_ignore_ascii_case(kind))
    }

    /// Whether requests pass. A snapshot written by hand may not say, and means it.
    pub fn is_available(&self) -> bool {
        self.is("available") || self.state.is_empty()
    }

    /// Whether it is listed for an hour or so, but there no more.
    pub fn is_gone(&self) -> bool {
        self.is("deleting") || self.is("deleted")
    }

    /// Whether nothing but another endpoint helps.
    pub fn has_failed(&self) -> bool {
        ["rejected", "failed", "expired"].iter().any(|state| self.is(state))
    }

    /// States as <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_VpcEndpoint.html> has them; their case differs.
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
        /// What may come in.
        ingress: Vec<SecurityRule>,
        /// What may go out.
        egress: Vec<SecurityRule>,
    }
}

record! {
    /// A rule of a security group.
    SecurityRule {
        /// `tcp`, or `-1` for all.
        ip_protocol: String,
        /// First port; none is all.
        from_port: Option<i64>,
        /// Last port.
        to_port: Option<i64>,
        /// Address ranges, IPv4 and IPv6.
        cidrs: Vec<String>,
        /// Groups.
        groups: Vec<String>,
        /// Prefix lists.
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
        /// Its range of IPv4; empty if it has IPv6 alone.
        cidr_block: String,
        /// Its ranges of IPv6.
        ipv6_cidr_blocks: Vec<String>,
        /// Its zone.
        availability_zone: String,
    }
}

record! {
    /// An ECS service or an EC2 instance. Lambda functions have [a record of their own](super::Function).
    Workload {
        /// Its ARN; of instances with the same role, subnet and security groups that of the first.
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

/// Where something runs that may read secrets: a function, a service or an instance.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// Of what runs.
    pub arn: &'a str,
    /// The roles whose requests leave from there.
    pub roles: &'a [String],
    /// Its subnets.
    pub subnet_ids: &'a [String],
    /// Its security groups.
    pub security_group_ids: &'a [String],
    /// Its VPC; none outside of any.
    pub vpc_id: Option<&'a str>,
    /// Whether its requests are known to be for the name of the endpoint for FIPS.
    pub uses_fips_endpoint: bool,
}

impl Snapshot {
    /// Where functions, services and instances run.
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

    /// The endpoints for the service in this Region: no request for it takes one of another Region. A snapshot written by
    /// hand may not say, and means it.
    pub(crate) fn endpoints(&self) -> impl Iterator<Item = &VpcEndpoint> {
        let usual = service::of_endpoints(&self.region);
        self.vpc_endpoints.iter().filter(move |it| {
            it.service_name.is_empty()
                || it.service_name.strip_suffix("-fips").unwrap_or(&it.service_name) == usual
        })
    }

    /// The endpoint to which the usual name of the service, or the one for FIPS, leads in a VPC.
    pub(crate) fn endpoint_of_name(&self, vpc: &str, is_fips: bool) -> Option<&VpcEndpoint> {
        let mut endpoints = self.endpoints().filter(|it| it.is_fips() == is_fips);
        endpoints.find(|it| it.vpc_id == vpc && it.private_dns_enabled && it.is_available())
    }

    /// Writes down the VPC of each place, which its subnets tell.
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
