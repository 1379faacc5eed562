//! A call of a vault before it is made: what is asked, for whom, and what it has to be allowed to.

use crate::operation::{Access, Operation};
use moat_format::user_id::UserId;

/// What is asked of a vault.
#[derive(Clone, Copy)]
pub(crate) struct Request<'r> {
    pub(crate) operation: Operation,
    pub(crate) users: &'r [UserId],
    /// The secret that leaves the component: `password`, or the name of a field.
    pub(crate) secret: Option<&'r str>,
    /// What the secret is used for, where the caller doesn't get to see it.
    pub(crate) purpose: Option<&'r str>,
    /// Whether it trusts what anyone could have written to the directory.
    pub(crate) trusts_unauthenticated: bool,
    /// Whether it only finds out what it would do.
    pub(crate) dry_run: bool,
    /// When the credential that is to be stored was created.
    pub(crate) created_at: Option<&'r str>,
}

impl<'r> Request<'r> {
    pub(crate) fn new(operation: Operation, users: &'r [UserId]) -> Self {
        Self {
            operation,
            users,
            secret: None,
            purpose: None,
            trusts_unauthenticated: false,
            dry_run: false,
            created_at: None,
        }
    }

    /// What the component is granted for it.
    pub(crate) fn access(&self) -> Access {
        let access = self.operation.access();
        if self.dry_run { access.without_writes() } else { access }
    }
}
