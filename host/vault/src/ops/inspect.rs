use std::slice;

use crate::contract::Envelope;
use crate::error::Error;
use crate::operation::Operation;
use crate::vault::Vault;
use moat_format::user_id::UserId;

impl Vault {
    /// Tells a record's outside; needs no key.
    pub fn inspect(&self, user: &UserId) -> Result<Envelope, Error> {
        self.call(Operation::Inspect, slice::from_ref(user), |component, store| {
            let vault = component.fossawork_credentials_vault();
            vault.call_inspect(store, user.as_str())
        })
    }
}
