//! Opening credentials for a process that must not be confined itself: threads share their memory, so whatever opens
//! them must be confined as a whole process. A child opens them, passes them on through a pipe, and ends. This process
//! reads no file of the directory.

mod message;

use std::io::{self, PipeWriter};
use std::process::ExitCode;

use moat::{Error, ErrorCode, Operation, UserId};
use zeroize::Zeroizing;

use message::Values;

use crate::ambient::MAX_SECRET_BYTES;
use crate::ambient::processes::{self, Forked};
use crate::confinement;
use crate::context::Context;
use crate::failure::Failure;
use crate::output;
use crate::secret_file::describe;

/// What the child is, in messages.
const CHILD: &str = "the process that opens the credentials";

/// The credentials that the child sent.
pub(super) struct Message(Zeroizing<Vec<u8>>);

/// Opens the credentials of these users in a child. `Err` has the code with which this process is to end. Must be called
/// before any thread is started.
pub(super) fn reveal<'u>(
    context: &Context,
    users: impl IntoIterator<Item = &'u UserId>,
) -> Result<Result<Message, ExitCode>, Failure> {
    let mut each: Vec<&UserId> = Vec::new();
    for user in users {
        if !each.contains(&user) {
            each.push(user);
        }
    }
    let limit = MAX_SECRET_BYTES.saturating_mul(each.len());
    Ok(in_child(context, limit, |pipe| send(context, &each, pipe))?.map(Message))
}

/// Runs this in a child, and returns what it writes into the pipe, up to this many bytes. `Err` has the code with which this
/// process is to end: in the child, and after a failure there, which the child has reported. Must be called before any
/// thread is started.
pub(super) fn in_child(
    context: &Context,
    limit: usize,
    work: impl FnOnce(PipeWriter) -> Result<(), Failure>,
) -> Result<Result<Zeroizing<Vec<u8>>, ExitCode>, Failure> {
    let child = match processes::fork().map_err(|error| Failure::no_process(&error))? {
        Forked::Child(pipe) => {
            // As its parent did: a child doesn't inherit it.
            let _ = confinement::lock_memory();
            return work(pipe).map(|()| Err(ExitCode::SUCCESS));
        }
        Forked::Parent(child) => child,
    };
    let (message, status) =
        child.wait(limit).map_err(|error| broken(context, describe(CHILD, &error)))?;
    match status.code().map(u8::try_from) {
        Some(Ok(0)) => Ok(Ok(message)),
        Some(Ok(code)) => Ok(Err(ExitCode::from(code))),
        _ => Err(Failure::other(
            format!("{CHILD} was ended by {status}"),
            "run this again; if it ends like this again, the system's log may say why",
        )),
    }
}

impl Message {
    /// The credentials.
    pub(super) fn credentials(&self, context: &Context) -> Result<Credentials<'_>, Failure> {
        message::parse(&self.0)
            .map(Credentials)
            .ok_or_else(|| broken(context, format!("{CHILD} has sent something else instead")))
    }
}

/// The credentials in a message.
pub(super) struct Credentials<'m>(Vec<Values<'m>>);

impl Credentials<'_> {
    /// That of this user.
    pub(super) fn of(&self, user: &UserId) -> Option<&Values<'_>> {
        self.0.iter().find(|values| values.user == user.as_str())
    }
}

fn broken(context: &Context, what: String) -> Failure {
    context.explain(&Error::new(ErrorCode::Sandbox, what))
}

/// Sends the credentials to the parent.
fn send(context: &Context, users: &[&UserId], mut pipe: PipeWriter) -> Result<(), Failure> {
    let vault = context.vault(Operation::Reveal.access())?;
    for user in users {
        let revealed = vault.reveal(user).map_err(|error| context.explain_for(user, &error))?;
        output::warn_of_weak_key(revealed.summary());
        let revision = &revealed.summary().envelope.revision;
        message::write(&mut pipe, user, revision, revealed.credential())
            .map_err(|error| not_passed_on(&error))?;
    }
    Ok(())
}

/// The parent doesn't read any more.
pub(super) fn not_passed_on(error: &io::Error) -> Failure {
    Failure::other(format!("passing the credential on: {error}"), "run this again")
}
