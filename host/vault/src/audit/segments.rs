//! The files of a log: the one under its name, and those that were set aside, by this program (`NAME.000000000001`,
//! after the first entry's sequence) or by logrotate (`NAME.1`, `NAME-20260102`).

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::fs::FileExt;

use cap_std::fs::{Dir, MetadataExt, OpenOptions};

use super::entry::Entry;
use crate::directory::open_in_place;

/// The longest line that is read at once, in bytes; entries are much shorter.
pub(super) const LONGEST_LINE: u64 = 64 * 1024;

/// How often a file is looked for that gets other names meanwhile.
const ATTEMPTS: usize = 8;

/// One file of a log, as it was when the files were listed. It is opened when its turn comes, since there may be more of
/// them than a process may have open.
#[derive(PartialEq, Eq)]
pub(super) struct Segment {
    pub(super) name: String,
    /// The sequence of its first entry.
    pub(super) first: Option<u64>,
    id: Id,
}

/// Device and inode: what a file is known by when it gets another name.
type Id = (u64, u64);

impl Segment {
    /// Opens the file, whatever its name is by now.
    pub(super) fn open(&self, dir: &Dir, log: &str) -> io::Result<File> {
        if let Some(file) = self.find(dir, &self.name)? {
            return Ok(file);
        }
        for _ in 0..ATTEMPTS {
            for (name, _) in siblings(dir, log)?.into_iter().filter(|(_, id)| *id == self.id) {
                if let Some(file) = self.find(dir, &name)? {
                    return Ok(file);
                }
            }
        }
        let message = format!("{:?} was removed while the log was read", self.name);
        Err(io::Error::new(io::ErrorKind::NotFound, message))
    }

