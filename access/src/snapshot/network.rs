//! VPCs, their endpoints, security groups and subnets.

use serde::{Deserialize, Serialize};

use crate::document::Document;

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
        /// `com.amazonaws.<Region>.secretsmanager`.
        service_name: String,
        /// `available` …
        state: String,
        /// Whether the usual name of the service resolves to it.
        private_dns_enabled: bool,
        /// Its policy.
        policy: Option<Document>,
        /// Its security groups.
        security_groups: Vec<String>,
        /// Its subnets.
        subnet_ids: Vec<String>,
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
        /// Its range.
        cidr_block: String,
        /// Its zone.
        availability_zone: String,
    }
}
