//! The files of a log: the one under its name, and those that were set aside, by this program (`NAME.000000000001`,
//! after the first entry's sequence) or by logrotate (`NAME.1`, `NAME-20260102`).

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::fs::{FileExt, MetadataExt};

use cap_std::fs::{Dir, OpenOptions};

use super::entry::Entry;
use crate::directory::open_in_place;

/// The longest line that is read at once, in bytes; entries are much shorter.
pub(super) const LONGEST_LINE: u64 = 64 * 1024;

/// One file of a log, opened at its beginning.
pub(super) struct Segment {
    pub(super) name: String,
    pub(super) file: File,
    /// The sequence of its first entry.
    pub(super) first: Option<u64>,
}

/// The files that were set aside, the oldest first; after them those without an entry at their beginning, which
/// may be compressed.
pub(super) fn set_aside(dir: &Dir, name: &str) -> io::Result<Vec<Segment>> {
    let is_sibling =
        |other: &str| other.strip_prefix(name).is_some_and(|rest| rest.starts_with(['.', '-']));
    let mut segments = Vec::new();
    for item in dir.entries()? {
        let item = item?;
        let Some(other) =
            item.file_name().to_str().filter(|other| is_sibling(other)).map(str::to_owned)
        else {
            continue;
        };
        if item.file_type()?.is_file() {
            segments.extend(open(dir, &other)?);
        }
    }
    segments.sort_by_key(|segment| segment.first.unwrap_or(u64::MAX));
    Ok(segments)
}

/// All files of the log, the oldest first.
pub(super) fn all(dir: &Dir, name: &str) -> io::Result<Vec<Segment>> {
    // Opened before the others are listed: if it is set aside in between, it is just listed twice.
    let live = open(dir, name)?;
    let mut segments = set_aside(dir, name)?;
    if let Some(live) = live {
        let metadata = live.file.metadata()?;
        segments.retain(|other| {
            other
                .file
                .metadata()
                .is_ok_and(|m| (m.dev(), m.ino()) != (metadata.dev(), metadata.ino()))
        });
        let later = segments.iter().position(|other| other.first.is_none());
        segments.insert(later.unwrap_or(segments.len()), live);
    }
    Ok(segments)
}

fn open(dir: &Dir, name: &str) -> io::Result<Option<Segment>> {
    let file = match open_in_place(dir, name, OpenOptions::new().read(true)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    if !file.metadata()?.is_file() {
        let message = format!("{name:?} is not a regular file");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
    }
    let file = file.into_std();
    let first = first_entry(&file)?.map(|entry| entry.sequence);
    Ok(Some(Segment { name: name.to_owned(), file, first }))
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
