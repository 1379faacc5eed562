//! The entry points of the fuzz targets.

use std::ffi::OsString;
use std::path::Path;

use crate::env_file::Environment;
use crate::usage;

/// The error that these arguments cause, if they are wrong.
pub fn complaint(arguments: impl Iterator<Item = OsString>) -> Option<String> {
    let words: Vec<_> = arguments.collect();
    let error = crate::parse(&words).err().filter(clap::Error::use_stderr)?;
    usage::report(&error, &words, true).err().map(|failure| format!("{failure:?}"))
}

/// The value of a variable in an `.env` file.
///
/// # Errors
///
/// The error that the file causes, if it is wrong.
pub fn variable(file: &Path, name: &str) -> Result<Option<Vec<u8>>, String> {
    let environment = Environment::load(Some(file)).map_err(|failure| format!("{failure:?}"))?;
    Ok(environment.find(name).map(|value| value.to_vec()))
}
