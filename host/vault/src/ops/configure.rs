use crate::audit::Outcome;
use crate::contract::{Configured, TokenEncoding};
use crate::error::Error;
use crate::operation::Operation;
use crate::request::Request;
use crate::restriction::Admission;
use crate::vault::Vault;

impl Vault {
    /// Sets the version, 1.0 or 2.0, and the token encoding of new records in this directory; `None` leaves it as it is.
    /// Returns whether anything changed. With a version, settings that no key of the ring authenticates are authenticated
    /// anew, if the ring decrypts an existing record.
    ///
    /// # Errors
    ///
    /// [`UnsupportedVersion`](crate::ErrorCode::UnsupportedVersion), [`Malformed`](crate::ErrorCode::Malformed) when
    /// `moat.json` is damaged, [`Locked`](crate::ErrorCode::Locked), and those of [every call](Vault#errors).
    pub fn configure(
        &self,
        version: Option<&str>,
        encoding: Option<TokenEncoding>,
    ) -> Result<bool, Error> {
        self.set(version, encoding, None)
    }

    /// Sets how many earlier versions of each credential in this directory are kept, at most 100; none is the default. A
    /// credential that has more loses the oldest when it is next replaced or changed. Returns whether anything changed.
    ///
    /// # Errors
    ///
    /// [`InvalidCredential`](crate::ErrorCode::InvalidCredential) for more than 100, and those of [`Vault::configure`].
    pub fn keep_versions(&self, number: u32) -> Result<bool, Error> {
        self.set(None, None, Some(number))
    }

    /// Sets what is given.
    pub(crate) fn set(
        &self,
        version: Option<&str>,
        encoding: Option<TokenEncoding>,
        history: Option<u32>,
    ) -> Result<bool, Error> {
        let request = Request::new(Operation::Configure, &[]);
        let configure = |admission: &Admission| {
            if version.is_some() {
                self.check_keys(admission)?;
            }
            self.enter(admission, &request, |component, store| {
                component.vault(store)?.call_configure(store, version, encoding, history)
            })
        };
        let configured: Configured =
            self.perform(&request, configure, |_| vec![Outcome::done(None)])?;
        Ok(configured.changed)
    }
}
