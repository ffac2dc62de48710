//! Collects functions, databases and proxies, which use secrets.

use serde_json::Value;

use super::{Collector, Variable, list, text, texts, truth};
use crate::reach::same_function;
use crate::snapshot::{Database, Function, Proxy};

/// The shortest variable to compare. Shorter texts are unlikely to be secrets, but could equal a field of one by
/// chance.
const SHORTEST: usize = 8;

impl Collector<'_> {
    pub(super) async fn functions(&mut self) {
        let mut marker = String::new();
        loop {
            let path = format!("2015-03-31/functions?MaxItems=50{marker}");
            let answer = self.client.get("lambda", "ListFunctions", &path).await;
            let Some(answer) = self.noted("lambda:ListFunctions", None, answer) else { return };
            for function in answer["Functions"].as_array().into_iter().flatten() {
                self.function(function);
            }
            match answer["NextMarker"].as_str().filter(|next| !next.is_empty()) {
                Some(next) => {
                    let encoded: String = form_urlencoded::byte_serialize(next.as_bytes()).collect();
                    marker = format!("&Marker={encoded}");
                }
                None => break,
            }
        }
        let rotators: Vec<_> =
            self.snapshot.secrets.iter().filter_map(|it| it.rotation_lambda_arn.clone()).collect();
        for place in 0..self.snapshot.functions.len() {
            let arn = self.snapshot.functions[place].function_arn.clone();
            if !rotators.iter().any(|rotator| same_function(rotator, &arn)) {
                continue;
            }
            let name = arn.rsplit(':').next().unwrap_or_default();
            let answer =
                self.client.get("lambda", "GetPolicy", &format!("2015-03-31/functions/{name}/policy")).await;
            // For a function without a policy, Lambda returns the same error as for one that does not exist.
            if answer.as_ref().is_err_and(|fault| fault.code.contains("ResourceNotFound")) {
                continue;
            }
            let answer = self.noted("lambda:GetPolicy", None, answer);
            let policy =
                answer.and_then(|answer| self.policy("lambda:GetPolicy", &arn, &text(&answer["Policy"])));
            self.snapshot.functions[place].policy = policy;
        }
    }

    fn function(&mut self, answer: &Value) {
        let vpc = &answer["VpcConfig"];
        let variables = answer["Environment"]["Variables"].as_object();
        let place = self.snapshot.functions.len();
        let values = variables.into_iter().flatten().map(|(_, value)| text(value));
        let values = values.filter(|text| text.len() >= SHORTEST);
        self.variables.extend(values.map(|text| Variable { function: place, text }));
        self.snapshot.functions.push(Function {
            function_arn: text(&answer["FunctionArn"]),
            role: text(&answer["Role"]),
            subnet_ids: texts(&vpc["SubnetIds"]),
            security_group_ids: texts(&vpc["SecurityGroupIds"]),
            vpc_id: vpc["VpcId"].as_str().filter(|id| !id.is_empty()).map(str::to_owned),
            variables: variables.into_iter().flatten().map(|(name, _)| name.clone()).collect(),
            uses_fips_endpoint: answer["Environment"]["Variables"]["AWS_USE_FIPS_ENDPOINT"]
                .as_str()
                .is_some_and(|value| value.eq_ignore_ascii_case("true")),
            injected_secrets: Vec::new(),
            strategy: answer["Environment"]["Variables"]["SECRETCACHE_STRATEGY"].as_str().map(str::to_owned),
            policy: None,
        });
    }

    pub(super) async fn databases(&mut self) {
        const MARKER: [&str; 2] = ["Marker", "Marker"];
        for (action, items) in [("DescribeDBInstances", "DBInstances"), ("DescribeDBClusters", "DBClusters")]
        {
            for answer in self.query_pages("rds", action, &[], items, MARKER).await {
                let secret = &answer["MasterUserSecret"]["SecretArn"];
                let endpoint = &answer["Endpoint"];
                let hosts = [&endpoint["Address"], endpoint, &answer["ReaderEndpoint"]];
                self.snapshot.databases.push(Database {
                    arn: [&answer["DBInstanceArn"], &answer["DBClusterArn"]].map(text).concat(),
                    endpoints: hosts.iter().filter_map(|host| host.as_str()).map(str::to_owned).collect(),
                    master_user_secret_arn: secret.as_str().map(str::to_owned),
                    iam_database_authentication_enabled: truth(&answer["IAMDatabaseAuthenticationEnabled"])
                        .unwrap_or_default(),
                    is_cluster_member: action == "DescribeDBInstances"
                        && answer["DBClusterIdentifier"].as_str().is_some_and(|id| !id.is_empty()),
                });
            }
        }
        for proxy in self.query_pages("rds", "DescribeDBProxies", &[], "DBProxies", MARKER).await {
            self.snapshot.proxies.push(Proxy {
                name: text(&proxy["DBProxyName"]),
                secret_arns: list(&proxy["Auth"]).into_iter().map(|auth| text(&auth["SecretArn"])).collect(),
            });
        }
    }
}
