//! A look at a few existing records before the first record of a new user is written beside them.
//!
//! They show which token encoding the directory's other readers need, and whether the key is the right one: what a wrong
//! key encrypts, the right one can't decrypt.

use std::cell::LazyCell;
use std::fmt;
use std::slice;

use crate::contract::{Configured, Envelope, ErrorCode, PutOptions, RecordKind, TokenEncoding};
use crate::error::Error;
use crate::keys::KeyStrength;
use crate::operation::Operation;
use crate::request::Request;
use crate::restriction::Admission;
use crate::vault::Vault;
use moat_format::files::SETTINGS;
use moat_format::settings::Settings;
use moat_format::user_id::UserId;
use moat_format::version::Version;

/// How many records are examined, at most.
const SAMPLE: usize = 8;

/// Why nothing was encrypted: the ring is not that of the directory.
/// It is the [`source`](std::error::Error::source) of an error with the code [`ErrorCode::WrongKeyOrTampered`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyMismatch {
    /// No key decrypts the records that were tried.
    Records,
    /// No key authenticates the directory's settings; or they were altered.
    Settings,
}

impl fmt::Display for KeyMismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Records => "no master key decrypts the existing records",
            Self::Settings => "no master key authenticates the directory's settings",
        })
    }
}

impl std::error::Error for KeyMismatch {}

impl Vault {
    /// Makes sure, before the first record of a new user is written, that the keys fit the existing records and that the
    /// directory's other readers can read the new one. Returns whether the user is new.
    pub(super) fn prepare_directory_for(
        &self,
        user: &UserId,
        options: &PutOptions,
        admission: &Admission,
    ) -> Result<bool, Error> {
        if !matches!(self.directory().read(&user.file_name()), Ok(None)) {
            return Ok(false);
        }
        if self.knows_neighbours() {
            return Ok(true);
        }
        let neighbours = self.directory().sample(SAMPLE, UserId::from_file_name)?;
        let settings = self.settings()?;
        if neighbours.is_empty() {
            self.begin_directory(settings.as_ref(), options, admission)?;
            return Ok(true);
        }
        let envelopes = LazyCell::new(|| self.envelopes(&neighbours, admission));
        match settings.as_ref().filter(|settings| settings.kdf.is_some()) {
            Some(settings) if self.allows_new_key() => {
                self.authenticate_anew(settings, admission)?;
            }
            // They are authenticated by the keys, which the component checks.
            Some(_) => {}
            None if self.allows_new_key() => {}
            None => {
                check_settings_exist(&envelopes)?;
                self.check_keys_against(&neighbours, admission)?;
            }
        }
        let adopts_encoding = options.token_encoding.is_none();
        let lacks_encoding = settings.is_none_or(|settings| settings.token_encoding.is_none());
        // The application couldn't read another encoding than its own.
        if adopts_encoding && lacks_encoding && envelopes.iter().any(is_the_applications) {
            self.configure_part(None, Some(TokenEncoding::App), admission)?;
        }
        if adopts_encoding {
            self.note_neighbours();
        }
        Ok(true)
    }

    /// The settings of the directory. Those that can't be read the component complains about.
    pub(crate) fn settings(&self) -> Result<Option<Settings>, Error> {
        let Some((text, _)) = self.directory().read(SETTINGS)? else { return Ok(None) };
        let settings = serde_json::from_slice(&text).ok();
        Ok(Some(settings.and_then(|object| Settings::read(&object).ok()).unwrap_or_default()))
    }

    /// A directory without records gets version 2.0 with a strong key, unless it is set otherwise or something asks for
    /// what the application reads. Settings that another key authenticates are taken over.
    fn begin_directory(
        &self,
        settings: Option<&Settings>,
        options: &PutOptions,
        admission: &Admission,
    ) -> Result<(), Error> {
        let is_free =
            options.version.is_none() && options.token_encoding != Some(TokenEncoding::App);
        match settings {
            None if is_free && self.primary_is_strong()? => {
                self.configure_part(Some(Version::V2), None, admission)
            }
            None => Ok(()),
            Some(settings) if settings.kdf.is_some() => self.authenticate_anew(settings, admission),
            Some(_) => Ok(()),
        }
    }

