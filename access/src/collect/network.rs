//! Collects VPC endpoints, and the security groups, subnets and VPCs around them.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Collector, list, text, truth};
use crate::service;
use crate::snapshot::{SecurityGroup, SecurityRule, Subnet, Vpc, VpcEndpoint};

const TOKEN: [&str; 2] = ["NextToken", "nextToken"];

impl Collector<'_> {
    pub(super) async fn endpoints(&mut self) {
        let service = service::of_endpoints(&self.snapshot.region);
        let fips = format!("{service}-fips");
        let filter = [
            ("Filter.1.Name", "service-name"),
            ("Filter.1.Value.1", service.as_str()),
            ("Filter.1.Value.2", fips.as_str()),
        ];
        let found = self.query_pages("ec2", "DescribeVpcEndpoints", &filter, "vpcEndpointSet", TOKEN).await;
        // An endpoint URL that does not support the filter returns all of them.
        let is_its = |name: &Value| *name == service.as_str() || *name == fips.as_str();
        for endpoint in found.iter().filter(|endpoint| is_its(&endpoint["serviceName"])) {
            let id = text(&endpoint["vpcEndpointId"]);
            let groups = list(&endpoint["groupSet"]).into_iter().map(|group| text(&group["groupId"]));
            let policy = text(&endpoint["policyDocument"]);
            let policy =
                if policy.is_empty() { None } else { self.policy("ec2:DescribeVpcEndpoints", &id, &policy) };
            self.snapshot.vpc_endpoints.push(VpcEndpoint {
                vpc_id: text(&endpoint["vpcId"]),
                service_name: text(&endpoint["serviceName"]),
                state: text(&endpoint["state"]).to_ascii_lowercase(),
                private_dns_enabled: truth(&endpoint["privateDnsEnabled"]).unwrap_or_default(),
                policy,
                security_groups: groups.collect(),
                subnet_ids: list(&endpoint["subnetIdSet"]).into_iter().map(text).collect(),
                ip_address_type: text(&endpoint["ipAddressType"]).to_ascii_lowercase(),
                vpc_endpoint_id: id,
            });
        }
        self.vpcs().await;
        let (mut groups, mut subnets) = (BTreeSet::new(), BTreeSet::new());
        for endpoint in &self.snapshot.vpc_endpoints {
            groups.extend(endpoint.security_groups.iter().cloned());
            subnets.extend(endpoint.subnet_ids.iter().cloned());
        }
        for place in self.snapshot.places() {
            groups.extend(place.security_group_ids.iter().cloned());
            subnets.extend(place.subnet_ids.iter().cloned());
        }
        for group in self.by_id("DescribeSecurityGroups", "group-id", &groups, "securityGroupInfo").await {
            self.snapshot.security_groups.push(SecurityGroup {
                group_id: text(&group["groupId"]),
                vpc_id: text(&group["vpcId"]),
                ingress: list(&group["ipPermissions"]).into_iter().map(rule).collect(),
                egress: list(&group["ipPermissionsEgress"]).into_iter().map(rule).collect(),
            });
        }
        for subnet in self.by_id("DescribeSubnets", "subnet-id", &subnets, "subnetSet").await {
            let associated =
                |it: &&Value| matches!(it["ipv6CidrBlockState"]["state"].as_str(), Some("associated"));
            let ipv6 = list(&subnet["ipv6CidrBlockAssociationSet"]).into_iter().filter(associated);
            self.snapshot.subnets.push(Subnet {
                ipv6_cidr_blocks: ipv6.map(|it| text(&it["ipv6CidrBlock"])).collect(),
                subnet_id: text(&subnet["subnetId"]),
                vpc_id: text(&subnet["vpcId"]),
                cidr_block: text(&subnet["cidrBlock"]),
                availability_zone: text(&subnet["availabilityZone"]),
            });
        }
        // Subnets are more reliable than the function's own configuration, and the only source for services.
        self.snapshot.learn_vpcs();
    }

    async fn vpcs(&mut self) {
        let ids: BTreeSet<_> =
            self.snapshot.vpc_endpoints.iter().map(|endpoint| endpoint.vpc_id.clone()).collect();
        for id in ids {
            let mut values = [None, None];
            for (place, attribute) in ["enableDnsSupport", "enableDnsHostnames"].into_iter().enumerate() {
                let parameters = [("VpcId", id.as_str()), ("Attribute", attribute)];
                let answer = self.client.query("ec2", "DescribeVpcAttribute", &parameters).await;
                let answer = self.noted("ec2:DescribeVpcAttribute", None, answer).unwrap_or_default();
                values[place] = truth(&answer[attribute]["value"]);
            }
            let [enable_dns_support, enable_dns_hostnames] = values;
            self.snapshot.vpcs.push(Vpc { vpc_id: id, enable_dns_support, enable_dns_hostnames });
        }
    }

    /// Reads resources by their ids, 100 per call. Uses a filter, because an id that no longer exists is then no error.
    async fn by_id(&mut self, action: &str, filter: &str, ids: &BTreeSet<String>, items: &str) -> Vec<Value> {
        const BATCH: usize = 100;
        let ids: Vec<_> = ids.iter().collect();
        let mut all = Vec::new();
        for batch in ids.chunks(BATCH) {
            let names: Vec<_> = (1..=batch.len()).map(|place| format!("Filter.1.Value.{place}")).collect();
            let mut parameters = vec![("Filter.1.Name", filter)];
            parameters.extend(names.iter().zip(batch).map(|(name, id)| (name.as_str(), id.as_str())));
            all.extend(self.query_pages("ec2", action, &parameters, items, TOKEN).await);
        }
        all
    }
}

fn rule(permission: &Value) -> SecurityRule {
    let port = |name: &str| text(&permission[name]).parse().ok();
    let each = |list_name: &str, name: &str| {
        list(&permission[list_name]).into_iter().map(|it| text(&it[name])).collect()
    };
    let mut cidrs: Vec<String> = each("ipRanges", "cidrIp");
    cidrs.extend::<Vec<String>>(each("ipv6Ranges", "cidrIpv6"));
    SecurityRule {
        ip_protocol: text(&permission["ipProtocol"]),
        from_port: port("fromPort"),
        to_port: port("toPort"),
        cidrs,
        groups: each("groups", "groupId"),
        prefix_lists: each("prefixListIds", "prefixListId"),
    }
}
