use crate::contract::{Changes, Summary};
use crate::error::Error;
use crate::operation::Operation;
use crate::vault::Vault;
use moat_format::user_id::UserId;

impl Vault {
    /// Changes a part of a credential and keeps everything else. With another user name or password, no login attempt has
    /// been reported yet.
    ///
    /// # Errors
    ///
    /// [`InvalidCredential`](crate::ErrorCode::InvalidCredential) also when a field to remove isn't there,
    /// [`Conflict`](crate::ErrorCode::Conflict) when the record doesn't have the expected revision, and those of
    /// [`Vault::mark_used`].
    pub fn change(
        &self,
        user: &UserId,
        changes: &Changes,
        expected_revision: Option<&str>,
    ) -> Result<Summary, Error> {
        self.summarize(Operation::Change, user, |component, store| {
            component.vault(store)?.call_change(store, user.as_str(), changes, expected_revision)
        })
    }
}
