use super::pages::Pages;
use crate::contract::ErrorCode;
use crate::error::Error;
use crate::operation::Operation;
use crate::vault::Vault;
use moat_format::user_id::UserId;

impl Vault {
    /// The users who have a record, in ascending order of their bytes; in a [`crate::Scope`], those in scope. Needs no
    /// key. The directory is read in pages as the iterator advances; it ends with the first error, one of those of
    /// [every call](Vault#errors).
    pub fn users(&self) -> impl Iterator<Item = Result<UserId, Error>> + '_ {
        let users = Pages::new(|cursor| {
            self.page(Operation::Users, |component, store, limit| {
                let vault = component.vault(store)?;
                let page = vault.call_users(store, cursor, limit)?;
                Ok(page.map(|page| (page.user_ids, page.next)))
            })
        });
        let users = users.map(|user_id| {
            UserId::parse(&user_id?).map_err(|error| {
                let message = "the component listed something that is not a user id";
                Error::caused(ErrorCode::Sandbox, message, error)
            })
        });
        users.filter(|user| user.as_ref().map_or(true, |user| self.restrictions().cover_user(user)))
    }
}
