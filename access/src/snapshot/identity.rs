//! Roles, users, and the policies that apply to them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::document::Document;

record! {
    /// A policy with a name.
    NamedPolicy {
        /// The name of an inline policy, or the ARN of a managed one.
        name: String,
        /// Its document.
        document: Option<Document>,
    }
}

record! {
    /// The policies attached to one level of an organization.
    PolicyLevel {
        /// The id of the root, the organizational unit or the account.
        target: String,
        /// The policies. If there are none, this kind of policy is turned off at that level.
        policies: Vec<NamedPolicy>,
    }
}

record! {
    /// A role or a user.
    Principal {
        /// Its ARN.
        arn: String,
        /// Its unique id, such as `AROA…`.
        id: String,
        /// Inline policies; those of a user's groups are named `group/policy`.
        inline_policies: Vec<NamedPolicy>,
        /// ARNs of managed policies, including those of a user's groups.
        attached_policies: Vec<String>,
        /// ARN of the permissions boundary.
        permissions_boundary: Option<String>,
        /// Tags.
        tags: BTreeMap<String, String>,
        /// The trust policy of a role.
        trust_policy: Option<Document>,
    }
}
