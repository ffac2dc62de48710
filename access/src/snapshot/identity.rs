//! Roles, users, and the policies that bind them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::document::Document;

record! {
    /// A policy with a name.
    NamedPolicy {
        /// Name of an inline policy, ARN of a managed one.
        name: String,
        /// Its document.
        document: Option<Document>,
    }
}

record! {
    /// The policies attached to one level of an organization.
    PolicyLevel {
        /// Root, organizational unit or account: its id.
        target: String,
        /// The policies. A level without any is one where the kind of policy is turned off.
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
        /// Inline policies; those of a user's groups are `group/policy`.
        inline_policies: Vec<NamedPolicy>,
        /// ARNs of managed policies, a user's groups' included.
        attached_policies: Vec<String>,
        /// ARN of the permissions boundary.
        permissions_boundary: Option<String>,
        /// Tags.
        tags: BTreeMap<String, String>,
        /// Of a role: who may assume it.
        trust_policy: Option<Document>,
    }
}
