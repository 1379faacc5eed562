use super::pages::Pages;
use crate::contract::ErrorCode;
use crate::error::Error;
use crate::operation::Operation;
use crate::vault::Vault;
use moat_format::user_id::UserId;

impl Vault {
    /// The users who have a record, in ascending order of their bytes; needs no key. The directory is read in
    /// pages while the iterator goes on; it ends with the first error.
    pub fn users(&self) -> impl Iterator<Item = Result<UserId, Error>> + '_ {
        Pages::new(|cursor| {
            self.page(Operation::Users, |component, store, limit| {
                let vault = component.fossawork_credentials_vault();
                let page = vault.call_users(store, cursor, limit)?;
                Ok(page.map(|page| (page.user_ids, page.next)))
            })
        })
        .map(|user_id| {
            UserId::parse(&user_id?).map_err(|error| {
                Error::caused(ErrorCode::Sandbox, "the component listed no user", error)
            })
        })
    }
}
