//! Consumers of secrets: functions, tasks, databases and proxies.

use serde::{Deserialize, Serialize};

use crate::document::Document;

record! {
    /// A Lambda function.
    Function {
        /// Its ARN.
        function_arn: String,
        /// Its execution role.
        role: String,
        /// Its subnets; empty outside of a VPC.
        subnet_ids: Vec<String>,
        /// Its security groups.
        security_group_ids: Vec<String>,
        /// Its VPC.
        vpc_id: Option<String>,
        /// Names of its environment variables.
        variables: Vec<String>,
        /// Whether the variable `AWS_USE_FIPS_ENDPOINT` is `true`, which makes it use the service's FIPS name.
        uses_fips_endpoint: bool,
        /// ARNs of secrets whose value, or a field of it, is in one of its variables. Found by comparing in memory, if
        /// the collector was allowed to read values.
        injected_secrets: Vec<String>,
        /// The variable `SECRETCACHE_STRATEGY` of our own rotation function.
        strategy: Option<String>,
        /// Its resource policy; collected for rotation functions.
        policy: Option<Document>,
    }
}

record! {
    /// An ECS task definition.
    TaskDefinition {
        /// Its ARN.
        task_definition_arn: String,
        /// The task's own role.
        task_role_arn: Option<String>,
        /// The role that reads the injected secrets.
        execution_role_arn: Option<String>,
        /// Injected secrets: `valueFrom`, as written.
        secrets: Vec<String>,
    }
}

record! {
    /// An RDS instance or cluster.
    Database {
        /// Its ARN.
        arn: String,
        /// Its host names.
        endpoints: Vec<String>,
        /// The secret that RDS manages for its master user.
        master_user_secret_arn: Option<String>,
        /// Whether it accepts IAM authentication tokens.
        #[serde(rename = "IAMDatabaseAuthenticationEnabled")]
        iam_database_authentication_enabled: bool,
        /// Whether it belongs to a cluster; the checks then use the cluster.
        is_cluster_member: bool,
    }
}

record! {
    /// An RDS proxy.
    Proxy {
        /// Its name.
        name: String,
        /// The secrets it logs in with.
        secret_arns: Vec<String>,
    }
}
