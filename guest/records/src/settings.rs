//! Reading and changing the settings of a directory. The salt is made when version 2.0 is first asked for.

use moat_format::files::SETTINGS as FILE;
use moat_format::json_object::RawObject;
use moat_format::kdf::Kdf;
use moat_format::record::KDF;
use moat_format::settings::{self, RECORD_VERSION, TOKEN_ENCODING};
use moat_format::token::Encoding;
use moat_format::version::Version;

use crate::contract::Error;
use crate::host::Host;
use crate::retry::until_written;
use crate::scheme::Scheme;

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
                    .map_err(|_| Error::malformed(format!("{FILE} is not a JSON object")))?;
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

    /// The scheme of new records, of this version or else of the directory's. A dry run writes no salt.
    pub(crate) fn scheme(
        self,
        host: &dyn Host,
        version: Option<Version>,
        dry_run: bool,
    ) -> Result<Scheme, Error> {
        match (version.unwrap_or(self.version()), self.known.kdf) {
            (Version::V1, _) => Ok(Scheme::V1),
            (Version::V2, Some(kdf)) => Ok(Scheme::V2(kdf)),
            // What a dry run encrypts is thrown away, so that any salt will do.
            (Version::V2, None) if dry_run => Ok(Scheme::V2(Kdf::new([0; 16]))),
            (Version::V2, None) => make_kdf(host).map(Scheme::V2),
        }
    }

    fn save(&self, host: &dyn Host) -> Result<(), Error> {
        let contents = serde_json::to_vec(&self.object)
            .map_err(|_| Error::malformed(format!("{FILE} can't be written as JSON")))?;
        host.write(FILE, &contents, self.revision.as_deref()).map(drop)
    }
}

/// Sets the version and the token encoding of new records, each if it is given, and returns whether something changed.
pub(crate) fn configure(
    host: &dyn Host,
    version: Option<Version>,
    encoding: Option<Encoding>,
) -> Result<bool, Error> {
    if version == Some(Version::V2) {
        make_kdf(host)?;
    }
    until_written(|| {
        let mut settings = Settings::load(host)?;
        let version = version.filter(|version| *version != settings.version());
        let encoding = encoding.filter(|encoding| Some(*encoding) != settings.token_encoding());
        if let Some(version) = version {
            settings.object.set(RECORD_VERSION, version.name())?;
        }
        if let Some(encoding) = encoding {
            settings.object.set(TOKEN_ENCODING, encoding.name())?;
        }
        let changed = version.is_some() || encoding.is_some();
        if changed {
            settings.save(host)?;
        }
        Ok(changed)
    })
}

/// The salt and rounds of the directory, which are made once and then stay.
fn make_kdf(host: &dyn Host) -> Result<Kdf, Error> {
    until_written(|| {
        let mut settings = Settings::load(host)?;
        if let Some(kdf) = settings.known.kdf {
            return Ok(kdf);
        }
        let kdf = Kdf::new(host.random()?);
        settings.object.set(KDF, &kdf)?;
        settings.save(host)?;
        Ok(kdf)
    })
}
