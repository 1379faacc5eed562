//! Work on many records: on all cores, a few in each call into the sandbox, reported in their order while it
//! goes on. What is in memory doesn't grow with the number of users.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use moat::{Error, UserId, Vault};

use super::context::Context;
use super::failure::Failure;

/// How many records one call into the sandbox is for, at least and at most: the more, the fewer syncs.
const PER_CALL: (usize, usize) = (4, 64);

/// How long a call should take, so that there is progress to see and little to lose.
const CALL: Duration = Duration::from_millis(200);

/// What came of one user's record.
pub(super) type Answer<T> = (UserId, Result<T, Error>);

/// Asks about these users, or about all if none is named, and reports each answer. When a report fails, nothing
/// further is begun.
pub(super) fn for_each<T: Send>(
    context: &Context,
    vault: &Vault,
    named: &[UserId],
    ask: impl Fn(&[UserId]) -> Result<Vec<Result<T, Error>>, Error> + Sync,
    mut report: impl FnMut(Answer<T>) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let users: Box<dyn Iterator<Item = Result<UserId, Error>> + Send> = if named.is_empty() {
        Box::new(vault.users())
    } else {
        Box::new(named.iter().cloned().map(Ok))
    };
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
    let over = AtomicBool::new(false);
    let workers = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        let (sender, answers) = mpsc::sync_channel(workers);
        for _ in 0..workers {
            let sender = sender.clone();
            scope.spawn(|| {
                let sender = sender;
                let mut size = PER_CALL.0;
                while !over.load(Ordering::Relaxed)
                    && let Some((number, call)) = next_call(size)
                {
                    let begun = Instant::now();
                    let answers = call.map(|users| answer(&users, &ask));
                    let fast = begun.elapsed() < CALL;
                    size = if fast { size * 2 } else { size / 2 }.clamp(PER_CALL.0, PER_CALL.1);
                    if sender.send((number, answers)).is_err() {
                        break;
                    }
                }
            });
        }
        drop(sender);

        let outcome = in_order(&answers).try_for_each(|answers| {
            answers.map_err(|error| context.explain(&error))?.into_iter().try_for_each(&mut report)
        });
        over.store(true, Ordering::Relaxed);
        outcome
    })
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

/// What is received under the numbers 1, 2, …, in their order.
fn in_order<T>(receiver: &mpsc::Receiver<(usize, T)>) -> impl Iterator<Item = T> {
    let mut early = BTreeMap::new();
    (1..).map_while(move |number| {
        while !early.contains_key(&number) {
            let (other, item) = receiver.recv().ok()?;
            early.insert(other, item);
        }
        early.remove(&number)
    })
}
