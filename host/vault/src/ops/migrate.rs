use crate::contract::{MigrateOptions, Rewritten};
use crate::error::Error;
use crate::operation::Operation;
use crate::request::Request;
use crate::vault::Vault;
use moat_format::user_id::UserId;

impl Vault {
    /// Encrypts records of legacy kinds with the primary key, or brings all to another version or token encoding, a few
    /// in one call. Returns an answer for each, in the order asked.
    ///
    /// # Errors
    ///
    /// Of each record, those of [`Vault::mark_used`], and [`NeedsMigration`](crate::ErrorCode::NeedsMigration) for what
    /// anyone could have written, unless the options accept it; as a whole, those of [every call](Vault#errors).
    pub fn migrate(
        &self,
        users: &[UserId],
        options: &MigrateOptions,
    ) -> Result<Vec<Result<Rewritten, Error>>, Error> {
        let token_encoding = options.token_encoding.or(self.token_encoding());
        let options = MigrateOptions { token_encoding, ..options.clone() };
        let request = Request {
            trusts_unauthenticated: options.accept_default_key || options.accept_plaintext,
            dry_run: options.dry_run,
            ..Request::new(Operation::Migrate, users)
        };
        self.for_each(&request, |component, store, user_ids| {
            component.vault(store)?.call_migrate(store, user_ids, &options)
        })
    }

    /// Encrypts records with the primary key that are encrypted with another key of the ring, a few in one call. Returns
    /// an answer for each, in the order asked.
    ///
    /// # Errors
    ///
    /// Of each record, those of [`Vault::mark_used`]; as a whole, those of [every call](Vault#errors).
    pub fn rewrap(
        &self,
        users: &[UserId],
        dry_run: bool,
    ) -> Result<Vec<Result<Rewritten, Error>>, Error> {
        let request = Request { dry_run, ..Request::new(Operation::Rewrap, users) };
        self.for_each(&request, |component, store, user_ids| {
            component.vault(store)?.call_rewrap(store, user_ids, dry_run)
        })
    }
}
