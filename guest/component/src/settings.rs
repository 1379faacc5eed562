//! The settings of a directory, `moat.json` in it: how new records are written.
//!
//! ```json
//! {"record_version":"2.0","token_encoding":"documented","kdf":{"name":"…","salt":"…","rounds":600000}}
//! ```
//!
//! Every member may be missing, and so may the file. The salt is made when version 2.0 is first asked for.

use crate::contract::{Error, TokenEncoding};
use crate::environment::Environment;
use crate::kdf::Kdf;
use crate::retry::until_written;
use crate::scheme::{Scheme, Version};
use moat_format::members::Members;

/// The file's name, which is no record's.
pub const FILE: &str = "moat.json";

/// The names of the spellings of tokens.
const DOCUMENTED: &str = "documented";
const APP: &str = "app";

/// The settings as they were read.
pub(crate) struct Settings {
    members: Members,
    version: Version,
    kdf: Option<Kdf>,
    token_encoding: Option<TokenEncoding>,
    revision: Option<String>,
}

impl Settings {
    /// Reads the settings of the directory.
    pub(crate) fn load(environment: &dyn Environment) -> Result<Self, Error> {
        let file = environment.read(FILE)?;
        let (members, revision) = match file {
            None => (Members::default(), None),
            Some(file) => {
                let members = serde_json::from_slice(&file.contents)
                    .map_err(|_| Error::malformed(format!("{FILE} is not a JSON object")))?;
                (members, Some(file.revision))
            }
        };
        Self::parse(members, revision)
            .map_err(|error| Error { message: format!("{FILE}: {}", error.message), ..error })
    }

    fn parse(members: Members, revision: Option<String>) -> Result<Self, Error> {
        let version: Option<String> = members.find("record_version")?;
        let encoding: Option<String> = members.find("token_encoding")?;
        Ok(Self {
            version: version.map_or(Ok(Version::V1), |name| Version::parse(&name))?,
            kdf: Kdf::find(&members)?,
            token_encoding: match encoding.as_deref() {
                None => None,
                Some(DOCUMENTED) => Some(TokenEncoding::Documented),
                Some(APP) => Some(TokenEncoding::App),
                Some(_) => return Err(Error::malformed("`token_encoding` is unknown")),
            },
            members,
            revision,
        })
    }

    /// The version of new records.
    pub(crate) fn version(&self) -> Version {
        self.version
    }

    /// How new tokens are spelled, if that is set.
    pub(crate) fn token_encoding(&self) -> Option<TokenEncoding> {
        self.token_encoding
    }

    /// The scheme of new records, of this version or else of the directory's. A dry run writes no salt.
    pub(crate) fn scheme(
        &self,
        environment: &dyn Environment,
        version: Option<Version>,
        dry_run: bool,
    ) -> Result<Scheme, Error> {
        match (version.unwrap_or(self.version), &self.kdf) {
            (Version::V1, _) => Ok(Scheme::V1),
            (Version::V2, Some(kdf)) => Ok(Scheme::V2(kdf.clone())),
            // What a dry run encrypts is thrown away, so that any salt will do.
            (Version::V2, None) if dry_run => Ok(Scheme::V2(Kdf::new([0; 16]))),
            (Version::V2, None) => make_kdf(environment).map(Scheme::V2),
        }
    }

    fn save(&self, environment: &dyn Environment) -> Result<(), Error> {
        let contents = serde_json::to_vec(&self.members)
            .map_err(|_| Error::malformed(format!("{FILE} can't be written as JSON")))?;
        environment.write(FILE, &contents, self.revision.as_deref()).map(drop)
    }
}

/// Sets the version and the spelling of tokens that new records get, each if it is given, and tells whether
/// something changed.
pub(crate) fn configure(
    environment: &dyn Environment,
    version: Option<Version>,
    encoding: Option<TokenEncoding>,
) -> Result<bool, Error> {
    if version == Some(Version::V2) {
        make_kdf(environment)?;
    }
    until_written(|| {
        let mut settings = Settings::load(environment)?;
        let version = version.filter(|version| *version != settings.version);
        let encoding = encoding.filter(|encoding| Some(*encoding) != settings.token_encoding);
        if let Some(version) = version {
            settings.members.set("record_version", version.name())?;
        }
        if let Some(encoding) = encoding {
            let name = match encoding {
                TokenEncoding::Documented => DOCUMENTED,
                TokenEncoding::App => APP,
            };
            settings.members.set("token_encoding", name)?;
        }
        let changed = version.is_some() || encoding.is_some();
        if changed {
            settings.save(environment)?;
        }
        Ok(changed)
    })
}

/// The salt and rounds of the directory, which are made once and then stay.
fn make_kdf(environment: &dyn Environment) -> Result<Kdf, Error> {
    until_written(|| {
        let mut settings = Settings::load(environment)?;
        if let Some(kdf) = settings.kdf {
            return Ok(kdf);
        }
        let kdf = Kdf::new(environment.random()?);
        settings.members.set("kdf", &kdf)?;
        settings.save(environment)?;
        Ok(kdf)
    })
}
