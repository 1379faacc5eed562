//! What one call may touch.

use std::fmt;

use moat_format::user_id::UserId;

use crate::operation::{Access, Operation};

/// What one call may touch: the access of its operation, for its users.
#[derive(Clone, Debug)]
pub(crate) struct Grant {
    operation: Operation,
    users: Vec<UserId>,
}

impl Grant {
    pub(crate) fn new(operation: Operation, users: &[UserId]) -> Self {
        let users = users.to_vec();
        Self { operation, users }
    }

    pub(crate) fn operation(&self) -> Operation {
        self.operation
    }

    pub(crate) fn access(&self) -> Access {
        self.operation.access()
    }

    /// Whose file this is, of the users that this call is for.
    pub(crate) fn user_of(&self, file_name: &str) -> Option<&UserId> {
        self.users.iter().find(|user| user.file_name() == file_name)
    }

    /// Whether this is a backup of a user that this call is for.
    pub(crate) fn names_backup(&self, file_name: &str) -> bool {
        UserId::from_backup_name(file_name).is_some_and(|user| self.users.contains(&user))
    }

    /// How many users this call is for, of which there is always work for one.
    pub(crate) fn size(&self) -> usize {
        self.users.len().max(1)
    }

    /// Whether the user is one of those that this call is for.
    pub(crate) fn names_user(&self, user_id: &str) -> bool {
        self.users.iter().any(|user| user.as_str() == user_id)
    }
}

impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.operation)?;
        self.users.iter().try_for_each(|user| write!(f, " {:?}", user.as_str()))
    }
}
