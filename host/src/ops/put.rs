use super::check_user;
use crate::contract::{Credential, Summary, TokenEncoding};
use crate::error::Error;
use crate::sandbox::Operation;
use crate::sandbox::bindings::exports::fossawork::credentials::vault;
use crate::user_id::UserId;
use crate::vault::Vault;

/// How [`Vault::put`] writes.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct PutOptions {
    /// Fail when the credential exists.
    pub create_only: bool,
    /// Fail unless the record has this revision.
    pub expected_revision: Option<String>,
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
    /// with a mistyped key nothing is replaced.
    pub fn put(
        &self,
        user: &UserId,
        credential: &Credential,
        options: &PutOptions,
    ) -> Result<Stored, Error> {
        let options = vault::PutOptions {
            create_only: options.create_only,
            expected_revision: options.expected_revision.clone(),
            version: options.version.clone(),
            encoding: options.token_encoding.or(self.token_encoding()),
        };
        let stored =
            self.call(Operation::Put, std::slice::from_ref(user), |component, store| {
                let vault = component.fossawork_credentials_vault();
                vault.call_put(store, user.as_str(), credential, &options)
            })?;
        check_user(&stored.summary, user)?;
        Ok(Stored {
            summary: stored.summary,
            replaced: stored.replaced,
            dropped_fields: stored.dropped_fields,
        })
    }
}
