//! The names of a directory in pages: sorted, and never all of them in memory.

use std::collections::{BinaryHeap, VecDeque};
use std::io;
use std::sync::{Mutex, PoisonError};

use cap_std::fs::{Dir, DirEntry};

/// The largest page.
const MAX_NAMES: u32 = 4096;

/// How many names are read ahead: at most 16 MiB, and one pass over a directory of 100,000 instead of 25.
const AHEAD: usize = 64 * 1024;

/// The names that were read ahead. Another listing meanwhile reads anew, which costs time and nothing else.
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
    /// The `limit` smallest names after `cursor`, and the last of them if there are more.
    pub(super) fn page(
        &self,
        dir: &Dir,
        cursor: Option<&str>,
        limit: u32,
    ) -> io::Result<(Vec<String>, Option<String>)> {
        let limit = limit.clamp(1, MAX_NAMES) as usize;
        // What a panic left here is at worst read anew.
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

/// Reads the smallest names after `cursor`.
fn read(dir: &Dir, cursor: Option<&str>) -> io::Result<Ahead> {
    let mut smallest = BinaryHeap::new();
    let mut more = false;
    for entry in dir.entries()? {
        // A name that is not UTF-8 is no record's.
        let Ok(name) = entry?.file_name().into_string() else {
            continue;
        };
        if cursor.is_some_and(|cursor| name.as_str() <= cursor) {
            continue;
        }
        smallest.push(name);
        if smallest.len() > AHEAD {
            smallest.pop();
            more = true;
        }
    }
    Ok(Ahead { after: None, names: smallest.into_sorted_vec().into(), more })
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

#[cfg(test)]
mod tests {
    use super::*;
    use cap_std::ambient_authority;

    #[test]
    fn pages_are_sorted_and_whole() {
        let path = tempfile::tempdir().unwrap();
        let dir = Dir::open_ambient_dir(path.path(), ambient_authority()).unwrap();
        let mut expected: Vec<String> = (0..25).map(|n| format!("{:02}", n * 7 % 25)).collect();
        for name in &expected {
            dir.write(name, "").unwrap();
        }
        expected.sort();
        for limit in [1, 7, 24, 25, 26] {
            let all_names = Names::default();
            let (mut all, mut cursor) = (Vec::new(), None);
            loop {
                let (names, next) = all_names.page(&dir, cursor.as_deref(), limit).unwrap();
                assert!(names.len() <= limit as usize);
                all.extend(names);
                cursor = next;
                if cursor.is_none() {
                    break;
                }
            }
            assert_eq!(all, expected, "in pages of {limit}");
        }
    }

    #[test]
    fn an_empty_directory_has_one_empty_page() {
        let path = tempfile::tempdir().unwrap();
        let dir = Dir::open_ambient_dir(path.path(), ambient_authority()).unwrap();
        assert_eq!(Names::default().page(&dir, None, 0).unwrap(), (Vec::new(), None));
    }
}
