//! What a vault does, one operation a file: the waist that the command line and the library share.

mod inspect;
mod mark;
mod put;
mod remove;
mod reveal;
mod users;
mod verify;

pub use put::{PutOptions, Stored};
pub use reveal::Revealed;
pub use users::Users;

use std::slice;

use crate::contract::Summary;
use crate::error::Error;
use crate::sandbox::{Function, Operation};
use crate::user_id::UserId;
use crate::vault::Vault;

impl Vault {
    /// Calls a function of the component that tells all but the secrets of this user's record.
    fn summarize(
        &self,
        operation: Operation,
        user: &UserId,
        function: impl Function<Summary>,
    ) -> Result<Summary, Error> {
        let summary = self.call(operation, slice::from_ref(user), function)?;
        check_user(&summary, user)?;
        Ok(summary)
    }
}

/// Refuses an answer about another user than the one that the component was asked about.
fn check_user(summary: &Summary, user: &UserId) -> Result<(), Error> {
    if summary.user_id != user.as_str() {
        return Err(Error::answer("answered for another user"));
    }
    Ok(())
}