    fn primary_is_strong(&self) -> Result<bool, Error> {
        Ok(self.keys()?.primary().strength() == KeyStrength::Strong)
    }

    /// Has settings authenticated that the present keys don't.
    fn authenticate_anew(&self, settings: &Settings, admission: &Admission) -> Result<(), Error> {
        self.configure_part(Some(settings.version.unwrap_or_default()), None, admission)
    }

    /// The envelopes of these users' records, as far as they can be read.
    fn envelopes(&self, users: &[UserId], admission: &Admission) -> Vec<Envelope> {
        let inspect = |user: &UserId| {
            let request = Request::new(Operation::Inspect, slice::from_ref(user));
            self.enter(admission, &request, |component, store| {
                component.vault(store)?.call_inspect(store, user.as_str())
            })
        };
        users.iter().filter_map(|user| inspect(user).ok()).collect()
    }

    fn configure_part(
        &self,
        version: Option<Version>,
        encoding: Option<TokenEncoding>,
        admission: &Admission,
    ) -> Result<(), Error> {
        let part = Request::new(Operation::Configure, &[]);
        let _: Configured = self.perform_part(admission, &part, |component, store| {
            let vault = component.vault(store)?;
            vault.call_configure(store, version.map(Version::name), encoding, None)
        })?;
        Ok(())
    }

    /// Refuses a ring that decrypts none of a few records, unless none of them can tell, or a new key is allowed.
    pub(super) fn check_keys(&self, admission: &Admission) -> Result<(), Error> {
        if self.allows_new_key() {
            return Ok(());
        }
        let neighbours = self.directory().sample(SAMPLE, UserId::from_file_name)?;
        self.check_keys_against(&neighbours, admission)
    }

    /// Refuses a ring that decrypts none of these users' records, unless none of them can tell.
    fn check_keys_against(
        &self,
        neighbours: &[UserId],
        admission: &Admission,
    ) -> Result<(), Error> {
        let mut is_refused = false;
        for user in neighbours {
            let request = Request::new(Operation::Verify, slice::from_ref(user));
            let answers = self.enter_for_each(admission, &request, |component, store| {
                component.vault(store)?.call_verify(store, &[user.to_string()])
            })?;
            match answers.first() {
                Some(Ok(_)) => return Ok(()),
                Some(Err(error)) => is_refused |= error.code() == ErrorCode::WrongKeyOrTampered,
                None => {}
            }
        }
        if is_refused {
            let mismatch = KeyMismatch::Records;
            return Err(Error::caused(
                ErrorCode::WrongKeyOrTampered,
                mismatch.to_string(),
                mismatch,
            ));
        }
        Ok(())
    }
}

/// Refuses to begin with other settings beside records of version 2.0, whose settings are lost.
fn check_settings_exist(envelopes: &[Envelope]) -> Result<(), Error> {
    let is_of_2 = |envelope: &Envelope| envelope.version.as_deref() == Some(Version::V2.name());
    if envelopes.iter().any(is_of_2) {
        let message = format!(
            "{SETTINGS} is missing or has no `kdf`, although there are records of version 2.0"
        );
        return Err(Error::new(ErrorCode::Malformed, message));
    }
    Ok(())
}

/// Whether a record is as the application writes it.
fn is_the_applications(envelope: &Envelope) -> bool {
    match envelope.kind {
        RecordKind::LegacyPlaintext | RecordKind::LegacyEncrypted => true,
        RecordKind::Current => {
            envelope.version.as_deref() == Some(Version::V1.name())
                && envelope.encoding == Some(TokenEncoding::App)
        }
    }
}
