//! The permissions that each feature of secretcache needs, in one table that generates both the policies and the
//! documentation.

/// Something that a program or a person does with secrets.
#[derive(Clone, Copy, Debug)]
pub struct Feature {
    /// Its id on the command line and in tests, such as `read`.
    pub id: &'static str,
    /// A description for people.
    pub title: &'static str,
    /// The permissions it needs. Several features can list the same grant.
    pub grants: &'static [Grant],
}

/// Actions that a feature needs on one kind of resource.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Grant {
    /// The statement id.
    pub sid: &'static str,
    /// The actions, each with its service prefix.
    pub actions: &'static [&'static str],
    /// The resources that the actions apply to.
    pub on: On,
}

/// The kind of resource that a grant applies to.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum On {
    /// The secrets that the user names.
    Secrets,
    /// The administrator's secrets that the user names. Skipped if none are named and only a recovery could need one.
    MasterSecrets,
    /// The keys that encrypt the secrets, limited to use through Secrets Manager for these secrets.
    Keys,
    /// The keys of the administrator's secrets, with the same limits.
    MasterKeys,
    /// The IAM users that the user names.
    Users,
    /// The roles that the user names.
    Roles,
    /// The rotation functions that the user names.
    Functions,
    /// The log groups of those rotation functions.
    Logs,
    /// Resources of one kind in the account and Region, as `service:resource`.
    InAccount(&'static str, &'static str),
    /// Accounts, organizational units, roots and policies of the organization; their ARNs contain the management
    /// account.
    Organization,
    /// Trails in any Region and account: a multi-Region trail has the ARN of its home Region, and an organization trail
    /// belongs to the management account. Source: AWS CloudTrail User Guide, "Creating a trail for an organization".
    Trails,
    /// Actions without resource-level permissions.
    Everything,
}

impl On {
    /// Returns a description for the documentation.
    pub fn words(self) -> String {
        let words = match self {
            Self::InAccount(service, resource) => return format!("`{service}` `{resource}` of the account"),
            Self::Secrets => "the secrets",
            Self::MasterSecrets => "the administrator's secret, if the rotation has one",
            Self::Keys => "their customer-managed key",
            Self::MasterKeys => "the key of the administrator's secret",
            Self::Users => "the IAM users",
            Self::Roles => "the roles",
            Self::Functions => "the rotation function",
            Self::Logs => "the function's log group",
            Self::Organization => "the organization",
            Self::Trails => {
                "trails in any Region and account: a multi-Region trail has the ARN of its home Region, and an organization \
                 trail belongs to the management account"
            }
            Self::Everything => "`*` (no resource-level permissions)",
        };
        words.to_owned()
    }
}

const GET: Grant = Grant { sid: "Read", actions: &["secretsmanager:GetSecretValue"], on: On::Secrets };
const DESCRIBE: Grant =
    Grant { sid: "Describe", actions: &["secretsmanager:DescribeSecret"], on: On::Secrets };
const DECRYPT: Grant = Grant { sid: "Decrypt", actions: &["kms:Decrypt"], on: On::Keys };
const VERSIONS: Grant =
    Grant { sid: "ListVersions", actions: &["secretsmanager:ListSecretVersionIds"], on: On::Secrets };
const LIST: Grant = Grant { sid: "List", actions: &["secretsmanager:ListSecrets"], on: On::Everything };
const WRITE: Grant = Grant {
    sid: "Rotate",
    actions: &["secretsmanager:PutSecretValue", "secretsmanager:UpdateSecretVersionStage"],
    on: On::Secrets,
};
const PASSWORD: Grant =
    Grant { sid: "RandomPassword", actions: &["secretsmanager:GetRandomPassword"], on: On::Everything };
const ENCRYPT: Grant = Grant { sid: "Encrypt", actions: &["kms:GenerateDataKey"], on: On::Keys };
const MASTER: Grant =
    Grant { sid: "ReadMaster", actions: &["secretsmanager:GetSecretValue"], on: On::MasterSecrets };
const DECRYPT_MASTER: Grant = Grant { sid: "DecryptMaster", actions: &["kms:Decrypt"], on: On::MasterKeys };

const fn in_account(
    sid: &'static str,
    service: &'static str,
    resource: &'static str,
    actions: &'static [&'static str],
) -> Grant {
    Grant { sid, actions, on: On::InAccount(service, resource) }
}

