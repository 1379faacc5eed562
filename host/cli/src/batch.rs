//! Work on many records: on all cores, a few in each call into the sandbox, reported in their order while it
//! goes on. What is in memory doesn't grow with the number of users.

use std::collections::BTreeMap;
use std::io;
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

/// How many records one call into the sandbox is for, at least and at most: the more, the fewer syncs.
const PER_CALL: (usize, usize) = (4, 192);

/// How long a call should take, so that there is progress to see and little to lose.
const CALL: Duration = Duration::from_millis(200);

/// What came of one user's record.
pub(super) type Answer<T> = (UserId, Result<T, Error>);

/// Which records: those of these users, or all if none is named.
#[derive(Clone, Copy)]
pub(super) struct Selection<'s> {
    pub(super) users: &'s [UserId],
    /// Only those that were encrypted longer ago.
    pub(super) older_than: Option<Duration>,
}

impl<'s> Selection<'s> {
    /// Those of these users, or all if none is named.
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

    /// Whether a record is old enough. What can't be told of is not left out, so that its fault is reported.
    fn takes(self, vault: &Vault, user: &UserId) -> bool {
        self.older_than.is_none_or(|age| {
            let record = vault.inspect(user);
            record.map_or(true, |record| duration::is_over(age, record.encrypted_at.as_deref()))
        })
    }
}

/// Asks about a selection of users, and reports each answer. When a report fails, nothing further is begun.
///
/// Of all users, one whose record was removed after it was listed is passed over: there is nothing to report. Where the
/// system gives fewer threads than there are cores, or none, the work goes on with what there is.
pub(super) fn for_each<T: Send>(
    context: &Context,
    vault: &Vault,
    selection: Selection<'_>,
    ask: impl Fn(&[UserId]) -> Result<Vec<Result<T, Error>>, Error> + Sync,
    mut report: impl FnMut(Answer<T>) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let takes = |user: &Result<UserId, Error>| {
        user.as_ref().map_or(true, |user| selection.takes(vault, user))
    };
    let users = selection.users(vault).filter(takes);
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
    // The first call is made here, so that the thread that times calls is started before others take the last that the
    // system gives.
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
                    && is_of_no_record(error)
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

/// Whether an error is no matter of one record: every further one would meet it, too.
fn is_of_no_record(error: &Error) -> bool {
    let no_thread = error.io_kind() == Some(io::ErrorKind::WouldBlock);
    error.code() == ErrorCode::Audit || error.code() == ErrorCode::Sandbox && no_thread
}

/// A bar on standard error, if that is a terminal where people look for it.
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

/// Asks about a few users in one call. If the sandbox stops it, each is asked about by itself, so that one
/// record can't hide the others.
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

/// What is received under the numbers from this one on, in their order.
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
