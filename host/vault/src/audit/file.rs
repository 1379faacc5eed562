//! Appending to the log: by many processes in turn, and by many threads that share their syncs.
//!
//! The turn is an advisory lock (`flock`) on the file. Whoever has it looks first whether the file still has the
//! log's name (else it was set aside, and the new one is opened) and whether somebody else has appended (else
//! the end is known). Nothing that was written is ever written over: what a crash or a full disk left of a line
//! stays, and the next entry is chained over it.

use std::collections::HashMap;
use std::fs::{File, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, MetadataExt as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, Thread};
use std::time::{Duration, Instant, SystemTime};

use cap_std::fs::{Dir, Metadata, MetadataExt as _, OpenOptions, OpenOptionsExt};
use rustix::fs::{FallocateFlags, fallocate};
use rustix::io::Errno;
use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;

use super::entry::{Entry, Takeover, is_signed_by, link, random_id};
use super::key::AuditKey;
use super::keys::AuditKeys;
use super::segments;
use crate::age::AHEAD;
use crate::directory::{open_in_place, sync};

/// How far from its end the last entry of a file is looked for, in bytes.
const TAIL: u64 = 4 * segments::LONGEST_LINE;
/// The room beyond the end that is reserved before an operation, so that there is some for its outcome, in
/// bytes.
const RESERVE: u64 = 256 * 1024;
/// How long to wait for the turn, which others have for microseconds.
const PATIENCE: Duration = Duration::from_secs(10);
const RETRY_AFTER: Duration = Duration::from_micros(100);
/// RFC 3339 with microseconds, always as long, so that the order of the texts is that of the times.
const TIME: &[BorrowedFormatItem<'_>] = format_description!(
    version = 2,
    "[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:6]Z"
);

/// When a log's file is set aside and a new one begun.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rotation {
    /// When it has this many bytes.
    pub size: Option<u64>,
    /// When its first entry is this old.
    pub age: Option<Duration>,
}

/// The file under the log's name.
pub(super) struct LogFile {
    dir: Dir,
    name: String,
    key: AuditKey,
    /// The keys that entries of others may be under.
    former_keys: Mutex<AuditKeys>,
    rotation: Rotation,
    queue: Mutex<Queue>,
    state: Mutex<State>,
}

/// Entries that belong together, and what is asked of the log for them.
pub(super) struct Job {
    pub(super) entries: Vec<Entry>,
    /// Fail unless there will be room for as many once more.
    pub(super) reserves: bool,
    /// Wait until they are on the disk.
    pub(super) is_durable: bool,
}

impl Job {
    /// How many bytes its entries take at most, and once more if there has to be room for as many.
    fn room(&self) -> u64 {
        let once: u64 = self.entries.iter().map(Entry::room).sum();
        if self.reserves { 2 * once } else { once }
    }
}

/// Those who wait to have their entries written.
#[derive(Default)]
struct Queue {
    drawn: u64,
    waiting: Vec<Waiting>,
    done: HashMap<u64, io::Result<Vec<Entry>>>,
    /// Whether one of them writes for all right now.
    is_led: bool,
}

/// One of them, by the number that it drew.
struct Waiting {
    number: u64,
    thread: Thread,
    job: Job,
}

/// What the thread that writes for all knows of the file.
#[derive(Default)]
struct State {
    open: Option<Open>,
    /// The id of the log, from when it was first opened.
    log: Option<String>,
    /// Why nothing will be durable any more. What the system couldn't write it may have dropped, so that a later
    /// sync which succeeds says nothing.
    failed: Option<String>,
}

/// The file as it was found.
struct Open {
    file: Arc<File>,
    /// How many bytes it had then.
    end: u64,
    tail: Tail,
    /// The id of the log.
    log: String,
    /// The sequence and the time of its first entry.
    first: Option<(u64, OffsetDateTime)>,
    /// Up to where there is room for certain.
    reserved: u64,
}

/// What the next entry is chained to.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Tail {
    /// Of the last entry; 0 before the first.
    sequence: u64,
    link: String,
    /// Whether the last line has no end.
    is_torn: bool,
    /// What has to be said of the last entry, which isn't genuine under the log's own key, before the next.
    takeover: Option<Takeover>,
}

