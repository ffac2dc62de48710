//! VPCs, their endpoints, security groups and subnets, and what runs in them.

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
    }
}

impl VpcEndpoint {
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
        /// Its range.
        cidr_block: String,
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
