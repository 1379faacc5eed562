//! False answers: what no value of the contract looks like, and values that are not true.

use crate::Lie;
use crate::addresses::NOWHERE;
use crate::answer::Answer;

pub(crate) const LIES: &[Lie] = &[
    // A well-formed answer to anything: nobody's record, or no answers at all to `verify`.
    ("empty-answer", || Answer::EMPTY.place()),
    ("answer-out-of-bounds", || NOWHERE & !7),
    ("answer-at-an-odd-address", || Answer::EMPTY.place() + 1),
    ("result-unknown", || answer(&[(0, 7)])),
    ("error-code-unknown", || answer(&[(0, 1), (1, 200)])),
    ("error-message-out-of-bounds", || answer(&[(0, 1), (2, NOWHERE), (3, 8)])),
    ("error-message-of-4-gib", || answer(&[(0, 1), (2, 8), (3, NOWHERE)])),
    ("kind-unknown", || answer(&[(1, 200)])),
    ("option-unknown", || answer(&[(2, 2)])),
    ("version-out-of-bounds", || answer(&[(2, 1), (3, NOWHERE), (4, 8)])),
    ("version-that-is-no-text", || {
        let bytes = b"\xff\xfe";
        answer(&[(2, 1), (3, bytes.as_ptr() as usize), (4, bytes.len())])
    }),
    ("users-of-4-gib", || answer(&[(1, 8), (2, u32::MAX as usize)])),
    ("users-at-an-odd-address", || answer(&[(1, 9), (2, 1)])),
    ("users-that-are-none", || users(&["../x"])),
    // Few MiB of the component's memory; copied one by one it would be 256 GiB of the host's.
    ("users-all-in-one-place", || {
        let text: &str = "x".repeat(1 << 20).leak();
        users(&vec![text; 1 << 18])
    }),
    ("users-without-end", || {
        let cursor = "again";
        answer(&[(3, 1), (4, cursor.as_ptr() as usize), (5, cursor.len())])
    }),
];

fn answer(words: &[(usize, usize)]) -> usize {
    Answer::with(words).place()
}

/// A page of these users, the last one.
fn users(users: &[&'static str]) -> usize {
    let list: Vec<_> = users.iter().map(|user| [user.as_ptr() as usize, user.len()]).collect();
    answer(&[(1, list.leak().as_ptr() as usize), (2, users.len())])
}
