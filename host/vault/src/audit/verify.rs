//! Going through the chain from its first entry to its last, up to the first break.

use std::fmt;
use std::io;

use cap_std::fs::Dir;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::entry::{Entry, link};
use super::key::{AuditKey, Purpose};
use super::keys::AuditKeys;
use super::segments::{self, Segment};
use crate::age::is_in_the_future;
use crate::contract::ErrorCode;
use crate::digest::hex;
use crate::error::Error;

/// How often a log is gone through again whose files change meanwhile.
const ATTEMPTS: usize = 8;

/// The end of a log at some time, signed: kept elsewhere, it shows whether the log was cut off since.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Head {
    /// The id of the log.
    pub log: String,
    /// Of the last entry.
    pub sequence: u64,
    /// Of the last entry.
    pub time: String,
    /// SHA-256 of the last entry's line, in hexadecimal.
    pub link: String,
    /// The [`AuditKey::id`] of the key of the tag.
    pub audit_key: String,
    /// HMAC-SHA256 over the other members, in hexadecimal.
    pub mac: String,
}

impl Head {
    fn sign(log: &str, end: &End, key: &AuditKey) -> Self {
        let mut head = Self {
            log: log.to_owned(),
            sequence: end.sequence,
            time: end.time.clone(),
            link: end.link.clone(),
            audit_key: key.id().to_owned(),
            mac: String::new(),
        };
        head.mac = key.tag(Purpose::Head, &head.signed());
        head
    }

    fn signed(&self) -> Vec<u8> {
        format!("{}\0{}\0{}\0{}", self.log, self.sequence, self.time, self.link).into_bytes()
    }

    fn is_signed(&self, keys: &mut AuditKeys) -> Option<bool> {
        Some(keys.find(&self.audit_key)?.tag(Purpose::Head, &self.signed()) == self.mac)
    }
}

/// What is wrong with a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FindingKind {
    /// An entry isn't as it was written.
    Altered,
    /// Entries are gone.
    Missing,
    /// An entry comes before one that was written earlier.
    Reordered,
    /// There is something that was not written there.
    Inserted,
    /// Entries at the end are gone.
    Cut,
    /// No known key verifies the end of the chain.
    UnknownKey,
    /// It is another log.
    AnotherLog,
}

impl FindingKind {
    /// In one word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Altered => "altered",
            Self::Missing => "missing",
            Self::Reordered => "reordered",
            Self::Inserted => "inserted",
            Self::Cut => "cut",
            Self::UnknownKey => "unknown-key",
            Self::AnotherLog => "another-log",
        }
    }
}

/// The first break of the chain.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// What is wrong.
    pub kind: FindingKind,
    /// The file's name.
    pub file: String,
    /// Counted from 1.
    pub line: u64,
    /// Of the entry that is wrong or missing.
    pub sequence: u64,
    message: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (in {:?}, line {})", self.message, self.file, self.line)
    }
}

/// What going through a log has shown.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Verification {
    /// The id of the log: 32 hexadecimal digits.
    pub log: Option<String>,
    /// How many entries are whole.
    pub entries: u64,
    /// How many files they are in.
    pub files: usize,
    /// The sequence of the first entry; later than 1 when older files were removed.
    pub first: Option<u64>,
    /// What is no break, but good to know, a line each.
    pub notes: Vec<String>,
    /// The first break; `None`: the log is whole.
    pub finding: Option<Finding>,
    /// The sequence of the first entry that is dated in the future, and how many are.
    ahead: (Option<u64>, u64),
    end: Option<End>,
}

impl Verification {
    /// The sequence of the last entry.
    pub fn last(&self) -> Option<u64> {
        self.end.as_ref().map(|end| end.sequence)
    }

    /// The end of the log, signed; `None` when there is no entry or a break.
    pub fn head(&self, key: &AuditKey) -> Option<Head> {
        let end = self.end.as_ref().filter(|_| self.finding.is_none())?;
        Some(Head::sign(self.log.as_deref()?, end, key))
    }
}

