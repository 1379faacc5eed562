//! Examining a directory without decrypting anything: who can access what, and what is out of place.

use std::ffi::OsString;
use std::io;
use std::os::fd::AsFd;

use cap_std::fs::{Dir, Metadata, MetadataExt};

use super::names::Names;
use crate::contract::TokenEncoding;
use crate::directory::Directory;
use crate::error::Error;
use moat_format::files::{SETTINGS, is_own};
use moat_format::json_object::RawObject;
use moat_format::settings::Settings;
use moat_format::user_id::UserId;
use moat_format::version::Version;

/// What there is to know of a directory and its files.
#[derive(Debug)]
#[non_exhaustive]
pub struct DirectoryReport {
    /// The user id of the directory's owner.
    pub owner: u32,
    /// The directory's permission bits.
    pub mode: u32,
    /// The number of records.
    pub records: usize,
    /// Files that others than their owner can access.
    pub exposed: Vec<OsString>,
    /// Files of another owner than the directory.
    pub other_owners: Names,
    /// Symbolic links, and files with several names.
    pub links: Names,
    /// Neither files nor links.
    pub irregular: Names,
    /// Temporary files that interrupted writers left behind.
    pub temporaries: Names,
    /// The settings.
    pub settings: SettingsState,
}

/// What the settings of a directory say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum SettingsState {
    /// There are none.
    #[default]
    Missing,
    /// The file can't be read as settings.
    Damaged,
    /// They can be read.
    Found {
        /// The version of new records, if it is set.
        version: Option<Version>,
        /// The encoding of new tokens, if it is set.
        token_encoding: Option<TokenEncoding>,
        /// Whether they have what version 2.0 derives keys from, and something that authenticates them. Whether that does is
        /// for a master key to say.
        has_derivation: bool,
    },
}

impl DirectoryReport {
    /// Examines a directory, whoever owns it.
    ///
    /// # Errors
    ///
    /// [`Directory`](crate::ErrorCode::Directory) when it can't be read.
    pub fn examine(dir: &Dir) -> Result<Self, Error> {
        let failed = |error| Error::io("examining the directory", error);
        let metadata = dir.dir_metadata().map_err(failed)?;
        let mut report = Self {
            owner: metadata.uid(),
            mode: metadata.mode() & 0o777,
            records: 0,
            exposed: Vec::new(),
            other_owners: Names::default(),
            links: Names::default(),
            irregular: Names::default(),
            temporaries: Names::default(),
            settings: SettingsState::Missing,
        };
        for item in dir.entries().map_err(failed)? {
            let name = item.map_err(failed)?.file_name();
            match dir.symlink_metadata(&name) {
                Ok(metadata) => report.add(name, &metadata),
                // It was removed meanwhile.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(failed(error)),
            }
        }
        Directory::stale_temporaries(dir)?.iter().for_each(|name| report.temporaries.add(name));
        if let Ok(text) = dir.read(SETTINGS) {
            report.settings = SettingsState::of(&text);
        }
        Ok(report)
    }

    fn add(&mut self, name: OsString, metadata: &Metadata) {
        let is_own = name.to_str().is_some_and(is_own);
        let is_record = name.as_encoded_bytes().ends_with(UserId::EXTENSION.as_bytes());
        if name == SETTINGS {
            self.settings = SettingsState::Damaged;
        }
        if !is_own && !is_record {
            // Those are leftovers.
            return;
        }
        self.records += usize::from(!is_own);
        if metadata.is_symlink() || metadata.is_file() && metadata.nlink() > 1 {
            self.links.add(name);
        } else if !metadata.is_file() {
            self.irregular.add(name);
        } else if metadata.uid() != self.owner {
            self.other_owners.add(name);
        } else if metadata.mode() & 0o077 != 0 {
            self.exposed.push(name);
        }
    }
}

impl SettingsState {
    fn of(text: &[u8]) -> Self {
        let object: Option<RawObject> = serde_json::from_slice(text).ok();
        match object.map(|object| Settings::read(&object)) {
            Some(Ok(settings)) => Self::Found {
                version: settings.version,
                token_encoding: settings.token_encoding.map(Into::into),
                has_derivation: settings.kdf.is_some() && settings.mac.is_some(),
            },
            _ => Self::Damaged,
        }
    }
}

/// How many bytes can still be written in a directory.
///
/// # Errors
///
/// The file system can't be examined.
pub fn free_space(dir: &Dir) -> io::Result<u64> {
    let stat = rustix::fs::fstatvfs(dir.as_fd())?;
    // A file system that reports no inodes has no limit on them.
    let has_no_inodes = stat.f_files > 0 && stat.f_favail == 0;
    Ok(if has_no_inodes { 0 } else { stat.f_bavail.saturating_mul(stat.f_frsize) })
}