/// All features, in the order of the documentation.
pub const FEATURES: &[Feature] = &[
    Feature { id: "read", title: "Read a secret", grants: &[GET, DECRYPT] },
    Feature {
        id: "refresh",
        title: "Refresh without decrypting, and notice rotations early",
        grants: &[DESCRIBE],
    },
    Feature {
        id: "connect",
        title: "Connect during a rotation (reads `AWSPENDING` and `AWSPREVIOUS`: no condition on `secretsmanager:VersionStage`)",
        grants: &[GET, DESCRIBE, DECRYPT],
    },
    Feature {
        id: "prefetch",
        title: "Prefetch in batches",
        grants: &[
            Grant { sid: "Batch", actions: &["secretsmanager:BatchGetSecretValue"], on: On::Everything },
            GET,
            DECRYPT,
        ],
    },
    Feature {
        id: "assume",
        title: "Read as another role (`role_arn`, `roles`); the role's trust policy must allow it too",
        grants: &[Grant { sid: "AssumeRoles", actions: &["sts:AssumeRole"], on: On::Roles }],
    },
    Feature {
        id: "rotate-single-user",
        title: "Rotate: single user",
        grants: &[DESCRIBE, GET, WRITE, PASSWORD, DECRYPT, ENCRYPT],
    },
    Feature {
        id: "rotate-dual-password",
        title: "Rotate: dual passwords",
        grants: &[DESCRIBE, GET, WRITE, PASSWORD, DECRYPT, ENCRYPT],
    },
    Feature {
        id: "rotate-alternating-users",
        title: "Rotate: alternating users, or a single user changed by an administrator",
        grants: &[DESCRIBE, GET, WRITE, PASSWORD, DECRYPT, ENCRYPT, MASTER, DECRYPT_MASTER],
    },
    Feature {
        id: "rotate-api-key",
        title: "Rotate: API keys of your own service",
        grants: &[DESCRIBE, GET, WRITE, DECRYPT, ENCRYPT],
    },
    Feature {
        id: "rotate-iam-key",
        title: "Rotate: access keys of IAM users",
        grants: &[
            DESCRIBE,
            GET,
            WRITE,
            DECRYPT,
            ENCRYPT,
            Grant {
                sid: "AccessKeys",
                actions: &[
                    "iam:CreateAccessKey",
                    "iam:DeleteAccessKey",
                    "iam:ListAccessKeys",
                    "iam:ListUserTags",
                    "iam:TagUser",
                    "iam:UntagUser",
                ],
                on: On::Users,
            },
        ],
    },
    Feature {
        id: "function",
        title: "Run as a Lambda function",
        grants: &[Grant {
            sid: "Logs",
            actions: &["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"],
            on: On::Logs,
        }],
    },
    Feature {
        id: "function-in-vpc",
        title: "Run as a Lambda function in a VPC",
        // The role must be able to delete every interface, or Lambda refuses to create the function. Source: AWS Lambda
        // Developer Guide, "Giving Lambda functions access to resources in an Amazon VPC", required permissions.
        grants: &[
            in_account(
                "NetworkInterfaces",
                "ec2",
                "*/*",
                &[
                    "ec2:AssignPrivateIpAddresses",
                    "ec2:CreateNetworkInterface",
                    "ec2:DeleteNetworkInterface",
                    "ec2:UnassignPrivateIpAddresses",
                ],
            ),
            Grant {
                sid: "SeeNetwork",
                actions: &["ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets"],
                on: On::Everything,
            },
        ],
    },
    Feature {
        id: "schedule",
        title: "Turn rotation by a function on or off, or start it",
        grants: &[
            Grant {
                sid: "Schedule",
                actions: &["secretsmanager:CancelRotateSecret", "secretsmanager:RotateSecret"],
                on: On::Secrets,
            },
            Grant { sid: "InvokeFunction", actions: &["lambda:InvokeFunction"], on: On::Functions },
        ],
    },
    Feature {
        id: "status",
        title: "`secretcache status`, and dry runs",
        grants: &[DESCRIBE, VERSIONS, GET, DECRYPT],
    },
    Feature {
        id: "recover",
        title: "`secretcache recover`, `adopt` and `revoke-previous`",
        grants: &[DESCRIBE, VERSIONS, GET, WRITE, DECRYPT, ENCRYPT, MASTER, DECRYPT_MASTER],
    },
    Feature {
        id: "audit",
        title: "`secretcache audit` and `secretcache access`",
        grants: &[
            Grant {
                sid: "AuditSecrets",
                actions: &[
                    "secretsmanager:DescribeSecret",
                    "secretsmanager:GetResourcePolicy",
                    "secretsmanager:ListSecretVersionIds",
                ],
                on: On::Secrets,
            },
            in_account(
                "AuditKeys",
                "kms",
                "key/*",
                &["kms:DescribeKey", "kms:GetKeyPolicy", "kms:GetKeyRotationStatus", "kms:ListGrants"],
            ),
            in_account("AuditVpcs", "ec2", "vpc/*", &["ec2:DescribeVpcAttribute"]),
            Grant {
                sid: "AuditOrganization",
                actions: &[
                    "organizations:DescribePolicy",
                    "organizations:ListParents",
                    "organizations:ListPoliciesForTarget",
                ],
                on: On::Organization,
            },
            in_account("AuditFunctions", "lambda", "function:*", &["lambda:GetPolicy"]),
            Grant {
                sid: "AuditTrails",
                actions: &["cloudtrail:GetEventSelectors", "cloudtrail:GetTrailStatus"],
                on: On::Trails,
            },
            in_account("AuditRules", "events", "rule/*", &["events:ListRules", "events:ListTargetsByRule"]),
            in_account("AuditFilters", "logs", "log-group:*", &["logs:DescribeMetricFilters"]),
            in_account("AuditAlarms", "cloudwatch", "alarm:*", &["cloudwatch:DescribeAlarms"]),
            in_account("AuditServices", "ecs", "service/*", &["ecs:DescribeServices"]),
            in_account("AuditInstances", "rds", "db:*", &["rds:DescribeDBInstances"]),
            in_account("AuditClusters", "rds", "cluster:*", &["rds:DescribeDBClusters"]),
            in_account("AuditProxies", "rds", "db-proxy:*", &["rds:DescribeDBProxies"]),
            Grant {
                sid: "AuditAccount",
                actions: &[
                    "cloudtrail:DescribeTrails",
                    "cloudtrail:LookupEvents",
                    "ec2:DescribeInstances",
                    "ec2:DescribeSecurityGroups",
                    "ec2:DescribeSubnets",
                    "ec2:DescribeVpcEndpoints",
                    "ecs:DescribeTaskDefinition",
                    "ecs:ListClusters",
                    "ecs:ListServices",
                    "ecs:ListTaskDefinitions",
                    "iam:GetAccountAuthorizationDetails",
                    "lambda:ListFunctions",
                    "organizations:DescribeOrganization",
                    "secretsmanager:ListSecrets",
                    "sts:GetCallerIdentity",
                ],
                on: On::Everything,
            },
        ],
    },
    Feature { id: "by-prefix", title: "Commands with `--prefix`", grants: &[LIST] },
];

