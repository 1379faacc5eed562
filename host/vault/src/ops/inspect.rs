use std::slice;

use crate::contract::Envelope;
use crate::error::Error;
use crate::operation::Operation;
use crate::request::Request;
use crate::vault::Vault;
use moat_format::user_id::UserId;

impl Vault {
    /// Returns a record's envelope; needs no key.
    ///
    /// # Errors
    ///
    /// [`NotFound`](crate::ErrorCode::NotFound), [`Malformed`](crate::ErrorCode::Malformed),
    /// [`UnsupportedVersion`](crate::ErrorCode::UnsupportedVersion), and those of [every call](Vault#errors).
    pub fn inspect(&self, user: &UserId) -> Result<Envelope, Error> {
        let request = Request::new(Operation::Inspect, slice::from_ref(user));
        self.call(&request, |component, store| {
            component.vault(store)?.call_inspect(store, user.as_str())
        })
    }
}
