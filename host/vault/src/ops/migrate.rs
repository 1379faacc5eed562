use super::check_name;
use crate::contract::{Envelope, KeyInfo, TokenEncoding};
use crate::error::Error;
use crate::operation::Operation;
use crate::sandbox::bindings::exports::fossawork::credentials::vault;
use crate::vault::Vault;
use moat_format::user_id::UserId;

/// How [`Vault::migrate`] writes.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct MigrateOptions {
    /// Go through all of it, but write nothing.
    pub dry_run: bool,
    /// Take records under the application's published default key for genuine, and encrypt them anew. Anyone who
    /// could write to the directory may have chosen what is in them.
    pub accept_default_key: bool,
    /// Take records that are not encrypted for genuine, and encrypt them. Anyone who could write to the directory
    /// may have chosen what is in them.
    pub accept_plaintext: bool,
    /// The record version to come to, 1.0 or 2.0; `None`: legacy kinds come to the directory's, others stay.
    pub version: Option<String>,
    /// How tokens are spelled, also those of current records of version 1.0; `None`: as the vault is set, or as
    /// they were. What had no token gets one as the directory is set, or else as the application reads it.
    pub token_encoding: Option<TokenEncoding>,
}

/// What became of a record that was to be rewritten.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Rewritten {
    /// Whose record it is.
    pub user: UserId,
    /// The outside of the record as it was found.
    pub before: Envelope,
    /// The key that it was under; `None`: it was not encrypted.
    pub key: Option<KeyInfo>,
    /// Whether it was rewritten; in a dry run, whether it would be.
    pub changed: bool,
    /// Whether its file was.
    pub(super) written: bool,
}

impl Vault {
    /// Encrypts records of legacy kinds with the primary key, or brings all to another version or spelling, a few
    /// in one call. What anyone could have written fails with [`crate::ErrorCode::NeedsMigration`], unless it is
    /// accepted. Answers each in the order asked; fails as a whole when the sandbox stops the call.
    pub fn migrate(
        &self,
        users: &[UserId],
        options: &MigrateOptions,
    ) -> Result<Vec<Result<Rewritten, Error>>, Error> {
        let options = vault::MigrateOptions {
            dry_run: options.dry_run,
            accept_default_key: options.accept_default_key,
            accept_plaintext: options.accept_plaintext,
            version: options.version.clone(),
            encoding: options.token_encoding.or(self.token_encoding()),
        };
        let rewritten = rewritten(options.dry_run);
        self.for_each(Operation::Migrate, users, rewritten, |component, store, user_ids| {
            component.fossawork_credentials_vault().call_migrate(store, user_ids, &options)
        })
    }

    /// Encrypts records with the primary key that are under another of the ring, a few in one call. Answers
    /// each in the order asked; fails as a whole when the sandbox stops the call.
    pub fn rewrap(
        &self,
        users: &[UserId],
        dry_run: bool,
    ) -> Result<Vec<Result<Rewritten, Error>>, Error> {
        self.for_each(Operation::Rewrap, users, rewritten(dry_run), |component, store, user_ids| {
            component.fossawork_credentials_vault().call_rewrap(store, user_ids, dry_run)
        })
    }

    /// Sets the version, 1.0 or 2.0, and the spelling of tokens that new records in this directory get; `None`
    /// leaves it as it is. Tells whether something changed.
    pub fn configure(
        &self,
        version: Option<&str>,
        encoding: Option<TokenEncoding>,
    ) -> Result<bool, Error> {
        let configured = self.call(Operation::Configure, &[], |component, store| {
            component.fossawork_credentials_vault().call_configure(store, version, encoding)
        })?;
        Ok(configured.changed)
    }
}

fn rewritten(dry_run: bool) -> impl Fn(&UserId, vault::Rewritten) -> Result<Rewritten, Error> {
    move |user, answer| {
        check_name(&answer.user_id, user)?;
        Ok(Rewritten {
            user: user.clone(),
            before: answer.before,
            key: answer.key,
            changed: answer.changed,
            written: answer.changed && !dry_run,
        })
    }
}
