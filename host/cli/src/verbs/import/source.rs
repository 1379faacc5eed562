//! Reading a source that is one file: it may be on standard input, and encrypted with age.

use std::path::Path;

use zeroize::Zeroizing;

use crate::age_file::{self, Identities};
use crate::ambient;
use crate::failure::Failure;
use crate::secret_file::{describe, file_remedy};

/// What stands for standard input.
const STANDARD_INPUT: &str = "-";

/// A file with many secrets.
pub(super) struct Source {
    text: Zeroizing<String>,
    /// Whether it has them in the clear, and still will.
    pub(super) remains_in_the_clear: bool,
}

impl Source {
    /// Reads a file, and decrypts it if it is encrypted.
    pub(super) fn read(path: &Path, identity: Option<&Path>) -> Result<Self, Failure> {
        let is_piped = path == Path::new(STANDARD_INPUT);
        let shown = if is_piped { "standard input".to_owned() } else { path.display().to_string() };
        let bytes = if is_piped {
            ambient::read_many_from_standard_input()
        } else {
            ambient::read_file_of_many(path)
        };
        let bytes = bytes
            .map_err(|error| Failure::usage(describe(&shown, &error), file_remedy(path, &error)))?;
        let is_encrypted = age_file::is_encrypted(&bytes);
        let bytes = match identity {
            Some(identity) if is_encrypted => {
                Identities::read(identity)?.decrypt(&shown, &bytes)?
            }
            None if is_encrypted => return Err(age_file::without_identity(&shown)),
            _ => bytes,
        };
        let remains_in_the_clear = !is_encrypted && !is_piped && ambient::is_file(path);
        if remains_in_the_clear {
            warn_if_exposed(path);
        }
        let text = std::str::from_utf8(&bytes).map_err(|_| {
            Failure::usage(
                format!("{shown}: it is not UTF-8 text"),
                "nothing was changed; export it again, or convert it: iconv -t UTF-8",
            )
        })?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        Ok(Self { text: Zeroizing::new(text.to_owned()), remains_in_the_clear })
    }

    /// Without a byte order mark.
    pub(super) fn text(&self) -> &str {
        &self.text
    }
}

fn warn_if_exposed(path: &Path) {
    if let Some(mode) = ambient::exposed_mode(path) {
        let shown = path.display();
        tracing::warn!(
            "others can read {shown} (mode {mode:04o}), which has passwords in the clear: run chmod 600 on it, and delete it afterwards"
        );
    }
}
