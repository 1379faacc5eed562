//! Wrong addresses and lengths in calls of imports.

use crate::imports::{Bytes, read, read_to, remember, write};
use crate::{Misdeed, answer::Answer, file};

/// Where there is nothing: the memory never grows this far.
pub(crate) const NOWHERE: usize = u32::MAX as usize - 31;

pub(crate) const MISDEEDS: &[Misdeed] = &[
    ("name-out-of-bounds", |_| read(Bytes { address: NOWHERE, length: 8 })),
    ("name-across-the-end", |_| read(Bytes { address: 8, length: NOWHERE })),
    ("name-around-the-end", |_| read(Bytes { address: NOWHERE, length: 64 })),
    ("contents-of-4-gib", |user| write(&file(user), Bytes { address: 0, length: NOWHERE }, "")),
    ("revision-out-of-bounds", |user| {
        write(&file(user), "written", Bytes { address: NOWHERE, length: 8 })
    }),
    ("key-of-4-gib", |user| remember(user, Bytes { address: 0, length: NOWHERE })),
    ("answer-to-nowhere", |user| answer_to(user, NOWHERE & !7)),
    ("answer-to-an-odd-address", |user| answer_to(user, Answer::EMPTY.place() + 1)),
];

/// Has an answer written where none can stand.
fn answer_to(user: &str, address: usize) -> Answer {
    // SAFETY: there is nothing, or room for an answer and nothing else.
    unsafe { read_to(&file(user), address) };
    Answer::EMPTY
}
