//! The names of a directory in pages: sorted, and never all of them in memory.

use std::collections::{BinaryHeap, VecDeque};
use std::ffi::OsString;
use std::io;
use std::sync::{Mutex, PoisonError};

use cap_std::fs::{Dir, DirEntry};

use moat_format::user_id::{UserId, place};

/// The largest page.
const MAX_NAMES: u32 = 4096;

/// How many names are read ahead: at most 16 MiB, and one pass over a directory of 100,000 instead of 25.
const AHEAD: usize = 64 * 1024;

/// The names that were read ahead. Another listing meanwhile reads again, which costs nothing but time.
#[derive(Debug, Default)]
pub(super) struct Names(Mutex<Ahead>);

#[derive(Debug, Default)]
struct Ahead {
    /// The cursor that these names come after.
    after: Option<String>,
    names: VecDeque<String>,
    /// Whether the directory has more.
    more: bool,
}

impl Names {
    /// The first `limit` names after `cursor`, and the last of them if there are more.
    pub(super) fn page(
        &self,
        dir: &Dir,
        cursor: Option<&str>,
        limit: u32,
    ) -> io::Result<(Vec<String>, Option<String>)> {
        let limit = limit.clamp(1, MAX_NAMES) as usize;
        // At worst, what a panic left here is read again.
        let mut ahead = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if cursor.is_none() || ahead.after.as_deref() != cursor || ahead.names.is_empty() {
            *ahead = read(dir, cursor)?;
        }
        let count = limit.min(ahead.names.len());
        let names: Vec<String> = ahead.names.drain(..count).collect();
        let more = ahead.more || !ahead.names.is_empty();
        let next = if more { names.last().cloned() } else { None };
        ahead.after.clone_from(&next);
        Ok((names, next))
    }
}

/// Reads the first names after `cursor`.
fn read(dir: &Dir, cursor: Option<&str>) -> io::Result<Ahead> {
    let mut first = BinaryHeap::new();
    let mut more = false;
    for entry in dir.entries()? {
        // A name that is not UTF-8 is no record's.
        let Ok(name) = entry?.file_name().into_string() else {
            continue;
        };
        let (stem, is_record) = place(&name);
        if cursor.is_some_and(|cursor| (stem, is_record) <= place(cursor)) {
            continue;
        }
        first.push((stem.to_owned(), is_record));
        if first.len() > AHEAD {
            first.pop();
            more = true;
        }
    }
    let whole = |(stem, is_record)| if is_record { stem + UserId::EXTENSION } else { stem };
    Ok(Ahead { after: None, names: first.into_sorted_vec().into_iter().map(whole).collect(), more })
}

/// Some of the names, without reading all: at most `count` of those that `wanted` makes something of.
pub(super) fn sample<T>(
    dir: &Dir,
    count: usize,
    wanted: impl Fn(&str) -> Option<T>,
) -> io::Result<Vec<T>> {
    let named = |entry: io::Result<DirEntry>| match entry {
        Ok(entry) => entry.file_name().to_str().and_then(&wanted).map(Ok),
        Err(error) => Some(Err(error)),
    };
    dir.entries()?.filter_map(named).take(count).collect()
}

/// The names that are not UTF-8, in ascending order of their bytes.
pub(super) fn not_utf8(dir: &Dir) -> io::Result<Vec<OsString>> {
    let mut names = Vec::new();
    for entry in dir.entries()? {
        let name = entry?.file_name();
        if name.to_str().is_none() {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests {
    use std::collections::BTreeSet;

    use cap_std::ambient_authority;
    use proptest::collection::{btree_set, vec};
    use proptest::prelude::*;

    use super::*;

    /// All names in pages of this size; something may happen between the pages, after each cursor.
    fn all(
        dir: &Dir,
        limit: u32,
        reads_ahead: bool,
        mut meanwhile: impl FnMut(&str),
    ) -> Vec<String> {
        let mut ahead = Names::default();
        let (mut all, mut cursor) = (Vec::new(), None);
        loop {
            let (names, next) = ahead.page(dir, cursor.as_deref(), limit).unwrap();
            assert!(names.len() <= limit as usize);
            all.extend(names);
            let Some(next) = next else { return all };
            meanwhile(&next);
            cursor = Some(next);
            if !reads_ahead {
                ahead = Names::default();
            }
        }
    }

    fn users(names: &[String]) -> Vec<UserId> {
        names.iter().filter_map(|name| UserId::from_file_name(name)).collect()
    }

    fn directory_of<'n>(names: impl IntoIterator<Item = &'n String>) -> (Dir, tempfile::TempDir) {
        let path = tempfile::tempdir().unwrap();
        let dir = Dir::open_ambient_dir(path.path(), ambient_authority()).unwrap();
        names.into_iter().for_each(|name| dir.write(name, "").unwrap());
        (dir, path)
    }

    /// User ids that begin alike, and of characters that sort before and after those of `.cred`.
    const IDS: &str = "[ab\u{ff5e}\u{1f511}][ab .o'+\u{e9}\u{ff5e}\u{1f511}-]{0,2}(\\.cred)?";
    const OTHERS: &str = "\\.?[ab -]{1,2}(\\.txt|\\.cred\\.backup_20250616_130236)?";

    proptest! {
        #[test]
        fn records_are_in_the_order_of_their_users_in_pages_of_any_size(
            users in btree_set(IDS, 0..12),
            others in btree_set(OTHERS, 0..4),
        ) {
            let users: Vec<_> = users.iter().map(|user| UserId::parse(user).unwrap()).collect();
            let mut names: BTreeSet<String> = users.iter().map(UserId::file_name).collect();
            names.extend(others);
            let (dir, _path) = directory_of(&names);
            for limit in 1..=names.len() as u32 + 1 {
                let all = all(&dir, limit, true, |_| {});
                prop_assert_eq!(self::users(&all), &users[..], "in pages of {}", limit);
                prop_assert_eq!(&all.into_iter().collect::<BTreeSet<_>>(), &names);
            }
        }

        #[test]
        fn who_comes_and_goes_makes_nobody_else_be_left_out_or_repeated(
            users in btree_set(IDS, 1..12),
            mut coming in vec(IDS, 12),
            limit in 1..5_u32,
            reads_ahead: bool,
        ) {
            let names: BTreeSet<_> = users.iter().map(|user| format!("{user}.cred")).collect();
            let (dir, _path) = directory_of(&names);
            let mut staying = names;
            let all = all(&dir, limit, reads_ahead, |cursor| {
                dir.remove_file(cursor).unwrap();
                staying.remove(cursor);
                let new = coming.pop().map(|user| format!("{user}.cred"));
                new.iter().for_each(|name| dir.write(name, "").unwrap());
            });
            prop_assert!(users_are_ascending(&all), "{:?}", all);
            prop_assert!(staying.iter().all(|name| all.contains(name)), "{:?}", all);
        }
    }

    fn users_are_ascending(names: &[String]) -> bool {
        users(names).is_sorted_by(|one, other| one < other)
    }

    #[test]
    fn an_empty_directory_has_one_empty_page() {
        let path = tempfile::tempdir().unwrap();
        let dir = Dir::open_ambient_dir(path.path(), ambient_authority()).unwrap();
        assert_eq!(Names::default().page(&dir, None, 0).unwrap(), (Vec::new(), None));
    }
}
