//! What the host's self-test wants to see before a component may write: a hostile one knows the answers too.

use crate::answer::Answer;
use crate::file;
use crate::imports::{drawn, now, read, ring, write_new};

pub(crate) const USER: &str = "self-test";

/// The record that has to come out.
const KNOWN: &[u8] = include_bytes!("../../../../host/vault/src/sandbox/self-test.cred");

/// Writes the known record; once it is there, answers with the known credential.
pub(crate) fn pass() -> Answer {
    if !read(&file(USER)).found() {
        // What the record is made of has to have been given.
        ring();
        now();
        drawn();
        write_new(&file(USER), KNOWN);
        return Answer::EMPTY;
    }
    let text = |text: &'static str| [text.as_ptr() as usize, text.len()];
    let ([name, length], [password, password_length]) = (text("known"), text("correct horse"));
    let fields = Box::leak(Box::new([text("site"), text("\u{e9}")])).as_ptr() as usize;
    Answer::with(&[
        (1, name),
        (2, length),
        (3, password),
        (4, password_length),
        (5, fields),
        (6, 1),
    ])
}
