use super::check_user;
use crate::contract::Summary;
use crate::error::Error;
use crate::operation::Operation;
use crate::vault::Vault;
use moat_format::user_id::UserId;

impl Vault {
    /// Opens each of a few records in one call and tells all but their secrets, an answer each in the order
    /// asked. Fails as a whole when the sandbox stops the call.
    pub fn verify(&self, users: &[UserId]) -> Result<Vec<Result<Summary, Error>>, Error> {
        let own = |user: &UserId, summary: Summary| check_user(&summary, user).map(|()| summary);
        self.for_each(Operation::Verify, users, own, |component, store, user_ids| {
            component.fossawork_credentials_vault().call_verify(store, user_ids)
        })
    }
}