/// Returns the feature with this id.
///
/// ```
/// let read = secretcache_access::permissions::feature("read").unwrap();
/// assert_eq!(read.grants[0].actions, ["secretsmanager:GetSecretValue"]);
/// ```
pub fn feature(id: &str) -> Option<&'static Feature> {
    FEATURES.iter().find(|feature| feature.id == id)
}

/// Generates the documentation page that lists the permissions of each feature, in Markdown.
pub fn page() -> String {
    let mut page = String::from(
        "# Permissions\n\nThe permissions that each feature needs, and no more. `secretcache policy KIND --feature FEATURE` prints \
         them as a policy; without `--feature`, it prints what each kind usually needs. This page is generated from the same \
         table by `secretcache generate permissions`.\n\nThe rows about keys apply only to customer-managed keys: with the \
         default key `aws/secretsmanager`, every principal of the account that can read a secret can also use the key.\n",
    );
    for feature in FEATURES {
        page +=
            &format!("\n## {}\n\n`--feature {}`\n\n| action | on |\n|---|---|\n", feature.title, feature.id);
        for grant in feature.grants {
            let actions: Vec<_> = grant.actions.iter().map(|action| format!("`{action}`")).collect();
            page += &format!("| {} | {} |\n", actions.join(", "), grant.on.words());
        }
    }
    page
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn one_statement_id_means_one_grant() {
        let mut known = BTreeMap::new();
        for grant in FEATURES.iter().flat_map(|feature| feature.grants) {
            assert_eq!(known.entry(grant.sid).or_insert(grant), &grant);
        }
    }

    #[cfg(feature = "collect")]
    #[test]
    fn an_audit_may_make_the_calls_of_the_collector_and_no_others() {
        use std::collections::BTreeSet;
        let granted: BTreeSet<_> =
            feature("audit").unwrap().grants.iter().flat_map(|grant| grant.actions).copied().collect();
        assert_eq!(granted, BTreeSet::from_iter(crate::collect::CALLS.iter().copied()));
    }

    #[test]
    fn no_action_is_a_wildcard() {
        let actions = FEATURES.iter().flat_map(|feature| feature.grants).flat_map(|grant| grant.actions);
        assert!(actions.into_iter().all(|action| action.contains(':') && !action.contains('*')));
    }
}
