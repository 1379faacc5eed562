//! What one call may touch.

use std::fmt;
use std::slice;

use moat_format::user_id::UserId;

use crate::operation::{Access, Operation};
use crate::request::Request;

/// What one call may touch: the access of its request, for its users.
#[derive(Clone, Debug)]
pub(crate) struct Grant {
    operation: Operation,
    access: Access,
    users: Vec<UserId>,
    created_at: Option<String>,
}

impl Grant {
    pub(crate) fn new(request: &Request<'_>) -> Self {
        Self {
            operation: request.operation,
            access: request.access(),
            users: request.users.to_vec(),
            created_at: request.created_at.map(str::to_owned),
        }
    }

    pub(crate) fn operation(&self) -> Operation {
        self.operation
    }

    pub(crate) fn access(&self) -> Access {
        self.access
    }

    /// When the credential that is to be stored was created, if the caller says so.
    pub(crate) fn created_at(&self) -> Option<&str> {
        self.created_at.as_deref()
    }

    /// Whose file this is, of the users that this call is for.
    pub(crate) fn user_of(&self, file_name: &str) -> Option<&UserId> {
        self.users.iter().find(|user| user.file_name() == file_name)
    }

    /// Whose file this is, of the users whose files this call may write: all, or of a copy the first.
    pub(crate) fn written_user_of(&self, file_name: &str) -> Option<&UserId> {
        let written = match self.operation {
            Operation::Copy => self.users.first().map(slice::from_ref).unwrap_or_default(),
            _ => &self.users,
        };
        written.iter().find(|user| user.file_name() == file_name)
    }

    /// Whose credential a copy copies.
    pub(crate) fn source(&self) -> Option<&UserId> {
        self.users.get(1).filter(|_| self.operation == Operation::Copy)
    }

    /// Of which of the users that this call is for this is a backup.
    pub(crate) fn user_of_backup(&self, file_name: &str) -> Option<&UserId> {
        let of = UserId::from_backup_name(file_name)?;
        self.users.iter().find(|user| **user == of)
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
