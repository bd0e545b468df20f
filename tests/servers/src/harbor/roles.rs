//! Rights in a project: the roles of members, the rights of everyone in a public project, and the permissions
//! that robots can get.

/// The role of a member of a project. The numbers are those of Harbor's API (`common/const.go`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// 1
    ProjectAdmin,
    /// 2
    Developer,
    /// 3
    Guest,
    /// 4
    Maintainer,
    /// 5
    LimitedGuest,
}

/// Resource → actions.
type Policies = &'static [(&'static str, &'static [&'static str])];

impl Role {
    pub(super) fn from_id(id: i64) -> Option<Role> {
        Some(match id {
            1 => Role::ProjectAdmin,
            2 => Role::Developer,
            3 => Role::Guest,
            4 => Role::Maintainer,
            5 => Role::LimitedGuest,
            _ => return None,
        })
    }

    pub(super) fn id(self) -> i64 {
        match self {
            Role::ProjectAdmin => 1,
            Role::Developer => 2,
            Role::Guest => 3,
            Role::Maintainer => 4,
            Role::LimitedGuest => 5,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Role::ProjectAdmin => "projectAdmin",
            Role::Developer => "developer",
            Role::Guest => "guest",
            Role::Maintainer => "maintainer",
            Role::LimitedGuest => "limitedGuest",
        }
    }

    pub(super) fn allows(self, action: &str, resource: &str) -> bool {
        allows(self.policies(), action, resource)
    }

    /// Harbor `common/rbac/project/rbac_role.go`; the empty resource is the project itself.
    pub(super) fn policies(self) -> Policies {
        match self {
            Role::ProjectAdmin => &[
                ("", &["read", "update", "delete"]),
                ("member", &["create", "read", "update", "delete", "list"]),
                ("metadata", &["create", "read", "update", "delete"]),
                ("log", &["list"]),
                ("label", &["create", "read", "update", "delete", "list"]),
                ("quota", &["read"]),
                ("repository", &["create", "read", "update", "delete", "list", "pull", "push"]),
                ("tag-retention", &["create", "read", "update", "delete", "list", "operate"]),
                ("immutable-tag", &["create", "update", "delete", "list"]),
                ("configuration", &["read", "update"]),
                ("robot", &["create", "read", "update", "delete", "list"]),
                ("notification-policy", &["create", "update", "delete", "list", "read"]),
                ("scan", &["create", "read", "stop"]),
                ("sbom", &["create", "stop", "read"]),
                ("scanner", &["read", "create"]),
                ("artifact", &["create", "read", "delete", "list"]),
                ("artifact-addition", &["read"]),
                ("tag", &["list", "create", "delete"]),
                ("accessory", &["list"]),
                ("artifact-label", &["create", "delete"]),
                ("preheat-policy", &["create", "read", "update", "delete", "list"]),
                ("export-cve", &["create", "read", "list"]),
            ],
            Role::Maintainer => &[
                ("", &["read"]),
                ("member", &["read", "list"]),
                ("metadata", &["read"]),
                ("quota", &["read"]),
                ("label", &["create", "read", "update", "delete", "list"]),
                ("repository", &["create", "read", "update", "delete", "list", "push", "pull"]),
                ("tag-retention", &["create", "read", "update", "delete", "list", "operate"]),
                ("accessory", &["list"]),
                ("immutable-tag", &["create", "update", "delete", "list"]),
                ("configuration", &["read"]),
                ("robot", &["read", "list"]),
                ("notification-policy", &["read", "list"]),
                ("scan", &["create", "read", "stop"]),
                ("sbom", &["create", "stop", "read"]),
                ("scanner", &["read"]),
                ("artifact", &["create", "read", "delete", "list"]),
                ("artifact-addition", &["read"]),
                ("tag", &["list", "create", "delete"]),
                ("artifact-label", &["create", "delete"]),
                ("export-cve", &["create", "read", "list"]),
            ],
            Role::Developer => &[
                ("", &["read"]),
                ("member", &["read", "list"]),
                ("label", &["read", "list"]),
                ("quota", &["read"]),
                ("repository", &["create", "read", "update", "list", "push", "pull"]),
                ("tag-retention", &["create", "read", "update", "delete", "list", "operate"]),
                ("configuration", &["read"]),
                ("robot", &["read", "list"]),
                ("scan", &["read"]),
                ("sbom", &["read"]),
                ("scanner", &["read"]),
                ("artifact", &["create", "read", "list"]),
                ("artifact-addition", &["read"]),
                ("tag", &["list", "create"]),
                ("accessory", &["list"]),
                ("artifact-label", &["create", "delete"]),
                ("export-cve", &["create", "read", "list"]),
            ],
            Role::Guest => &[
                ("", &["read"]),
                ("member", &["read", "list"]),
                ("label", &["read", "list"]),
                ("quota", &["read"]),
                ("repository", &["read", "list", "pull"]),
                ("configuration", &["read"]),
                ("robot", &["read", "list"]),
                ("scan", &["read"]),
                ("sbom", &["read"]),
                ("scanner", &["read"]),
                ("tag", &["list"]),
                ("accessory", &["list"]),
                ("artifact", &["read", "list"]),
                ("artifact-addition", &["read"]),
            ],
            Role::LimitedGuest => &[
                ("", &["read"]),
                ("quota", &["read"]),
                ("repository", &["list", "read", "pull"]),
                ("configuration", &["read"]),
                ("scan", &["read"]),
                ("sbom", &["read"]),
                ("scanner", &["read"]),
                ("tag", &["list"]),
                ("accessory", &["list"]),
                ("artifact", &["read", "list"]),
                ("artifact-addition", &["read"]),
            ],
        }
    }
}

