//! Work on many records: on all cores, a few records per call into the sandbox, with results reported in order while
//! the work continues. Memory use doesn't grow with the number of users.

use std::collections::BTreeMap;
use std::iter;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use moat::{Error, ErrorCode, UserId, Vault};

use super::context::Context;
use super::duration;
use super::failure::Failure;

/// The minimum and maximum number of records per call into the sandbox. Larger calls need fewer syncs.
const PER_CALL: (usize, usize) = (4, 192);

/// How long a call should take: short enough to show progress and to lose little work if it fails.
const CALL: Duration = Duration::from_millis(200);

/// The result for one user's record.
pub(super) type Answer<T> = (UserId, Result<T, Error>);

/// Which records to work on: those of these users, or all if the list is empty.
#[derive(Clone, Copy)]
pub(super) struct Selection<'s> {
    pub(super) users: &'s [UserId],
    /// Only records encrypted longer ago than this.
    pub(super) older_than: Option<Duration>,
}

impl<'s> Selection<'s> {
    /// The records of these users, or all if the list is empty.
    pub(super) fn of(users: &'s [UserId]) -> Self {
        Self { users, older_than: None }
    }

    fn users(
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
            record
                .map_or(true, |record| duration::is_older_than(age, record.encrypted_at.as_deref()))
        })
    }
}

/// Calls `ask` for a selection of users, and reports each answer. If a report fails, no further calls are started.
///
/// If no users are named, a record that was removed after it was listed is skipped silently. If the system provides
/// fewer threads than there are cores, or none, the work continues with those available.
pub(super) fn for_each<T: Send>(
    context: &Context,
    vault: &Vault,
    selection: Selection<'_>,
    ask: impl Fn(&[UserId]) -> Result<Vec<Result<T, Error>>, Error> + Sync,
    mut report: impl FnMut(Answer<T>) -> Result<(), Failure>,
) -> Result<(), Failure> {
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
    let is_gone = |(_, answer): &Answer<T>| {
        let not_found = answer.as_ref().is_err_and(|error| error.code() == ErrorCode::NotFound);
        not_found && selection.users.is_empty()
    };
    let progress = progress(context, vault, selection);
    let over = AtomicBool::new(false);
    // The first call is made here, so that the library's thread that enforces the deadline is started before the
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
            answers.map_err(|error| context.explain(&error))?.into_iter().try_for_each(|answer| {
                progress.inc(1);
                if is_gone(&answer) {
                    return Ok(());
                }
                if let (_, Err(error)) = &answer
                    && affects_all_records(error)
                {
                    return Err(context.explain(error));
                }
                progress.suspend(|| report(answer))
            })
        });
        progress.finish_and_clear();
        over.store(true, Ordering::Relaxed);
        outcome
    })
}

/// Whether an error is not specific to one record, so that all further records would fail too.
fn affects_all_records(error: &Error) -> bool {
    matches!(error.code(), ErrorCode::Audit | ErrorCode::Unavailable)
}

/// A progress bar on standard error, if it is a terminal and progress is wanted.
fn progress(context: &Context, vault: &Vault, selection: Selection<'_>) -> ProgressBar {
    const LOOK: &str = "{wide_bar} {pos}/{len} {per_sec} {eta} left";
    if !context.output.shows_progress() {
        return ProgressBar::hidden();
    }
    let total = selection.users(vault).count();
    let bar = ProgressBar::with_draw_target(Some(total as u64), ProgressDrawTarget::stderr());
    match ProgressStyle::with_template(LOOK) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
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
