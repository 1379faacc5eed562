//! The names of a directory in pages: sorted, and never more in memory than one page.

use std::collections::BinaryHeap;
use std::io;

use cap_std::fs::Dir;

/// The largest page.
const MAX_NAMES: u32 = 4096;

/// The `limit` smallest names after `cursor`, and the last of them if there are more. The directory is read
/// through for every page, which needs no state between pages and stays right while others write.
pub(super) fn page(
    dir: &Dir,
    cursor: Option<&str>,
    limit: u32,
) -> io::Result<(Vec<String>, Option<String>)> {
    let limit = limit.clamp(1, MAX_NAMES) as usize;
    let mut smallest = BinaryHeap::with_capacity(limit + 1);
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
        if smallest.len() > limit {
            smallest.pop();
            more = true;
        }
    }
    let names = smallest.into_sorted_vec();
    let next = if more { names.last().cloned() } else { None };
    Ok((names, next))
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
            let (mut all, mut cursor) = (Vec::new(), None);
            loop {
                let (names, next) = page(&dir, cursor.as_deref(), limit).unwrap();
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
        assert_eq!(page(&dir, None, 0).unwrap(), (Vec::new(), None));
    }
}
