//! The file with the settings of a directory. Whether to believe it is decided in [`configuration`](crate::configuration).

use moat_format::files::SETTINGS as FILE;
use moat_format::json_object::RawObject;
use moat_format::kdf::DirectoryKdf;
use moat_format::message::Message;
use moat_format::settings::{self, Mac};
use moat_format::token::Encoding;
use moat_format::version::Version;

use crate::contract::Error;
use crate::host::Host;

/// The settings, with the file that they were read from.
pub(crate) struct Settings {
    known: settings::Settings,
    object: RawObject,
    revision: Option<String>,
}

impl Settings {
    /// Reads the settings of the directory.
    pub(crate) fn load(host: &dyn Host) -> Result<Self, Error> {
        let (object, revision) = match host.read(FILE)? {
            None => (RawObject::default(), None),
            Some(file) => {
                let object = serde_json::from_slice(&file.contents)
                    .map_err(|_| Error::malformed(Message::SettingsNotAnObject))?;
                (object, Some(file.revision))
            }
        };
        let known = settings::Settings::read(&object).map_err(Error::from);
        let known = known
            .map_err(|error| Error { message: format!("{FILE}: {}", error.message), ..error })?;
        Ok(Self { known, object, revision })
    }

    /// The version of new records.
    pub(crate) fn version(&self) -> Version {
        self.known.version.unwrap_or_default()
    }

    /// The encoding of new tokens, if it is set.
    pub(crate) fn token_encoding(&self) -> Option<Encoding> {
        self.known.token_encoding
    }

    /// How many earlier versions of each credential are kept.
    pub(crate) fn history(&self) -> u32 {
        self.known.history.unwrap_or(0)
    }

    /// From what version 2.0 derives the root key, once there is a record of it.
    pub(crate) fn kdf(&self) -> Option<&DirectoryKdf> {
        self.known.kdf.as_ref()
    }

    /// What authenticates the settings.
    pub(crate) fn mac(&self) -> Option<&Mac> {
        self.known.mac.as_ref()
    }

    /// The bytes to authenticate; `None` when there is no [`Self::kdf`] to derive a key for that.
    pub(crate) fn authenticated(&self) -> Option<Vec<u8>> {
        self.known.authenticated()
    }

    pub(crate) fn set_version(&mut self, version: Version) {
        self.known.version = Some(version);
    }

    pub(crate) fn set_token_encoding(&mut self, encoding: Encoding) {
        self.known.token_encoding = Some(encoding);
    }

    pub(crate) fn set_history(&mut self, versions: u32) {
        self.known.history = Some(versions);
    }

    pub(crate) fn set_kdf(&mut self, kdf: DirectoryKdf) {
        self.known.kdf = Some(kdf);
    }

    pub(crate) fn set_mac(&mut self, mac: Mac) {
        self.known.mac = Some(mac);
    }

    /// Writes the settings in place of those that were read.
    pub(crate) fn save(self, host: &dyn Host) -> Result<(), Error> {
        let contents = self.known.spelled_over(self.object)?;
        host.write(FILE, &contents, self.revision.as_deref()).map(drop)
    }
}
