//! What the host calls in the course of a call: for memory to write to, and when it is done with an answer.

use std::alloc::{Layout, alloc};
use std::cell::Cell;
use std::process::abort;

use crate::addresses::NOWHERE;
use crate::answer::Answer;
use crate::imports::{names, now, read};
use crate::{Misdeed, file};

thread_local! {
    static ALLOCATE: Cell<fn(Layout) -> usize> = const { Cell::new(allocate) };
    static AFTERWARDS: Cell<fn()> = const { Cell::new(|| ()) };
}

pub(crate) const MISDEEDS: &[Misdeed] = &[
    ("memory-out-of-bounds", |user| read_with(user, |_| NOWHERE)),
    ("memory-at-an-odd-address", |_| {
        ALLOCATE.set(|layout| allocate(layout) | 1);
        names()
    }),
    // The far end of the stack, which nothing has come to use.
    ("memory-in-one-place", |user| read_with(user, |_| 1024)),
    ("no-memory", |user| read_with(user, |_| abort())),
    ("import-while-allocating", |user| {
        read_with(user, |layout| {
            now();
            allocate(layout)
        })
    }),
    ("never-allocate", |user| read_with(user, |_| loop {})),
    ("import-afterwards", |_| then(|| _ = now())),
    ("trap-afterwards", |_| then(|| abort())),
    ("never-end-afterwards", |_| then(|| loop {})),
];

fn read_with(user: &str, allocate: fn(Layout) -> usize) -> Answer {
    ALLOCATE.set(allocate);
    read(&file(user))
}

fn then(afterwards: fn()) -> Answer {
    AFTERWARDS.set(afterwards);
    Answer::EMPTY
}

fn allocate(layout: Layout) -> usize {
    // SAFETY: `realloc` asks for one byte at least.
    unsafe { alloc(layout) as usize }
}

/// Gives the host memory for what it hands over. It never asks to move what it has.
#[unsafe(export_name = "cabi_realloc")]
extern "C" fn realloc(_old: usize, _old_size: usize, align: usize, size: usize) -> usize {
    match Layout::from_size_align(size, align) {
        Ok(layout) if size > 0 => ALLOCATE.get()(layout),
        _ => align,
    }
}

/// The host has lifted the answer of `inspect`.
#[unsafe(export_name = "cabi_post_fossawork:credentials/vault@1.0.0#inspect")]
extern "C" fn after_inspect(_answer: usize) {
    AFTERWARDS.get()();
}
