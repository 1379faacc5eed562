//! How new records of a directory are written, and what is kept of earlier ones: its settings, which nobody changes without a
//! master key.
//!
//! The settings are authenticated from when version 2.0 is first asked for, which is when their salt is made.

#![allow(clippy::missing_errors_doc, reason = "the contract in `wit/` says which")]

use moat_format::kdf::DirectoryKdf;
use moat_format::message::Message;
use moat_format::settings::{MAX_HISTORY, Mac};
use moat_format::token::Encoding;
use moat_format::version::Version;

use crate::contract::{Error, ErrorCode, TokenEncoding};
use crate::host::Host;
use crate::keys::Ring;
use crate::plaintext::Plaintext;
use crate::retry::until_written;
use crate::scheme::Scheme;
use crate::settings::Settings;

/// Sets the version and the token encoding of new records, and how many earlier versions are kept, each if it is given, and
/// returns whether one of them changed.
///
/// Settings that another key authenticates, or that were altered, are refused; but with a version, which the caller then
/// answers for, they are authenticated anew. So are those that a key authenticates that no longer encrypts.
pub fn configure(
    host: &dyn Host,
    version: Option<&str>,
    encoding: Option<TokenEncoding>,
    history: Option<u32>,
) -> Result<bool, Error> {
    let version = version.map(Version::parse).transpose()?;
    if history.is_some_and(|versions| versions > MAX_HISTORY) {
        return Err(Error::new(ErrorCode::InvalidCredential, Message::LongHistory));
    }
    let encoding = encoding.map(Encoding::from);
    let ring = Ring::new(host);
    until_written(|| {
        let mut settings = Settings::load(host)?;
        let authentic = ring.authenticate(&settings);
        let is_current = match authentic {
            Ok(by) => by.is_none() || by == Some(ring.primary()?),
            Err(error) if version.is_none() => return Err(error),
            Err(_) => false,
        };
        let version = version.filter(|version| *version != settings.version());
        let encoding = encoding.filter(|encoding| Some(*encoding) != settings.token_encoding());
        if let Some(version) = version {
            settings.set_version(version);
        }
        if let Some(encoding) = encoding {
            settings.set_token_encoding(encoding);
        }
        let history = history.filter(|versions| *versions != settings.history());
        if let Some(versions) = history {
            settings.set_history(versions);
        }
        let lacks_kdf = settings.version() == Version::V2 && settings.kdf().is_none();
        if lacks_kdf {
            settings.set_kdf(DirectoryKdf::new(host.random()?));
        }
        let is_changed = version.is_some() || encoding.is_some() || history.is_some();
        if is_changed || lacks_kdf || !is_current {
            save(settings, &ring)?;
        }
        Ok(is_changed)
    })
}

/// Authenticates the settings with the primary key, if another key of the ring does so: before long it may be gone.
/// Settings that can't be read, or that aren't authentic, are left for whoever needs them to complain about.
pub(crate) fn keep_authentic(host: &dyn Host) {
    let ring = Ring::new(host);
    let _: Result<(), Error> = until_written(|| {
        let settings = Settings::load(host)?;
        match ring.authenticate(&settings)? {
            Some(by) if by != ring.primary()? => save(settings, &ring),
            _ => Ok(()),
        }
    });
}

/// The settings, if they are authentic.
pub(crate) fn settings(ring: &Ring) -> Result<Settings, Error> {
    let settings = Settings::load(ring.host())?;
    ring.authenticate(&settings)?;
    Ok(settings)
}

/// How many earlier versions of a credential are kept. What is kept, or given up, authentic settings say.
pub(crate) fn history(ring: &Ring, of: &Plaintext) -> Result<u32, Error> {
    let settings = Settings::load(ring.host())?;
    if settings.history() > 0 || of.count_earlier()? > 0 {
        ring.authenticate(&settings)?;
    }
    Ok(settings.history())
}

/// The scheme of new records of this version in a directory with these settings, encrypted with the primary key. A dry run
/// writes no salt.
pub(crate) fn scheme(
    ring: &Ring,
    settings: &Settings,
    version: Version,
    dry_run: bool,
) -> Result<Scheme, Error> {
    let kdf = match (version, settings.kdf()) {
        (Version::V1, _) => return Ok(Scheme::V1),
        (Version::V2, Some(kdf)) => kdf.clone(),
        // What a dry run encrypts is thrown away, and its salt with it.
        (Version::V2, None) if dry_run => DirectoryKdf::new(ring.host().random()?),
        (Version::V2, None) => make_kdf(ring)?,
    };
    Ok(Scheme::V2(kdf.with_key(ring.primary_is_strong()?)))
}

/// The salt and rounds of the directory, which are made once and then stay.
fn make_kdf(ring: &Ring) -> Result<DirectoryKdf, Error> {
    until_written(|| {
        let mut settings = settings(ring)?;
        if let Some(kdf) = settings.kdf() {
            return Ok(kdf.clone());
        }
        let kdf = DirectoryKdf::new(ring.host().random()?);
        settings.set_kdf(kdf.clone());
        save(settings, ring)?;
        Ok(kdf)
    })
}

/// Authenticates the settings with the primary key, where there is what a key for that is derived from, and writes them.
fn save(mut settings: Settings, ring: &Ring) -> Result<(), Error> {
    if let (Some(kdf), Some(authenticated)) = (settings.kdf(), settings.authenticated()) {
        let primary = ring.primary()?;
        let tag = ring.settings_tag(primary, kdf, &authenticated)?;
        settings.set_mac(Mac::new(ring.at(primary)?.info.id, &tag));
    }
    settings.save(ring.host())
}
