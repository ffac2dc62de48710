//! Collects roles, users, and the organization above them.

use std::collections::{BTreeMap, BTreeSet};

use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use super::secrets::tags;
use super::{Collector, list, taken, text};
use crate::document::Document;
use crate::snapshot::{NamedPolicy, PolicyLevel, Principal};

const DETAILS: &str = "iam:GetAccountAuthorizationDetails";

impl Collector<'_> {
    pub(super) async fn principals(&mut self) {
        let mut marker = String::new();
        let mut pages = Vec::new();
        loop {
            let mut parameters = vec![("MaxItems", "1000")];
            if !marker.is_empty() {
                parameters.push(("Marker", &marker));
            }
            let answer = self.client.query("iam", "GetAccountAuthorizationDetails", &parameters).await;
            let Some(mut answer) = self.noted(DETAILS, None, answer) else { return };
            let page = taken(&mut answer, "GetAccountAuthorizationDetailsResult");
            marker = text(&page["Marker"]);
            pages.push(page);
            if marker.is_empty() {
                break;
            }
        }
        let all = |name: &str| pages.iter().flat_map(|page| list(&page[name])).collect::<Vec<_>>();
        let groups: BTreeMap<_, _> =
            all("GroupDetailList").into_iter().map(|group| (text(&group["GroupName"]), group)).collect();
        let mut principals = Vec::new();
        for role in all("RoleDetailList") {
            let mut principal = self.principal(role, "RolePolicyList");
            let trust = decode(&text(&role["AssumeRolePolicyDocument"]));
            principal.trust_policy = self.policy(DETAILS, &principal.arn, &trust);
            for profile in list(&role["InstanceProfileList"]) {
                self.instance_profiles.insert(text(&profile["Arn"]), principal.arn.clone());
            }
            principals.push(principal);
        }
        for user in all("UserDetailList") {
            let mut principal = self.principal(user, "UserPolicyList");
            for name in list(&user["GroupList"]).into_iter().map(text) {
                let Some(group) = groups.get(&name) else { continue };
                let of_group = self.principal(group, "GroupPolicyList");
                principal.attached_policies.extend(of_group.attached_policies);
                principal.inline_policies.extend(
                    of_group
                        .inline_policies
                        .into_iter()
                        .map(|policy| NamedPolicy { name: format!("{name}/{}", policy.name), ..policy }),
                );
            }
            principals.push(principal);
        }
        let used: BTreeSet<_> = principals
            .iter()
            .flat_map(|principal| principal.attached_policies.iter().chain(&principal.permissions_boundary))
            .cloned()
            .collect();
        for policy in all("Policies") {
            let arn = text(&policy["Arn"]);
            if !used.contains(&arn) {
                continue;
            }
            let is_default = |version: &Value| text(&version["IsDefaultVersion"]) == "true";
            let versions = list(&policy["PolicyVersionList"]);
            let mut unused: Vec<_> = versions.iter().filter(|version| !is_default(version)).collect();
            // v2 is older than v10.
            unused.sort_by_key(|version| {
                text(&version["VersionId"]).trim_start_matches('v').parse::<u64>().ok()
            });
            let unused = unused.into_iter().map(|version| text(&version["VersionId"])).collect();
            self.snapshot.unused_policy_versions.insert(arn.clone(), unused);
            let default = versions.iter().find(|version| is_default(version));
            let document = default.map(|version| decode(&text(&version["Document"]))).unwrap_or_default();
            if let Some(document) = self.policy(DETAILS, &arn, &document) {
                self.snapshot.managed_policies.insert(arn, document);
            }
        }
        self.snapshot.principals = principals;
    }

    fn principal(&mut self, answer: &Value, inline: &str) -> Principal {
        let arn = text(&answer["Arn"]);
        let ids = ["RoleId", "UserId", "GroupId"];
        let inline_policies = list(&answer[inline])
            .into_iter()
            .map(|policy| NamedPolicy {
                name: text(&policy["PolicyName"]),
                document: self.policy(DETAILS, &arn, &decode(&text(&policy["PolicyDocument"]))),
            })
            .collect();
        let boundary = &answer["PermissionsBoundary"]["PermissionsBoundaryArn"];
        Principal {
            id: ids.iter().map(|name| text(&answer[*name])).find(|id| !id.is_empty()).unwrap_or_default(),
            inline_policies,
            attached_policies: list(&answer["AttachedManagedPolicies"])
                .into_iter()
                .map(|policy| text(&policy["PolicyArn"]))
                .collect(),
            permissions_boundary: boundary.as_str().map(str::to_owned),
            tags: tags(&answer["Tags"]),
            trust_policy: None,
            arn,
        }
    }

    pub(super) async fn organization(&mut self) {
        const DESCRIBE: &str = "organizations:DescribeOrganization";
        let answer = self.client.json("organizations", "DescribeOrganization", &json!({})).await;
        if answer.as_ref().is_err_and(|fault| fault.code == "AWSOrganizationsNotInUseException") {
            return;
        }
        let Some(answer) = self.noted(DESCRIBE, None, answer) else { return };
        let organization = &answer["Organization"];
        self.snapshot.organization_id = organization["Id"].as_str().map(str::to_owned);
        self.snapshot.is_management_account = organization["MasterAccountId"] == json!(self.snapshot.account);
        // From the account up to the root.
        let mut targets = vec![self.snapshot.account.clone()];
        loop {
            let below = targets.last().cloned().unwrap_or_default();
            let answer = self.client.json("organizations", "ListParents", &json!({"ChildId": below})).await;
            let Some(answer) = self.noted("organizations:ListParents", None, answer) else { return };
            let parent = &answer["Parents"][0];
            let Some(id) = parent["Id"].as_str() else { break };
            targets.push(id.to_owned());
            if parent["Type"] == "ROOT" {
                break;
            }
        }
        targets.reverse();
        self.snapshot.service_control_policies = self.levels(&targets, "SERVICE_CONTROL_POLICY").await;
        self.snapshot.resource_control_policies = self.levels(&targets, "RESOURCE_CONTROL_POLICY").await;
    }

    async fn levels(&mut self, targets: &[String], kind: &str) -> Vec<PolicyLevel> {
        let mut known: BTreeMap<String, Option<Document>> = BTreeMap::new();
        let mut levels = Vec::new();
        for target in targets {
            let body = json!({"TargetId": target, "Filter": kind});
            let answer = self.client.json("organizations", "ListPoliciesForTarget", &body).await;
            // A kind of policy that the organization or the endpoint does not support restricts nothing.
            if answer.as_ref().is_err_and(|fault| {
                fault.code.contains("NotEnabled") || fault.code == "InvalidInputException"
            }) {
                return Vec::new();
            }
            let Some(answer) = self.noted("organizations:ListPoliciesForTarget", None, answer) else {
                return levels;
            };
            let mut policies = Vec::new();
            for policy in answer["Policies"].as_array().into_iter().flatten() {
                let (id, name) = (text(&policy["Id"]), text(&policy["Name"]));
                if !known.contains_key(&id) {
                    let answer =
                        self.client.json("organizations", "DescribePolicy", &json!({"PolicyId": id})).await;
                    let answer =
                        self.noted("organizations:DescribePolicy", Some(&id), answer).unwrap_or_default();
                    let content = text(&answer["Policy"]["Content"]);
                    let document = self.policy("organizations:DescribePolicy", &id, &content);
                    known.insert(id.clone(), document);
                }
                policies.push(NamedPolicy { name, document: known[&id].clone() });
            }
            levels.push(PolicyLevel { target: target.clone(), policies });
        }
        levels
    }
}

/// Decodes a policy. IAM percent-encodes policies; some endpoints do not.
fn decode(text: &str) -> String {
    if text.trim_start().starts_with('{') {
        return text.to_owned();
    }
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}
