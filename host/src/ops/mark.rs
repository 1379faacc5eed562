use std::slice;

use super::check_user;
use crate::contract::Summary;
use crate::error::Error;
use crate::sandbox::Operation;
use crate::user_id::UserId;
use crate::vault::Vault;

impl Vault {
    /// Sets the time of the last use to now.
    pub fn mark_used(&self, user: &UserId) -> Result<Summary, Error> {
        let summary =
            self.call(Operation::MarkUsed, slice::from_ref(user), |component, store| {
                let vault = component.fossawork_credentials_vault();
                vault.call_mark_used(store, user.as_str())
            })?;
        check_user(&summary, user)?;
        Ok(summary)
    }

    /// Counts a login attempt and notes whether it succeeded.
    pub fn mark_validated(&self, user: &UserId, valid: bool) -> Result<Summary, Error> {
        let summary =
            self.call(Operation::MarkValidated, slice::from_ref(user), |component, store| {
                let vault = component.fossawork_credentials_vault();
                vault.call_mark_validated(store, user.as_str(), valid)
            })?;
        check_user(&summary, user)?;
        Ok(summary)
    }
}
