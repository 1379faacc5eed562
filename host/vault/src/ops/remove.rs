use std::slice;

use crate::error::Error;
use crate::operation::Operation;
use crate::request::Request;
use crate::vault::Vault;
use moat_format::user_id::UserId;

impl Vault {
    /// Removes a record, readable or not, and returns whether there was one. With a revision, only if the record has it.
    ///
    /// # Errors
    ///
    /// [`Conflict`](crate::ErrorCode::Conflict) when the record has another revision,
    /// [`Locked`](crate::ErrorCode::Locked), and those of [every call](Vault#errors).
    pub fn remove(&self, user: &UserId, expected_revision: Option<&str>) -> Result<bool, Error> {
        let request = Request::new(Operation::Remove, slice::from_ref(user));
        let removed = self.call(&request, |component, store| {
            let vault = component.vault(store)?;
            vault.call_remove(store, user.as_str(), expected_revision)
        })?;
        Ok(removed.existed)
    }
}