    /// Whether the other file begins with all of this one.
    fn is_copied_from(&self, other: &Self, dir: &Dir, log: &str) -> io::Result<bool> {
        let opened = self.open(dir, log).and_then(|copy| Ok((copy, other.open(dir, log)?)));
        let (copy, original) = match opened {
            // One that was removed meanwhile is found missing when its turn comes.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            opened => opened?,
        };
        let mut originals = Lines::new(original);
        for line in Lines::new(copy) {
            let line = line?;
            // The copy may have been made while a line was written.
            if !originals.next().transpose()?.is_some_and(|original| original.starts_with(&line)) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The file, if it has this name.
    fn find(&self, dir: &Dir, name: &str) -> io::Result<Option<File>> {
        // A file that was removed may have left its inode to another.
        let is_it = |found: &Self| {
            found.id == self.id && (found.first == self.first || self.first.is_none())
        };
        Ok(open(dir, name)?.filter(|(found, _)| is_it(found)).map(|(_, file)| file))
    }

    /// Its lines. It is opened before the first, and closed after the last.
    pub(super) fn lines(
        &self,
        dir: &Dir,
        log: &str,
    ) -> impl Iterator<Item = io::Result<Vec<u8>>> + use<> {
        let (lines, error) = match self.open(dir, log) {
            Ok(file) => (Some(Lines::new(file)), None),
            // What had no entry is not missed.
            Err(error) if self.first.is_none() && error.kind() == io::ErrorKind::NotFound => {
                (None, None)
            }
            Err(error) => (None, Some(Err(error))),
        };
        lines.into_iter().flatten().chain(error)
    }
}

/// All files of the log, the oldest first, without copies of what others of them begin with; after them those without an
/// entry at their beginning, which may be compressed, but for the one under the log's name.
pub(super) fn all(dir: &Dir, log: &str) -> io::Result<Vec<Segment>> {
    // Before the others are listed: if it is set aside in between, it is just found twice.
    let mut segments: Vec<_> = open(dir, log)?.map(|(live, _)| live).into_iter().collect();
    for (name, _) in siblings(dir, log)? {
        segments.extend(open(dir, &name)?.map(|(segment, _)| segment));
    }
    segments.sort_by_key(|segment| {
        (segment.first.unwrap_or(u64::MAX), segment.name != log, segment.id)
    });
    segments.dedup_by_key(|segment| segment.id);
    let mut originals: Vec<Segment> = Vec::with_capacity(segments.len());
    for segment in segments {
        match originals
            .last_mut()
            .filter(|last| last.first.is_some() && last.first == segment.first)
        {
            Some(last) if segment.is_copied_from(last, dir, log)? => {}
            Some(last) if last.is_copied_from(&segment, dir, log)? => *last = segment,
            _ => originals.push(segment),
        }
    }
    Ok(originals)
}

/// The files that were set aside.
fn siblings(dir: &Dir, log: &str) -> io::Result<Vec<(String, Id)>> {
    let is_sibling =
        |name: &str| name.strip_prefix(log).is_some_and(|rest| rest.starts_with(['.', '-']));
    let mut siblings = Vec::new();
    for item in dir.entries()? {
        let item = item?;
        let Some(name) = item.file_name().into_string().ok().filter(|name| is_sibling(name)) else {
            continue;
        };
        match item.metadata() {
            Ok(metadata) if metadata.is_file() => {
                siblings.push((name, (metadata.dev(), metadata.ino())));
            }
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(siblings)
}

fn open(dir: &Dir, name: &str) -> io::Result<Option<(Segment, File)>> {
    let file = match open_in_place(dir, name, OpenOptions::new().read(true)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        let message = format!("{name:?} is not a regular file");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
    }
    let file = file.into_std();
    let first = first_entry(&file)?.map(|entry| entry.sequence);
    let id = (metadata.dev(), metadata.ino());
    Ok(Some((Segment { name: name.to_owned(), first, id }, file)))
}

/// The entry at the beginning of a file; leaves the file at its beginning.
pub(super) fn first_entry(file: &File) -> io::Result<Option<Entry>> {
    let mut buffer = vec![0; LONGEST_LINE as usize];
    let read = file.read_at(&mut buffer, 0)?;
    buffer.truncate(read);
    Ok(buffer.split_inclusive(|byte| *byte == b'\n').next().and_then(Entry::parse))
}

/// The lines of a file, each with its end, one that is too long in pieces.
pub(super) struct Lines(BufReader<File>);

impl Lines {
    pub(super) fn new(file: File) -> Self {
        Self(BufReader::with_capacity(LONGEST_LINE as usize, file))
    }
}

impl Iterator for Lines {
    type Item = io::Result<Vec<u8>>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut line = Vec::new();
        match self.0.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut line) {
            Ok(0) => None,
            Ok(_) => Some(Ok(line)),
            Err(error) => Some(Err(error)),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::path::Path;

    use cap_std::ambient_authority;

    use super::*;

    const LOG: &str = "audit.log";

    /// A file whose first entry has this sequence.
    fn begin(path: &Path, name: &str, sequence: u64) {
        let entry = format!(
            r#"{{"sequence":{sequence},"time":"","id":"","phase":"intent","operation":"","actor":"","audit_key":"","previous":"","mac":"{:064}"}}"#,
            0
        );
        std::fs::write(path.join(name), entry + "\n").unwrap();
    }

    /// A log of three files, all of them listed, and its directory.
    fn listed() -> (Vec<Segment>, Dir, tempfile::TempDir) {
        let path = tempfile::tempdir().unwrap();
        for (name, first) in [("audit.log.2", 1), ("audit.log.1", 3), (LOG, 5)] {
            begin(path.path(), name, first);
        }
        let dir = Dir::open_ambient_dir(path.path(), ambient_authority()).unwrap();
        let segments = all(&dir, LOG).unwrap();
        let names: Vec<_> = segments.iter().map(|segment| segment.name.as_str()).collect();
        assert_eq!(names, ["audit.log.2", "audit.log.1", LOG]);
        (segments, dir, path)
    }

    /// The first sequence of each file as it is opened now.
    fn opened(segments: &[Segment], dir: &Dir) -> Vec<Result<u64, io::ErrorKind>> {
        let first = |segment: &Segment| {
            let file = segment.open(dir, LOG).map_err(|error| error.kind())?;
            Ok(first_entry(&file).unwrap().unwrap().sequence)
        };
        segments.iter().map(first).collect()
    }

    #[test]
    fn a_file_is_found_under_the_name_that_it_got_since_the_listing() {
        let (segments, dir, path) = listed();
        for (from, to) in
            [("audit.log.2", "audit.log.3"), ("audit.log.1", "audit.log.2"), (LOG, "audit.log.1")]
        {
            dir.rename(from, &dir, to).unwrap();
        }
        begin(path.path(), LOG, 7);
        assert_eq!(opened(&segments, &dir), [Ok(1), Ok(3), Ok(5)]);
    }

    #[test]
    fn what_took_the_place_of_a_file_is_not_taken_for_it() {
        let (segments, dir, path) = listed();
        dir.remove_file("audit.log.1").unwrap();
        // Likely with the inode of the one that was removed.
        begin(path.path(), "audit.log.1", 4);
        assert_eq!(opened(&segments, &dir), [Ok(1), Err(io::ErrorKind::NotFound), Ok(5)]);
        assert!(all(&dir, LOG).unwrap() != segments);
    }
}