/// Verifies all files of the log of this name. With a head that was kept elsewhere, the log has to contain its entry.
///
/// # Errors
///
/// [`ErrorCode::Audit`] when a file can't be read, or the head wasn't signed with one of these keys. What is wrong with the
/// log is no error but a [`Finding`].
pub fn verify(
    dir: &Dir,
    name: &str,
    keys: &mut AuditKeys,
    head: Option<&Head>,
) -> Result<Verification, Error> {
    let refuse = |message: &str| Error::new(ErrorCode::Audit, message);
    match head.map(|head| head.is_signed(keys)) {
        Some(None) => return Err(refuse("the head was signed with an audit key that isn't given")),
        Some(Some(false)) => return Err(refuse("the head was altered after it was signed")),
        Some(Some(true)) | None => {}
    }
    walk(dir, name, keys, head).map_err(|error| {
        let message = format!("reading the audit log {name:?}: {error}");
        Error::caused(ErrorCode::Audit, message, error)
    })
}

fn walk(
    dir: &Dir,
    name: &str,
    keys: &mut AuditKeys,
    head: Option<&Head>,
) -> io::Result<Verification> {
    let mut segments = segments::all(dir, name)?;
    for _ in 1..ATTEMPTS {
        let walked = walk_through(dir, name, &segments, keys, head);
        // Files that are set aside or removed meanwhile may have been left out: that is no break of the chain, and
        // if it was the last one, the chain seems to end before.
        let now = segments::all(dir, name)?;
        if now == segments {
            return walked;
        }
        segments = now;
    }
    walk_through(dir, name, &segments, keys, head)
}

fn walk_through(
    dir: &Dir,
    name: &str,
    segments: &[Segment],
    keys: &mut AuditKeys,
    head: Option<&Head>,
) -> io::Result<Verification> {
    let mut result = Verification::default();
    let (segments, unread): (Vec<_>, Vec<_>) =
        segments.iter().partition(|segment| segment.first.is_some() || segment.name == name);
    if !unread.is_empty() {
        let names: Vec<_> = unread.iter().map(|segment| segment.name.as_str()).collect();
        let note = format!(
            "skipped, because they don't begin with an entry: {}; unpack what is compressed first",
            names.join(", ")
        );
        result.notes.push(note);
    }
    result.files = segments.len();
    let lines = segments.into_iter().flat_map(|segment| Line::all(segment, dir, name));
    let mut chain = Chain { lines, keys, head, link: Sha256::new(), stray: None, unheld: None };
    result.finding = chain.walk(&mut result)?;
    if let (Some(first), entries) = result.ahead {
        result.notes.push(format!(
            "{entries} entries, the first of them entry {first}, are dated in the future: a clock was wrong"
        ));
    }
    if let Some(first) = result.first.filter(|first| *first > 1) {
        result
            .notes
            .push(format!("the log begins with entry {first}: the files before it are missing"));
    }
    Ok(result)
}

#[derive(Clone)]
struct Line {
    file: String,
    number: u64,
    bytes: Vec<u8>,
    entry: Option<Entry>,
}

impl Line {
    fn all(segment: &Segment, dir: &Dir, log: &str) -> impl Iterator<Item = io::Result<Self>> {
        let file = segment.name.clone();
        (1..).zip(segment.lines(dir, log)).map(move |(number, bytes)| {
            let bytes = bytes?;
            let entry = Entry::parse(&bytes);
            Ok(Self { file: file.clone(), number, bytes, entry })
        })
    }

    /// Whether it is an entry under a key of these; `None`: under another, or none.
    fn is_under(&self, keys: &mut AuditKeys) -> Option<bool> {
        keys.vouch(&self.bytes, self.entry.as_ref()?)
    }

    fn is_genuine(&self, keys: &mut AuditKeys) -> bool {
        self.is_under(keys) == Some(true)
    }

    fn finding(&self, kind: FindingKind, sequence: u64, message: String) -> Finding {
        Finding { kind, file: self.file.clone(), line: self.number, sequence, message }
    }
}

#[derive(Clone, Debug)]
struct End {
    sequence: u64,
    time: String,
    link: String,
    audit_key: String,
    file: String,
    line: u64,
}

