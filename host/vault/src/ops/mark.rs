use crate::contract::Summary;
use crate::error::Error;
use crate::operation::Operation;
use crate::vault::Vault;
use moat_format::user_id::UserId;

impl Vault {
    /// Sets the time of the last use to now.
    ///
    /// # Errors
    ///
    /// Those of [`Vault::describe`], and [`MasterKeyRefused`](crate::ErrorCode::MasterKeyRefused),
    /// [`Locked`](crate::ErrorCode::Locked), [`TooLarge`](crate::ErrorCode::TooLarge).
    pub fn mark_used(&self, user: &UserId) -> Result<Summary, Error> {
        self.summarize(Operation::MarkUsed, user, |component, store| {
            component.vault(store)?.call_mark_used(store, user.as_str())
        })
    }

    /// Counts a login attempt and records whether it succeeded.
    ///
    /// # Errors
    ///
    /// Those of [`Vault::mark_used`].
    pub fn mark_validated(&self, user: &UserId, valid: bool) -> Result<Summary, Error> {
        self.summarize(Operation::MarkValidated, user, |component, store| {
            let vault = component.vault(store)?;
            vault.call_mark_validated(store, user.as_str(), valid)
        })
    }
}
