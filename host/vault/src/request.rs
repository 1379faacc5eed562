//! A call of a vault before it is made: what is asked, for whom, and what it has to be allowed to.

use crate::operation::Operation;
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
}

impl<'r> Request<'r> {
    pub(crate) fn new(operation: Operation, users: &'r [UserId]) -> Self {
        Self { operation, users, secret: None, purpose: None, trusts_unauthenticated: false }
    }
}
