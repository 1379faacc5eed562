use std::slice;

use crate::error::Error;
use crate::operation::Operation;
use crate::vault::Vault;
use moat_format::user_id::UserId;

impl Vault {
    /// Removes a record, readable or not, and tells whether there was one. With a revision, only if it is the
    /// record's; otherwise it fails with [`crate::ErrorCode::Conflict`].
    pub fn remove(&self, user: &UserId, expected_revision: Option<&str>) -> Result<bool, Error> {
        let removed = self.call(Operation::Remove, slice::from_ref(user), |component, store| {
            let vault = component.fossawork_credentials_vault();
            vault.call_remove(store, user.as_str(), expected_revision)
        })?;
        Ok(removed.existed)
    }
}