impl LogFile {
    pub(super) fn new(dir: Dir, name: &str, key: AuditKey, rotation: Rotation) -> Self {
        Self {
            dir,
            name: name.to_owned(),
            key,
            former_keys: Mutex::default(),
            rotation,
            queue: Mutex::default(),
            state: Mutex::default(),
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn key(&self) -> &AuditKey {
        &self.key
    }

    pub(super) fn set_former_keys(&self, keys: AuditKeys) {
        *lock(&self.former_keys) = keys;
    }

    /// Appends entries, which get their places in the chain, and returns them. Many threads share a write and a
    /// sync: the first one does it for all that wait, and those that come meanwhile wait for the next.
    pub(super) fn append(&self, job: Job) -> io::Result<Vec<Entry>> {
        let mut queue = lock(&self.queue);
        queue.drawn += 1;
        let number = queue.drawn;
        queue.waiting.push(Waiting { number, thread: thread::current(), job });
        loop {
            if let Some(result) = queue.done.remove(&number) {
                return result;
            }
            if queue.is_led {
                drop(queue);
                thread::park();
                queue = lock(&self.queue);
                continue;
            }
            queue.is_led = true;
            let mut all = std::mem::take(&mut queue.waiting);
            drop(queue);
            let outcome = self.append_all(&mut all);
            queue = lock(&self.queue);
            queue.is_led = false;
            let mut awaited: Vec<Thread> = Vec::with_capacity(all.len() + 1);
            for Waiting { number, thread, job } in all {
                let result = match &outcome {
                    Ok(Some(no_room)) if job.reserves => Err(again(no_room)),
                    Ok(_) => Ok(job.entries),
                    Err(error) => Err(again(error)),
                };
                queue.done.insert(number, result);
                awaited.push(thread);
            }
            // The first of those who came meanwhile is the next to write.
            awaited.extend(queue.waiting.first().map(|next| next.thread.clone()));
            // Without the lock, which all of them want next.
            drop(queue);
            awaited.iter().for_each(Thread::unpark);
            queue = lock(&self.queue);
        }
    }

    /// Appends the entries of all, and syncs them if one of them has to be durable. Without room to reserve, only
    /// those are written that don't ask for it; then returns why there is none.
    fn append_all(&self, all: &mut [Waiting]) -> io::Result<Option<io::Error>> {
        let mut state = lock(&self.state);
        if let Some(reason) = &state.failed {
            return Err(io::Error::other(reason.clone()));
        }
        let (mut open, lock) = self.lock_file(&mut state.open)?;
        if *state.log.get_or_insert_with(|| open.log.clone()) != open.log {
            let message = "another log was put in its place; restart this program to go on with it";
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
        let mut no_room = None;
        if all.iter().any(|waiting| waiting.job.reserves) {
            let room: u64 = all.iter().map(|waiting| waiting.job.room()).sum();
            // With some for a takeover.
            no_room = open.reserve(room + Entry::default().room()).err();
        }
        let mut text = String::new();
        let mut is_durable = false;
        let jobs = all.iter_mut().map(|waiting| &mut waiting.job);
        for job in jobs.filter(|job| no_room.is_none() || !job.reserves) {
            text.push_str(&open.chain(&mut job.entries, &self.key)?);
            is_durable |= job.is_durable;
        }
        let written = (&*open.file).write_all(text.as_bytes());
        drop(lock);
        // After a failure the file is left closed, and its end is looked up again.
        written?;
        open.end += text.len() as u64;
        let synced = if is_durable { open.file.sync_data() } else { Ok(()) };
        state.open = Some(open);
        if let Err(error) = synced {
            state.failed = Some(format!("an earlier sync failed, restart this program: {error}"));
            return Err(error);
        }
        Ok(no_room)
    }

    /// The file under the log's name, whose end is known, and the turn to append to it.
    fn lock_file(&self, open: &mut Option<Open>) -> io::Result<(Open, Turn)> {
        loop {
            let mut open = match open.take() {
                Some(open) => open,
                None => self.open()?,
            };
            let turn = Turn::wait(&open.file)?;
            let opened = open.file.metadata()?;
            if self.is_live(&opened)? {
                if opened.len() != open.end {
                    self.look_up_end(&mut open, opened.len())?;
                }
                let Some(first) = open.due(self.rotation) else {
                    return Ok((open, turn));
                };
                self.dir.rename(&self.name, &self.dir, format!("{}.{first:012}", self.name))?;
            }
        }
    }

    fn open(&self) -> io::Result<Open> {
        let mut options = OpenOptions::new();
        options.read(true).append(true);
        let file = match open_in_place(&self.dir, &self.name, &mut options) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                options.create(true).mode(0o600);
                let file = open_in_place(&self.dir, &self.name, &mut options)?;
                sync(&self.dir)?;
                file
            }
            opened => opened?,
        };
        check(&file.metadata()?)?;
        let tail = Tail::begin();
        // No file has this size, so that its end is looked up.
        let end = u64::MAX;
        let log = String::new();
        Ok(Open { file: Arc::new(file.into_std()), end, tail, log, first: None, reserved: 0 })
    }

    /// Whether the file still has the log's name.
    fn is_live(&self, opened: &std::fs::Metadata) -> io::Result<bool> {
        match self.dir.symlink_metadata(&self.name) {
            Ok(named) => Ok((named.dev(), named.ino()) == (opened.dev(), opened.ino())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn look_up_end(&self, open: &mut Open, size: u64) -> io::Result<()> {
        let mut bytes = end_of(&open.file, size)?;
        let may_be_new = size < TAIL && is_beginning(&bytes);
        let is_torn = !bytes.is_empty() && !bytes.ends_with(b"\n");
        if is_torn {
            // As the next entry will end it.
            bytes.push(b'\n');
        }
        let first = segments::first_entry(&open.file)?;
        open.first = first.as_ref().and_then(first_of);
        let mut log = first.and_then(|entry| entry.log);
        let mut tail = self.tail_of(&bytes);
        if tail.is_none() && may_be_new {
            // It is chained to the file before, which has to be on the disk before anything that builds on it.
            let all = segments::all(&self.dir, &self.name)?;
            tail = match all.iter().rfind(|segment| segment.first.is_some()) {
                None => {
                    log = Some(random_id::<16>().map_err(io::Error::other)?);
                    Some(Tail { link: link(&bytes), ..Tail::begin() })
                }
                Some(before) => {
                    let file = before.open(&self.dir, &self.name)?;
                    file.sync_data()?;
                    log = segments::first_entry(&file)?.and_then(|entry| entry.log);
                    let end = end_of(&file, file.metadata()?.len())?;
                    self.tail_of(&[end, bytes].concat())
                }
            };
        }
        open.tail = tail.ok_or_else(|| {
            let message = "there is no entry at its end; `moat audit verify` says more";
            io::Error::new(io::ErrorKind::InvalidData, message)
        })?;
        open.tail.is_torn = is_torn;
        open.log = log.unwrap_or_default();
        open.end = size;
        Ok(())
    }

    /// The last entry in these bytes, with everything after it.
    fn tail_of(&self, bytes: &[u8]) -> Option<Tail> {
        let mut start = bytes.len();
        bytes.split_inclusive(|byte| *byte == b'\n').rev().find_map(|line| {
            start -= line.len();
            let entry = Entry::parse(line)?;
            let is_own = entry.audit_key == self.key.id();
            let is_genuine = is_own && is_signed_by(line, &self.key);
            let takeover = (!is_genuine).then(|| Takeover {
                from_key: entry.audit_key.clone(),
                verified: !is_own && lock(&self.former_keys).vouch(line, &entry) == Some(true),
            });
            let link = link(bytes.get(start..)?);
            Some(Tail { sequence: entry.sequence, link, is_torn: false, takeover })
        })
    }
}

impl Open {
    /// The sequence of the first entry, if it is time to set the file aside.
    fn due(&self, rotation: Rotation) -> Option<u64> {
        let (sequence, time) = self.first?;
        let age = OffsetDateTime::from(SystemTime::now()) - time;
        let is_due = rotation.size.is_some_and(|size| self.end >= size)
            // From a time in the future no age can be told.
            || rotation.age.is_some_and(|limit| age >= limit || -age > AHEAD);
        is_due.then_some(sequence)
    }

    /// Gives the entries their places after the last one, and returns their lines.
    fn chain(&mut self, entries: &mut [Entry], key: &AuditKey) -> io::Result<String> {
        let mut text = String::new();
        if std::mem::take(&mut self.tail.is_torn) {
            text.push('\n');
        }
        let now = OffsetDateTime::from(SystemTime::now());
        let time = now.format(TIME).map_err(io::Error::other)?;
        let mut taken_over = None;
        if let (Some(takeover), Some(first)) = (self.tail.takeover.take(), entries.first()) {
            taken_over = Some(Entry::takeover(takeover, first));
        }
        for entry in taken_over.iter_mut().chain(entries) {
            self.tail.sequence += 1;
            entry.sequence = self.tail.sequence;
            entry.time.clone_from(&time);
            entry.log = self.first.is_none().then(|| self.log.clone());
            key.id().clone_into(&mut entry.audit_key);
            entry.previous = std::mem::take(&mut self.tail.link);
            let line = entry.sign(key)?;
            self.tail.link = link(line.as_bytes());
            if entry.log.is_some() {
                self.first = first_of(entry);
            }
            text.push_str(&line);
        }
        Ok(text)
    }

    /// Makes sure that there is room for this many bytes, where the file system can promise that.
    fn reserve(&mut self, bytes: u64) -> io::Result<()> {
        if self.end + bytes <= self.reserved {
            return Ok(());
        }
        let bytes = bytes.max(RESERVE);
        loop {
            match fallocate(&self.file, FallocateFlags::KEEP_SIZE, self.end, bytes) {
                Ok(()) => self.reserved = self.end + bytes,
                Err(Errno::INTR) => continue,
                Err(Errno::OPNOTSUPP | Errno::NOSYS) => {}
                Err(error) => return Err(error.into()),
            }
            return Ok(());
        }
    }
}

impl Tail {
    /// Of a log without any entry.
    fn begin() -> Self {
        Self { sequence: 0, link: link(b""), is_torn: false, takeover: None }
    }
}

/// The last bytes of a file of this size.
fn end_of(file: &File, size: u64) -> io::Result<Vec<u8>> {
    let begin = size.saturating_sub(TAIL);
    let mut bytes = vec![0; usize::try_from(size - begin).map_err(io::Error::other)?];
    file.read_exact_at(&mut bytes, begin)?;
    Ok(bytes)
}

/// Whether this is the beginning of an entry, or nothing.
fn is_beginning(bytes: &[u8]) -> bool {
    const FIRST: &[u8] = b"{\"sequence\":";
    !bytes.contains(&b'\n') && (bytes.starts_with(FIRST) || FIRST.starts_with(bytes))
}

/// The same error once more, for another of those whom it concerns.
fn again(error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), error.to_string())
}

fn first_of(first: &Entry) -> Option<(u64, OffsetDateTime)> {
    Some((first.sequence, OffsetDateTime::parse(&first.time, &Rfc3339).ok()?))
}

/// The log is for its owner alone, and nowhere else.
fn check(metadata: &Metadata) -> io::Result<()> {
    let refuse = |message: String| Err(io::Error::new(io::ErrorKind::PermissionDenied, message));
    let (uid, mode) = (metadata.uid(), metadata.mode() & 0o777);
    if !metadata.is_file() {
        refuse("it is not a regular file".to_owned())
    } else if metadata.nlink() > 1 {
        refuse("it has a second name (hard link)".to_owned())
    } else if uid != rustix::process::geteuid().as_raw() {
        refuse(format!("it belongs to uid {uid}"))
    } else if mode & 0o077 != 0 {
        refuse(format!("others can reach it (mode {mode:04o}); make it 0600"))
    } else {
        Ok(())
    }
}

/// What a thread that panicked left is whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The turn, until it is dropped.
struct Turn(Arc<File>);

impl Turn {
    fn wait(file: &Arc<File>) -> io::Result<Self> {
        let begun = Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Self(Arc::clone(file))),
                Err(TryLockError::WouldBlock) if begun.elapsed() < PATIENCE => {
                    thread::sleep(RETRY_AFTER);
                }
                Err(TryLockError::WouldBlock) => {
                    let message = format!("another process has held it locked for {PATIENCE:?}");
                    return Err(io::Error::new(io::ErrorKind::WouldBlock, message));
                }
                Err(TryLockError::Error(error)) => return Err(error),
            }
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        // It can't fail for a file that is open and locked.
        let _ = self.0.unlock();
    }
}
