//! Collects ECS tasks and services, and EC2 instances: the secrets they are given, and the network from which they
//! read.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::{Collector, list, text, texts};
use crate::snapshot::{TaskDefinition, Workload};

const TOKEN: [&str; 2] = ["nextToken", "nextToken"];

/// Task definitions by ARN; null if one could not be read.
pub(super) type Definitions = BTreeMap<String, Value>;

impl Collector<'_> {
    /// Collects the newest revision of each family of task definitions.
    pub(super) async fn tasks(&mut self) -> Definitions {
        let body = json!({"status": "ACTIVE", "sort": "DESC"});
        let arns = self.pages("ecs", "ListTaskDefinitions", body, "taskDefinitionArns", TOKEN).await;
        let mut newest: BTreeMap<String, (u64, String)> = BTreeMap::new();
        for arn in arns.iter().map(text) {
            let Some((family, revision)) = arn.rsplit_once(':') else { continue };
            let revision = revision.parse().unwrap_or_default();
            let known = newest.entry(family.to_owned()).or_default();
            if revision >= known.0 {
                *known = (revision, arn);
            }
        }
        let mut definitions = Definitions::new();
        for (_, arn) in newest.into_values() {
            let task = self.definition(&mut definitions, &arn).await;
            let secrets = injected(task);
            if !secrets.is_empty() {
                let task_definition = TaskDefinition {
                    task_definition_arn: arn,
                    task_role_arn: task["taskRoleArn"].as_str().map(str::to_owned),
                    execution_role_arn: task["executionRoleArn"].as_str().map(str::to_owned),
                    secrets,
                };
                self.snapshot.task_definitions.push(task_definition);
            }
        }
        definitions
    }

    async fn definition<'d>(&mut self, known: &'d mut Definitions, arn: &str) -> &'d Value {
        if !known.contains_key(arn) {
            let answer =
                self.client.json("ecs", "DescribeTaskDefinition", &json!({"taskDefinition": arn})).await;
            let answer = self.noted("ecs:DescribeTaskDefinition", None, answer).unwrap_or_default();
            known.insert(arn.to_owned(), answer["taskDefinition"].clone());
        }
        &known[arn]
    }

    /// Collects services whose tasks have their own network interfaces. The others use the interface of their instance.
    pub(super) async fn services(&mut self, definitions: &mut Definitions) {
        /// The most services that DescribeServices accepts.
        const BATCH: usize = 10;
        let clusters = self.pages("ecs", "ListClusters", json!({}), "clusterArns", TOKEN).await;
        for cluster in clusters.iter().map(text) {
            let body = json!({"cluster": cluster, "maxResults": 100});
            let arns = self.pages("ecs", "ListServices", body, "serviceArns", TOKEN).await;
            for batch in arns.chunks(BATCH) {
                let body = json!({"cluster": cluster, "services": batch});
                let answer = self.client.json("ecs", "DescribeServices", &body).await;
                let Some(answer) = self.noted("ecs:DescribeServices", None, answer) else { continue };
                for service in list(&answer["services"]) {
                    self.service(service, definitions).await;
                }
            }
        }
    }

    async fn service(&mut self, service: &Value, definitions: &mut Definitions) {
        let network = &service["networkConfiguration"]["awsvpcConfiguration"];
        let subnet_ids = texts(&network["subnets"]);
        if subnet_ids.is_empty() {
            return;
        }
        let task = self.definition(definitions, &text(&service["taskDefinition"])).await;
        let mut roles: Vec<_> = task["taskRoleArn"].as_str().into_iter().map(str::to_owned).collect();
        // On Fargate, injected secrets are also read from the task's network; elsewhere, from the instance's.
        let providers = list(&service["capacityProviderStrategy"]);
        let is_fargate = service["launchType"] == "FARGATE"
            || providers.iter().any(|it| text(&it["capacityProvider"]).starts_with("FARGATE"));
        if is_fargate && !injected(task).is_empty() {
            roles.extend(task["executionRoleArn"].as_str().map(str::to_owned));
        }
        self.snapshot.workloads.push(Workload {
            arn: text(&service["serviceArn"]),
            roles,
            subnet_ids,
            security_group_ids: texts(&network["securityGroups"]),
            vpc_id: None,
        });
    }

    /// Collects instances with a role, one of each group with the same role, subnet and security groups.
    pub(super) async fn instances(&mut self) {
        let filter = [
            ("Filter.1.Name", "instance-state-name"),
            ("Filter.1.Value.1", "pending"),
            ("Filter.1.Value.2", "running"),
            ("MaxResults", "1000"),
        ];
        let token = ["NextToken", "nextToken"];
        let reservations =
            self.query_pages("ec2", "DescribeInstances", &filter, "reservationSet", token).await;
        let mut seen = BTreeSet::new();
        for instance in reservations.iter().flat_map(|reservation| list(&reservation["instancesSet"])) {
            let profile = text(&instance["iamInstanceProfile"]["arn"]);
            let Some(role) = self.instance_profiles.get(&profile).cloned() else { continue };
            let subnet = text(&instance["subnetId"]);
            let groups: Vec<_> =
                list(&instance["groupSet"]).into_iter().map(|group| text(&group["groupId"])).collect();
            if subnet.is_empty() || !seen.insert((role.clone(), subnet.clone(), groups.clone())) {
                continue;
            }
            let place = &self.snapshot;
            let (partition, region, account) = (&place.partition, &place.region, &place.account);
            let id = text(&instance["instanceId"]);
            self.snapshot.workloads.push(Workload {
                arn: format!("arn:{partition}:ec2:{region}:{account}:instance/{id}"),
                roles: vec![role],
                subnet_ids: vec![subnet],
                security_group_ids: groups,
                vpc_id: instance["vpcId"].as_str().map(str::to_owned),
            });
        }
    }
}

/// The secrets that a task's containers receive in their environment and for their logs: `valueFrom`, as written.
fn injected(task: &Value) -> Vec<String> {
    let containers = task["containerDefinitions"].as_array().into_iter().flatten();
    let options = |container: &Value| {
        let log = container["logConfiguration"]["secretOptions"].as_array().cloned();
        container["secrets"].as_array().cloned().into_iter().chain(log).flatten().collect::<Vec<_>>()
    };
    containers.flat_map(options).map(|it| text(&it["valueFrom"])).collect()
}
