//! Work on many records: on all cores, a few records per call into the sandbox, with results reported in order while
//! the work continues. Memory use doesn't grow with the number of users.

use std::collections::BTreeMap;
use std::iter;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use crate::age::is_older_than;
use crate::contract::ErrorCode;
use crate::error::Error;
use crate::vault::Vault;
use moat_format::user_id::UserId;

/// The minimum and maximum number of records per call into the sandbox. Larger calls need fewer syncs.
const PER_CALL: (usize, usize) = (4, 192);

/// How long a call should take: short enough to show progress and to lose little work if it fails.
const CALL: Duration = Duration::from_millis(200);

/// The result for one user's record.
type Answer<T> = (UserId, Result<T, Error>);

/// Which records to work on: those of these users, or all if the list is empty.
#[derive(Clone, Copy, Debug, Default)]
pub struct Selection<'s> {
    /// These users, or all if the list is empty.
    pub users: &'s [UserId],
    /// Only records encrypted longer ago than this.
    pub older_than: Option<Duration>,
}

impl<'s> Selection<'s> {
    /// The records of these users, or all if the list is empty.
    pub fn of(users: &'s [UserId]) -> Self {
        Self { users, older_than: None }
    }

    /// The users that are named, or all of the vault; not restricted by age.
    pub fn users(
        self,
        vault: &'s Vault,
    ) -> Box<dyn Iterator<Item = Result<UserId, Error>> + Send + 's> {
        if self.users.is_empty() {
            Box::new(vault.users())
        } else {
            Box::new(self.users.iter().cloned().map(Ok))
        }
    }

    /// Whether a record is old enough. One that can't be inspected is included, so that its fault is reported.
    fn includes(self, vault: &Vault, user: &UserId) -> bool {
        self.older_than.is_none_or(|age| {
            let record = vault.inspect(user);
            record.map_or(true, |record| is_older_than(record.encrypted_at.as_deref(), age))
        })
    }
}

/// Calls `ask` for a selection of users, on all cores, and reports each answer.
///
/// If no users are named, a record that was removed after it was listed is skipped silently. If the system provides
/// fewer threads than there are cores, or none, the work continues with those available.
///
/// # Errors
///
/// The first error of `report`; an error of the vault that would affect all further records too, such as a full disk. No
/// further calls are started then.
pub fn for_each<T: Send, E: From<Error>>(
    vault: &Vault,
    selection: Selection<'_>,
    ask: impl Fn(&[UserId]) -> Result<Vec<Result<T, Error>>, Error> + Sync,
    mut report: impl FnMut(&UserId, &Result<T, Error>) -> Result<(), E>,
) -> Result<(), E> {
    let is_included = |user: &Result<UserId, Error>| {
        user.as_ref().map_or(true, |user| selection.includes(vault, user))
    };
    let users = selection.users(vault).filter(is_included);
    let calls = Mutex::new((0_usize, users));
    let next_call = |size| {
        let (number, users) = &mut *calls.lock().unwrap_or_else(PoisonError::into_inner);
        let call: Result<Vec<_>, _> = users.take(size).collect();
        *number += 1;
        match call {
            Ok(users) if users.is_empty() => None,
            call => Some((*number, call)),
        }
    };
    let do_call = |size: &mut usize| {
        let (number, call) = next_call(*size)?;
        let begun = Instant::now();
        let answers = call.map(|users| answer(&users, &ask));
        let fast = begun.elapsed() < CALL;
        *size = if fast { *size * 2 } else { *size / 2 }.clamp(PER_CALL.0, PER_CALL.1);
        Some((number, answers))
    };
    let is_gone = |error: &Error| error.code() == ErrorCode::NotFound && selection.users.is_empty();
    let over = AtomicBool::new(false);
    // The first call is made here, so that the thread that enforces the deadline is started before the
    // workers use up the last threads that the system provides.
    let mut size = PER_CALL.0;
    let first = do_call(&mut size);
    let cores = || thread::available_parallelism().map_or(1, usize::from);
    let workers = first.as_ref().map_or(0, |_| cores());
    thread::scope(|scope| {
        let (sender, received) = mpsc::sync_channel(workers);
        let started = (0..workers).map_while(|_| {
            let sender = sender.clone();
            let (over, do_call) = (&over, &do_call);
            let work = move || {
                let mut size = PER_CALL.0;
                while !over.load(Ordering::Relaxed)
                    && let Some(answers) = do_call(&mut size)
                {
                    if sender.send(answers).is_err() {
                        break;
                    }
                }
            };
            thread::Builder::new().spawn_scoped(scope, work).ok()
        });
        let started = started.count();
        drop(sender);
        let alone = iter::from_fn(|| (started == 0).then(|| do_call(&mut size)).flatten());

        let all = first.into_iter().chain(in_order(&received, 2)).chain(alone);
        let outcome = all.map(|(_, answers)| answers).try_for_each(|answers| {
            answers?.into_iter().try_for_each(|(user, answer)| match answer {
                Err(error) if is_gone(&error) => Ok(()),
                Err(error) if is_of_no_record(&error) => Err(error.into()),
                answer => {
                    report(&user, &answer)?;
                    answer.map(drop).or_else(|error| {
                        if affects_all_records(&error) { Err(error.into()) } else { Ok(()) }
                    })
                }
            })
        });
        over.store(true, Ordering::Relaxed);
        outcome
    })
}

/// Whether an error says nothing about the record.
fn is_of_no_record(error: &Error) -> bool {
    matches!(error.code(), ErrorCode::Audit | ErrorCode::Unavailable)
}

/// Whether all further records would fail with this error too.
pub fn affects_all_records(error: &Error) -> bool {
    use std::io::ErrorKind::{QuotaExceeded, ReadOnlyFilesystem, StorageFull};
    let is_full = matches!(error.io_kind(), Some(StorageFull | QuotaExceeded | ReadOnlyFilesystem));
    let is_without_key =
        matches!(error.code(), ErrorCode::MasterKeyMissing | ErrorCode::MasterKeyRefused);
    is_of_no_record(error) || is_without_key || error.code() == ErrorCode::Locked || is_full
}

/// Calls `ask` for a few users at once. If the call as a whole fails, it is repeated for each user separately, so that
/// one bad record can't affect the results of the others.
fn answer<T>(
    users: &[UserId],
    ask: &impl Fn(&[UserId]) -> Result<Vec<Result<T, Error>>, Error>,
) -> Vec<Answer<T>> {
    match (ask(users), users) {
        (Ok(answers), _) => users.iter().cloned().zip(answers).collect(),
        (Err(error), [user]) => vec![(user.clone(), Err(error))],
        (Err(_), _) => users.chunks(1).flat_map(|user| answer(user, ask)).collect(),
    }
}

/// Yields the received items in the order of their numbers, starting from this one.
fn in_order<T>(
    receiver: &mpsc::Receiver<(usize, T)>,
    from: usize,
) -> impl Iterator<Item = (usize, T)> {
    let mut early = BTreeMap::new();
    (from..).map_while(move |number| {
        while !early.contains_key(&number) {
            let (other, item) = receiver.recv().ok()?;
            early.insert(other, item);
        }
        early.remove_entry(&number)
    })
}