/// The rights of everyone in a public project, without an account too (Harbor
/// `common/rbac/project/rbac_util.go`).
const PUBLIC: Policies = &[
    ("", &["read"]),
    ("label", &["read", "list"]),
    ("repository", &["list", "pull"]),
    ("scan", &["read"]),
    ("scanner", &["read"]),
    ("tag", &["list"]),
    ("artifact", &["read", "list"]),
    ("artifact-addition", &["read"]),
    ("accessory", &["list"]),
];

/// All of them.
pub(super) const ROLES: [Role; 5] =
    [Role::ProjectAdmin, Role::Maintainer, Role::Developer, Role::Guest, Role::LimitedGuest];

/// The rights that Harbor lists for the system (Harbor `common/rbac/system/policies.go`); quotas and robots
/// are not among them.
pub(super) const SYSTEM: Policies = &[
    ("catalog", &["read"]),
    ("audit-log", &["list"]),
    ("project", &["create", "read", "update", "delete", "list"]),
    ("user", &["create", "read", "update", "delete", "list"]),
    ("user-group", &["create", "read", "update", "delete", "list"]),
    ("registry", &["create", "read", "update", "delete", "list"]),
    ("replication", &["create", "read", "update", "list", "delete"]),
    ("distribution", &["create", "read", "update", "delete", "list"]),
    ("garbage-collection", &["create", "read", "update", "delete", "list"]),
    ("scan-all", &["create", "read", "update", "delete", "list", "stop"]),
    ("system-volumes", &["read"]),
    ("ldap-user", &["create", "list"]),
    ("configuration", &["read", "update"]),
    ("jobservice-monitor", &["read", "list", "stop"]),
    ("security-hub", &["read", "list"]),
];

/// The permissions that a robot can get in the system (Harbor `common/rbac/const.go`, `NolimitProvider`).
pub(super) const ROBOT_SYSTEM: Policies = &[
    ("audit-log", &["list"]),
    ("preheat-instance", &["read", "create", "delete", "list", "update"]),
    ("project", &["list", "create"]),
    ("replication-policy", &["read", "create", "delete", "list", "update"]),
    ("replication", &["read", "create", "list"]),
    ("replication-adapter", &["list"]),
    ("registry", &["read", "create", "delete", "list", "update"]),
    ("scan-all", &["read", "update", "stop", "create"]),
    ("system-volumes", &["read"]),
    ("garbage-collection", &["read", "create", "list", "update", "stop"]),
    ("purge-audit", &["read", "create", "list", "update", "stop"]),
    ("jobservice-monitor", &["list", "stop"]),
    ("scanner", &["read", "create", "delete", "list", "update"]),
    ("label", &["read", "create", "delete", "update"]),
    ("security-hub", &["read", "list"]),
    ("catalog", &["read"]),
    ("quota", &["read", "list", "update"]),
    ("robot", &["create", "read", "list", "delete"]),
    ("user", &["create", "read", "update", "list", "delete"]),
    ("ldap-user", &["create", "list"]),
    ("user-group", &["create", "read", "update", "list", "delete"]),
];

/// The permissions that a robot can get in a project (same source).
pub(super) const ROBOT_PROJECT: Policies = &[
    ("log", &["list"]),
    ("project", &["read", "delete", "update"]),
    ("metadata", &["read", "create", "delete", "list", "update"]),
    ("repository", &["read", "update", "delete", "list", "pull", "push"]),
    ("artifact", &["read", "create", "list", "delete"]),
    ("scan", &["create", "read", "stop"]),
    ("sbom", &["create", "stop", "read"]),
    ("tag", &["create", "list", "delete"]),
    ("accessory", &["list"]),
    ("artifact-addition", &["read"]),
    ("artifact-label", &["create", "delete"]),
    ("scanner", &["create", "read"]),
    ("preheat-policy", &["read", "create", "delete", "list", "update"]),
    ("immutable-tag", &["create", "delete", "list", "update"]),
    ("notification-policy", &["read", "create", "delete", "list", "update"]),
    ("tag-retention", &["read", "create", "delete", "list", "update"]),
    ("label", &["read", "create", "delete", "list", "update"]),
    ("quota", &["read"]),
    ("robot", &["create", "read", "list", "delete"]),
    ("export-cve", &["create", "read"]),
    ("member", &["create", "read", "update", "list", "delete"]),
];

pub(super) fn public_allows(action: &str, resource: &str) -> bool {
    allows(PUBLIC, action, resource)
}

pub(super) fn allows(policies: Policies, action: &str, resource: &str) -> bool {
    policies.iter().any(|(r, actions)| *r == resource && actions.contains(&action))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guests_pull_and_developers_push() {
        for role in [Role::Guest, Role::LimitedGuest] {
            assert!(role.allows("pull", "repository") && !role.allows("push", "repository"));
        }
        assert!(
            Role::Developer.allows("push", "repository") && !Role::Developer.allows("delete", "repository")
        );
    }

    #[test]
    fn a_robot_can_be_granted_neither_configuration_nor_its_own_rotation() {
        for policies in [ROBOT_SYSTEM, ROBOT_PROJECT] {
            assert!(!allows(policies, "update", "configuration") && !allows(policies, "update", "robot"));
        }
    }
}
