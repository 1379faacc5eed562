//! A component that does what no component may. The user id that the host calls it for names the misdeed.
//!
//! It has no bindings generated for it: its imports and exports are written out as the canonical ABI has them,
//! so that it can say what generated code never says. A misdeed that is not stopped ends in an honest error,
//! "nothing stopped it".

#![allow(unsafe_code, reason = "the canonical ABI is made of addresses, here also of wrong ones")]
#![allow(
    clippy::empty_loop,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "to hang or to trap is what it is for"
)]

mod access;
mod addresses;
mod answer;
mod callbacks;
mod exports;
mod imports;
mod leaks;
mod lies;
mod records;
mod resources;
mod self_test;

use answer::Answer;

/// A misdeed: its name, and what it does for the user whose id is that name. When all that stopped it was an
/// error that an import answered, it returns that.
type Misdeed = (&'static str, fn(&str) -> Answer);

/// A false answer: its name, and where it says that the answer stands.
type Lie = (&'static str, fn() -> usize);

/// Does what this user id stands for, and returns where the answer stands.
fn misbehave(user: &str) -> usize {
    if user == self_test::USER {
        return self_test::pass().place();
    }
    if let Some((_, lie)) = lies::LIES.iter().find(|(name, _)| *name == user) {
        return lie();
    }
    if let Some((_, act)) = leaks::ANSWERS.iter().find(|(name, _)| *name == user) {
        return act(user).place();
    }
    let Some((_, act)) = misdeeds().find(|(name, _)| *name == user) else {
        return Answer::error("there is no such misdeed").place();
    };
    let answer = act(user);
    if answer.failed() { answer.place() } else { Answer::error("nothing stopped it").place() }
}

/// Every misdeed but the false answers.
fn misdeeds() -> impl Iterator<Item = &'static Misdeed> {
    let themes = [
        access::MISDEEDS,
        addresses::MISDEEDS,
        callbacks::MISDEEDS,
        leaks::MISDEEDS,
        records::MISDEEDS,
        resources::MISDEEDS,
    ];
    themes.into_iter().flatten()
}

/// Whether this user id stands for anything.
fn is_known(user: &str) -> bool {
    let mut misdeeds = misdeeds().chain(leaks::ANSWERS);
    lies::LIES.iter().any(|(name, _)| *name == user) || misdeeds.any(|(name, _)| *name == user)
}

/// The file of a user.
fn file(user: &str) -> String {
    format!("{user}.cred")
}
