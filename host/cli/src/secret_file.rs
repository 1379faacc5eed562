//! Files with a secret: why one can't be used, and what to do about it.

use std::io;
use std::path::Path;

use zeroize::Zeroizing;

use crate::ambient::SecretFileError;
use crate::failure::Failure;

/// The failure for an unusable file with a secret, reported as a problem of the master key.
pub(super) fn unusable_file(path: &Path, error: &SecretFileError) -> Failure {
    Failure::master_key(describe(&path.display().to_string(), error), file_remedy(path, error))
}

pub(super) fn file_remedy(path: &Path, error: &SecretFileError) -> String {
    let shown = path.display();
    let user = rustix::process::geteuid();
    match error {
        SecretFileError::Exposed { owner, .. } if user.is_root() || *owner == user.as_raw() => {
            format!("run: chmod 600 {shown}")
        }
        SecretFileError::Exposed { .. } => format!(
            "copy it to your own file (install -m 600 {shown} NEW); a master key can also be read with --master-key-command 'cat {shown}'"
        ),
        SecretFileError::Foreign(_) => {
            format!(
                "if you know where it comes from, take ownership: chown {} {shown}",
                user.as_raw()
            )
        }
        SecretFileError::TooLarge => {
            "specify the right file: a secret has at most 65536 bytes".to_owned()
        }
        SecretFileError::Io(error) => match error.kind() {
            io::ErrorKind::NotFound if path == Path::new("-") => {
                "use /dev/stdin for standard input".to_owned()
            }
            io::ErrorKind::NotFound => {
                "check the path; if the file is gone, restore it from a backup".to_owned()
            }
            io::ErrorKind::IsADirectory => "specify the file in it".to_owned(),
            io::ErrorKind::PermissionDenied => {
                format!("run this as a user who can read it (ls -l {shown})")
            }
            _ => "check the path and the disk".to_owned(),
        },
    }
}

pub(super) fn describe(what: &str, error: &SecretFileError) -> String {
    match error {
        SecretFileError::Io(error) => format!("{what}: {error}"),
        SecretFileError::Exposed { mode, .. } => {
            format!("{what}: others can read it (mode {mode:04o})")
        }
        SecretFileError::Foreign(uid) => {
            format!("{what}: it belongs to uid {uid}, not to you or root")
        }
        SecretFileError::TooLarge => format!("{what}: too large for a secret"),
    }
}

/// Removes one trailing line break, as left by editors and `echo`.
pub(super) fn without_newline(mut text: Zeroizing<Vec<u8>>) -> Zeroizing<Vec<u8>> {
    // What is cut off is wiped with the rest.
    let length = moat::without_line_break(&text).len();
    text.truncate(length);
    text
}
