//! The earlier versions of a credential, the member `earlier_versions` of what is encrypted: an array of objects, the
//! latest first.
//!
//! ```json
//! {"number":2,"replaced_at":"2025-03-01T09:00:00","username":"…","password":"…","created_at":"2025-01-14T10:00:00"}
//! ```
//!
//! `expires` and `fields` are there as in the credential. Since they are encrypted with it, they are rotated, migrated and
//! removed with it.

use moat_format::json_object::RawObject;
use moat_format::message::Message;

use crate::contract::{Credential, EarlierVersion, Error, ErrorCode};
use crate::plaintext::{Plaintext, credential_of};

const EARLIER_VERSIONS: &str = "earlier_versions";
const NUMBER: &str = "number";
const REPLACED_AT: &str = "replaced_at";

/// To how many bytes of plaintext versions are kept: in either encoding, with any envelope, that fits into a record that
/// leaves its headroom.
const MAX_PLAINTEXT_BYTES: usize = 32 * 1024;

impl Plaintext {
    /// How many earlier versions there are.
    ///
    /// # Errors
    ///
    /// `malformed` when they are not an array of objects; so in all that follows.
    pub(crate) fn count_earlier(&self) -> Result<u32, Error> {
        Ok(u32::try_from(self.earlier()?.len()).unwrap_or(u32::MAX))
    }

    /// The earlier versions without their secrets, the latest first.
    ///
    /// # Errors
    ///
    /// `malformed` also when a member of a version is missing or of another type than the format says.
    pub(crate) fn list_earlier(&self) -> Result<Vec<EarlierVersion>, Error> {
        let versions = self.earlier()?;
        let list = versions.iter().map(|version| {
            let credential = credential_of(version)?;
            Ok(EarlierVersion {
                number: version.require(NUMBER)?,
                field_names: credential.field_names(),
                username: credential.username,
                created_at: credential.created_at,
                replaced_at: version.require(REPLACED_AT)?,
            })
        });
        list.collect()
    }

    /// The earlier version of this number.
    ///
    /// # Errors
    ///
    /// `not-found` when there is none.
    pub(crate) fn find_earlier(&self, number: u32) -> Result<Credential, Error> {
        for version in self.earlier()? {
            if version.require::<u32>(NUMBER)? == number {
                return credential_of(&version);
            }
        }
        Err(Error::new(ErrorCode::NotFound, Message::NoSuchVersion))
    }

    /// Keeps what the credential was before among the earlier versions, if it had other secrets; and of these as many as are
    /// wanted, and fit.
    pub(crate) fn keep_earlier(
        &mut self,
        before: &Credential,
        replaced_at: &str,
        wanted: u32,
    ) -> Result<(), Error> {
        let mut versions = self.earlier()?;
        if wanted > 0 && !self.credential()?.has_secrets_of(before) {
            let last: u32 = versions.first().map_or(Ok(0), |last| last.require(NUMBER))?;
            let mut version = RawObject::default();
            version.set(NUMBER, last.saturating_add(1))?;
            version.set(REPLACED_AT, replaced_at)?;
            before.write_to(&mut version)?;
            versions.insert(0, version);
        }
        versions.truncate(usize::try_from(wanted).unwrap_or(usize::MAX));
        self.set_earlier(&versions)?;
        while !versions.is_empty() && self.to_bytes()?.len() > MAX_PLAINTEXT_BYTES {
            versions.pop();
            self.set_earlier(&versions)?;
        }
        Ok(())
    }

    /// Removes all earlier versions.
    pub(crate) fn forget_earlier(&mut self) {
        self.members_mut().remove(EARLIER_VERSIONS);
    }

    /// Of all this, the earlier versions alone.
    pub(crate) fn only_earlier(&self) -> Result<Self, Error> {
        let mut rest = Self::default();
        rest.set_earlier(&self.earlier()?)?;
        Ok(rest)
    }

    fn earlier(&self) -> Result<Vec<RawObject>, Error> {
        Ok(self.members().find(EARLIER_VERSIONS)?.unwrap_or_default())
    }

    fn set_earlier(&mut self, versions: &[RawObject]) -> Result<(), Error> {
        if versions.is_empty() {
            self.forget_earlier();
            return Ok(());
        }
        Ok(self.members_mut().set(EARLIER_VERSIONS, versions)?)
    }
}
