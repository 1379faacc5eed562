//! Comparing a directory with its audit log: whether a file was put back to an older state, or removed, by somebody else
//! than its writers.

use std::collections::{BTreeMap, HashSet};

use crate::audit::{AuditKeys, History, Standing};
use crate::error::Error;
use crate::vault::Vault;
use moat_format::files::SETTINGS;
use moat_format::user_id::UserId;

/// How often what deviates is looked at again, since a record may be written between a look at it and one at the log.
const ATTEMPTS: usize = 4;

/// A file that is not as the log says.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Deviation {
    /// The user, the user's hash where only that is known, or the name of the file with the settings.
    pub name: String,
    /// How it is.
    pub standing: Standing,
}

/// Compares the records of these users, whose revisions were `found`, with the log; of all users, if these are `all`, also
/// what should be there, and the settings. `history` reads the log, which was verified.
///
/// # Errors
///
/// Those of `history`, and when a file can't be read.
pub fn compare_with_log(
    vault: &Vault,
    mut found: BTreeMap<UserId, Option<String>>,
    all: bool,
    history: impl Fn() -> Result<History, Error>,
    keys: &mut AuditKeys,
) -> Result<Vec<Deviation>, Error> {
    let mut deviations = Vec::new();
    for _ in 0..ATTEMPTS {
        let history = history()?;
        if all {
            let known: HashSet<&str> =
                found.keys().filter_map(|user| history.name_of(user, keys)).collect();
            let missing = history.users().filter(|name| !known.contains(name));
            found.extend(missing.filter_map(|name| Some((UserId::parse(name).ok()?, None))));
        }
        deviations.clear();
        for (user, revision) in &mut found {
            let mut standing = history.standing(user, revision.as_deref(), keys);
            if standing != Standing::AsWritten {
                *revision = revision_of(vault, &user.file_name())?;
                standing = history.standing(user, revision.as_deref(), keys);
            }
            deviations.push(Deviation { name: user.to_string(), standing });
        }
        if all {
            let revision = revision_of(vault, SETTINGS)?;
            let standing = history.standing_of_settings(revision.as_deref());
            deviations.push(Deviation { name: SETTINGS.to_owned(), standing });
        }
        deviations.retain(|deviation| deviation.standing != Standing::AsWritten);
        if deviations.is_empty() {
            break;
        }
    }
    Ok(deviations)
}

/// The revision of a file of the directory, if it is there.
fn revision_of(vault: &Vault, name: &str) -> Result<Option<String>, Error> {
    Ok(vault.directory().read(name)?.map(|(_, revision)| revision))
}
