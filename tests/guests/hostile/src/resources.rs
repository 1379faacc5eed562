//! More than a call may use up: stack, memory, calls, bytes.

use std::hint::black_box;

use crate::answer::Answer;
use crate::imports::{lookup, now, random, read, write};
use crate::records::{longer, renewed, resealed};
use crate::{Misdeed, file};

pub(crate) const MISDEEDS: &[Misdeed] = &[
    ("deep-recursion", |_| Answer::with(&[(1, descend(1))])),
    ("deep-recursion-with-frames", |_| Answer::with(&[(1, descend_with_a_frame(1))])),
    ("memory-in-steps", |_| {
        loop {
            black_box(Vec::<u8>::with_capacity(64 << 10).leak());
        }
    }),
    ("a-million-calls-of-the-clock", |_| many(1_000_000, now)),
    ("a-million-calls-of-the-key-cache", |user| many(1_000_000, || lookup(user, ""))),
    ("2-to-the-63-random-bytes", |_| random(1 << 63)),
    ("a-gigabyte-of-randomness", |_| many(1 << 20, || random(1 << 10))),
    ("a-gigabyte-to-the-key-cache", |user| {
        let parameters = "x".repeat(4 << 20);
        many(1 << 8, || lookup(user, &parameters))
    }),
    ("a-gigabyte-of-writes", |user| {
        let before = read(&file(user));
        let record = String::from_utf8_lossy(before.bytes(2));
        // So large that it is refused; otherwise the first of them would change the file.
        many(1 << 10, || {
            let record = resealed(&renewed(&record), |token| longer(token, 1 << 20));
            write(&file(user), &record, before.bytes(4))
        })
    }),
];

fn many(times: u32, import: impl Fn() -> Answer) -> Answer {
    for _ in 0..times {
        import();
    }
    Answer::EMPTY
}

/// Uses the stack of the engine alone.
#[inline(never)]
fn descend(depth: usize) -> usize {
    if depth == 0 { 0 } else { descend(depth + 1).rotate_left(3) ^ depth }
}

/// Uses the stack in the memory of the component as well.
#[inline(never)]
fn descend_with_a_frame(depth: usize) -> usize {
    let frame = black_box([depth; 256]);
    if depth == 0 { 0 } else { descend_with_a_frame(depth + 1) ^ frame[depth % 256] }
}
