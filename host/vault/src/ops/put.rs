use std::slice;

use super::check_user;
use crate::audit::Outcome;
use crate::contract::{Credential, Summary, TokenEncoding};
use crate::error::Error;
use crate::operation::Operation;
use crate::sandbox::bindings::exports::fossawork::credentials::vault;
use crate::vault::Vault;
use moat_format::user_id::UserId;

/// How [`Vault::put`] writes.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct PutOptions {
    /// Fail when the credential exists.
    pub create_only: bool,
    /// Fail unless the record has this revision.
    pub expected_revision: Option<String>,
    /// Store a new user's credential even if no key of the ring decrypts any record that is there.
    pub allow_new_key: bool,
    /// The record version, 1.0 or 2.0; `None`: that of the record that is replaced, or of the directory.
    pub version: Option<String>,
    /// How the token is spelled; `None`: as the vault is set, or as in the record that is replaced.
    pub token_encoding: Option<TokenEncoding>,
}

impl PutOptions {
    /// Fails when the credential exists.
    #[must_use]
    pub fn create_only(mut self) -> Self {
        self.create_only = true;
        self
    }

    /// Fails unless the record has this revision.
    #[must_use]
    pub fn expected_revision(mut self, revision: impl Into<String>) -> Self {
        self.expected_revision = Some(revision.into());
        self
    }

    /// Stores a new user's credential even if no key of the ring decrypts any record that is there.
    #[must_use]
    pub fn allow_new_key(mut self) -> Self {
        self.allow_new_key = true;
        self
    }

    /// Writes this version of the record.
    #[must_use]
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.version = Some(version.into());
        self
    }

    /// Spells the token this way.
    #[must_use]
    pub fn token_encoding(mut self, encoding: TokenEncoding) -> Self {
        self.token_encoding = Some(encoding);
        self
    }
}

/// What [`Vault::put`] did.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Stored {
    /// The record as it stands now.
    pub summary: Summary,
    /// Whether there was one before.
    pub replaced: bool,
    /// Fields of the record before that the new one doesn't have.
    pub dropped_fields: Vec<String>,
}

impl Vault {
    /// Stores a credential in place of the one before.
    ///
    /// A record that is there must open with a key of the ring, or be of a legacy kind that anyone can read:
    /// with a mistyped key nothing is replaced. Nor is anything stored beside records of other users when the first few of
    /// them can't be decrypted: that fails with [`crate::ErrorCode::WrongKeyOrTampered`] and [`crate::KeyMismatch`] as its
    /// source, unless [`PutOptions::allow_new_key`] says that it is meant.
    pub fn put(
        &self,
        user: &UserId,
        credential: &Credential,
        options: &PutOptions,
    ) -> Result<Stored, Error> {
        let is_new = || matches!(self.directory().read(&user.file_name()), Ok(None));
        let neighbours =
            if !self.knows_neighbours() && is_new() { self.neighbours()? } else { Vec::new() };
        let asked = vault::PutOptions {
            create_only: options.create_only,
            expected_revision: options.expected_revision.clone(),
            version: options.version.clone(),
            encoding: options.token_encoding.or(self.token_encoding()),
        };
        let takes_form = asked.encoding.is_none();
        if takes_form {
            self.adopt_form_of(&neighbours)?;
        }
        let users = slice::from_ref(user);
        let put = || {
            if !options.allow_new_key {
                self.check_keys_against(&neighbours)?;
            }
            self.enter(Operation::Put, users, |component, store| {
                let vault = component.fossawork_credentials_vault();
                vault.call_put(store, user.as_str(), credential, &asked)
            })
        };
        let done = |stored: &vault::Stored| vec![Outcome::done(stored)];
        let stored = self.audited(Operation::Put, users, put, done)?;
        check_user(&stored.summary, user)?;
        if !neighbours.is_empty() && takes_form {
            self.note_neighbours();
        }
        Ok(Stored {
            summary: stored.summary,
            replaced: stored.replaced,
            dropped_fields: stored.dropped_fields,
        })
    }
}