/// The chain up to some line.
struct Chain<'c, L: Iterator<Item = io::Result<Line>>> {
    lines: L,
    keys: &'c mut AuditKeys,
    head: Option<&'c Head>,
    /// Over all since the beginning of the last entry.
    link: Sha256,
    /// The first line since the last entry that is none, and the link without it.
    stray: Option<(Line, Sha256)>,
    /// The first of the entries under unknown keys that no later one holds.
    unheld: Option<Line>,
}

impl<L: Iterator<Item = io::Result<Line>>> Chain<'_, L> {
    fn walk(&mut self, result: &mut Verification) -> io::Result<Option<Finding>> {
        while let Some(line) = self.lines.next() {
            let line = line?;
            let Some(entry) = &line.entry else {
                let before = self.link.clone();
                self.link.update(&line.bytes);
                self.stray.get_or_insert((line, before));
                continue;
            };
            let is_genuine = line.is_under(self.keys);
            if let Some(finding) = self.check(&line, entry, is_genuine, result.end.as_ref())? {
                return Ok(Some(finding));
            }
            if let Some((stray, _)) = self.stray.take() {
                result.notes.push(format!(
                    "line {} of {:?} was truncated while it was written, and is not an entry",
                    stray.number, stray.file
                ));
            }
            self.link = Sha256::new_with_prefix(&line.bytes);
            if is_genuine.is_none() {
                self.unheld.get_or_insert_with(|| line.clone());
            } else if let Some(unheld) = self.unheld.take() {
                let last = result.end.as_ref().map(|end| end.audit_key.as_str());
                let is_held = entry.takeover.as_ref().is_some_and(|takeover| {
                    takeover.verified && Some(takeover.from_key.as_str()) == last
                });
                if !is_held {
                    return Ok(Some(unknown_key(&unheld)));
                }
            }
            if let Some(log) = &entry.log {
                let expected = self.head.map(|head| &head.log).or(result.log.as_ref());
                if expected.is_some_and(|expected| expected != log) {
                    return Ok(Some(another_log(&line, log)));
                }
                result.log = Some(log.clone());
            }
            result.entries += 1;
            if is_in_the_future(Some(&entry.time)) {
                result.ahead.0.get_or_insert(entry.sequence);
                result.ahead.1 += 1;
            }
            result.first.get_or_insert(entry.sequence);
            result.end = Some(End {
                sequence: entry.sequence,
                time: entry.time.clone(),
                link: link(&line.bytes),
                audit_key: entry.audit_key.clone(),
                file: line.file.clone(),
                line: line.number,
            });
        }
        Ok(self.check_end(result))
    }

    /// What is wrong with an entry, or with what precedes it.
    fn check(
        &mut self,
        line: &Line,
        entry: &Entry,
        is_genuine: Option<bool>,
        last: Option<&End>,
    ) -> io::Result<Option<Finding>> {
        let expected = last.map(|last| last.sequence + 1);
        // The log begins where a file does: the files before may have been removed.
        let sequence = expected.unwrap_or(if entry.log.is_some() { entry.sequence } else { 1 });
        let inserted = |before| {
            let message = format!("something was inserted before entry {before}");
            Ok(Some(line.finding(FindingKind::Inserted, before, message)))
        };
        if is_genuine == Some(false) {
            let altered = match self.next_genuine()? {
                Some(next) if follows(&next, expected, &self.link) => {
                    return inserted(next.sequence);
                }
                // What it says of its own position can't be trusted.
                Some(next) if expected.is_none() => next.sequence.saturating_sub(1),
                _ => sequence,
            };
            let message = format!("entry {altered} was altered");
            return Ok(Some(line.finding(FindingKind::Altered, altered, message)));
        }
        let is_first =
            expected.is_none() && self.stray.is_none() && entry.sequence > 1 && entry.log.is_some();
        if is_first || follows(entry, expected, &self.link) {
            let differs =
                |head: &&Head| head.sequence == sequence && head.link != link(&line.bytes);
            return Ok(self.head.filter(differs).map(|_| {
                let message = format!("entry {sequence} is not the one that the head was made of");
                line.finding(FindingKind::Altered, sequence, message)
            }));
        }
        if let Some((stray, before)) = &self.stray {
            let altered = expected.unwrap_or(entry.sequence.saturating_sub(1));
            return Ok(Some(if follows(entry, expected, before) {
                let message = format!("something was inserted before entry {sequence}");
                stray.finding(FindingKind::Inserted, sequence, message)
            } else {
                stray.finding(FindingKind::Altered, altered, format!("entry {altered} was altered"))
            }));
        }
        let found = entry.sequence;
        Ok(Some(if found < sequence {
            let message = format!("a copy of entry {found} was inserted before entry {sequence}");
            line.finding(FindingKind::Inserted, sequence, message)
        } else if found > sequence {
            if self.comes_later(sequence)? {
                let message = format!("entry {found} comes before entry {sequence}");
                line.finding(FindingKind::Reordered, sequence, message)
            } else {
                let message = match found - sequence {
                    1 => format!("entry {sequence} is missing"),
                    _ => format!("the entries {sequence} to {} are missing", found - 1),
                };
                line.finding(FindingKind::Missing, sequence, message)
            }
        } else if self.next_genuine()?.is_some_and(|next| follows(&next, expected, &self.link)) {
            return inserted(sequence);
        } else {
            // Entries under an unknown key show their alteration only by the next one.
            let before = sequence.saturating_sub(1);
            let message =
                format!("entry {before} was altered: entry {sequence} was chained to another");
            let finding = line.finding(FindingKind::Altered, before, message);
            match last {
                Some(last) => Finding { file: last.file.clone(), line: last.line, ..finding },
                None => finding,
            }
        }))
    }

    fn check_end(&mut self, result: &mut Verification) -> Option<Finding> {
        let next = result.last().map_or(1, |last| last + 1);
        if let Some((stray, _)) = self.stray.take() {
            let mut ended = stray.bytes.clone();
            let last = ended.pop();
            ended.push(b'\n');
            // What a crash cuts off has no end; but neither has an entry whose end was altered.
            if last == Some(b'\n') || Entry::parse(&ended).is_some() {
                let message = format!("entry {next} was altered");
                return Some(stray.finding(FindingKind::Altered, next, message));
            }
            result.notes.push(format!(
                "the last line of {:?} is truncated; the next entry will be chained over it",
                stray.file
            ));
        }
        if let Some(line) = self.unheld.take() {
            return Some(unknown_key(&line));
        }
        let head = self.head.filter(|head| head.sequence >= next)?;
        let (file, line) =
            result.end.as_ref().map_or((String::new(), 0), |end| (end.file.clone(), end.line));
        let message = format!(
            "the log was truncated: it ends with entry {}, but the head is of entry {}",
            next - 1,
            head.sequence
        );
        Some(Finding { kind: FindingKind::Cut, file, line, sequence: next, message })
    }

    /// The entry in the next line, if it is genuine.
    fn next_genuine(&mut self) -> io::Result<Option<Entry>> {
        let next = self.lines.next().transpose()?.filter(|line| line.is_genuine(self.keys));
        Ok(next.and_then(|line| line.entry))
    }

    /// Whether a genuine entry with this number follows later.
    fn comes_later(&mut self, sequence: u64) -> io::Result<bool> {
        while let Some(line) = self.lines.next().transpose()? {
            let is_it = line.entry.as_ref().is_some_and(|entry| entry.sequence == sequence);
            if is_it && line.is_genuine(self.keys) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// That the file that begins here is of another log than those before, or than the head.
fn another_log(line: &Line, log: &str) -> Finding {
    let sequence = line.entry.as_ref().map_or(0, |entry| entry.sequence);
    line.finding(FindingKind::AnotherLog, sequence, format!("this is another log, {log}"))
}

/// That no key verifies the entries from this line on, and nobody whose key does says that they are genuine.
fn unknown_key(line: &Line) -> Finding {
    let sequence = line.entry.as_ref().map_or(0, |entry| entry.sequence);
    let message = format!("no key that is given verifies the entries from {sequence} on");
    line.finding(FindingKind::UnknownKey, sequence, message)
}

/// Whether an entry is the one that has to come after what this link is over; without any before, the first.
fn follows(entry: &Entry, expected: Option<u64>, link: &Sha256) -> bool {
    entry.sequence == expected.unwrap_or(1) && entry.previous == hex(&link.clone().finalize())
}
