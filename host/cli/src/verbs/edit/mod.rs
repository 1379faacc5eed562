//! `moat edit`: opens a credential in an editor, and stores what was changed.

mod difference;
mod editor;

use std::process::ExitCode;

use moat::{Changes, ErrorCode, Operation, UserId};
use serde_json::json;

use crate::ambient::draft::Draft;
use crate::ambient::processes::{self, Child, Forked};
use crate::args::User;
use crate::context::Context;
use crate::document::{Document, Fields};
use crate::failure::{self, Failure};
use crate::interrupt::Watch;
use crate::secret_file::describe;
use crate::{ambient, input, output, revealing};
use editor::Editor;

/// What the text is, in messages.
const TEXT: &str = "the edited text";

/// The process that stores it, in messages.
const CHILD: &str = "the process that stores the changes";

/// A credential as it was read.
struct Found {
    revision: String,
    document: Document,
}

pub(crate) fn run(context: &Context, User { user }: &User) -> Result<ExitCode, Failure> {
    let editor = Editor::choose();
    // First, so that the process that removes it never has the credential in its memory.
    let draft = begin(user)?;
    let mut found = match find(context, user)? {
        Ok(found) => found,
        Err(code) => return Ok(code),
    };
    write(&draft, &found.document)?;
    loop {
        let keys = Watch::leave_keys();
        editor.run(&draft)?;
        drop(keys);
        let edited = match read(&draft, &found.document) {
            Ok(edited) => edited,
            Err(failure) => {
                let code = failure.report(context.output.json);
                if edits_again()? {
                    continue;
                }
                return Ok(code);
            }
        };
        let Some(changes) = difference::changes(&found.document, &edited) else {
            let value = json!({ "user_id": user.as_str(), "changed": false });
            context.output.done(&format!("{user}: not changed"), &value)?;
            return Ok(ExitCode::SUCCESS);
        };
        // In a process of its own: one that has opened the directory can't run an editor again.
        let child = match processes::fork().map_err(|error| Failure::no_process(&error))? {
            Forked::Child(_) => return change(context, user, &changes, &found.revision),
            Forked::Parent(child) => child,
        };
        let code = ended(child)?;
        if code == 0 || !edits_again()? {
            return Ok(ExitCode::from(code));
        }
        // The text gets what others have changed meanwhile, so that it isn't undone.
        if code == failure::exit_code(ErrorCode::Conflict) {
            match find(context, user)? {
                Ok(now) => {
                    write(&draft, &difference::merged(&found.document, &edited, &now.document))?;
                    found = now;
                }
                // A child that has read it ends with success. Otherwise the text stays as it is: it can be stored once the
                // record is readable again.
                Err(code) if code != ExitCode::SUCCESS && edits_again()? => {}
                Err(code) => return Ok(code),
            }
        }
    }
}

fn begin(user: &UserId) -> Result<Draft, Failure> {
    let begun = Draft::begin(&format!("{user}.json")).map_err(|error| {
        Failure::other(
            format!("making a directory for the text: {error}"),
            "nothing was changed; make XDG_RUNTIME_DIR or /dev/shm writable, or use `moat set`",
        )
    })?;
    begun.ok_or_else(|| {
        Failure::other(
            "there is no directory in memory for the text: neither XDG_RUNTIME_DIR nor /dev/shm is a tmpfs",
            "nothing was changed; mount one (mount -t tmpfs tmpfs /dev/shm), or use `moat set`, which writes no text to a file",
        )
    })
}

/// The credential as it is now. `Err` has the code with which this process is to end, as [`revealing::reveal`] has it.
fn find(context: &Context, user: &UserId) -> Result<Result<Found, ExitCode>, Failure> {
    let message = match revealing::reveal(context, [user])? {
        Ok(message) => message,
        Err(code) => return Ok(Err(code)),
    };
    let credentials = message.credentials(context)?;
    let found = credentials.of(user).ok_or_else(|| {
        Failure::other(format!("the credential of {user} did not arrive"), "run this again")
    })?;
    let mut values =
        found.values.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let document = Document {
        username: values.next().map(|(_, value)| value),
        password: values.next().map(|(_, value)| value),
        fields: Fields(values.collect()),
    };
    Ok(Ok(Found { revision: found.revision.to_owned(), document }))
}

fn write(draft: &Draft, document: &Document) -> Result<(), Failure> {
    draft.write(&document.text()).map_err(|error| {
        Failure::other(
            format!("writing the text for the editor: {error}"),
            "nothing was changed; free some memory (df /dev/shm), then run this again",
        )
    })
}

/// What the editor has left, if it is a credential.
fn read(draft: &Draft, before: &Document) -> Result<Document, Failure> {
    let bytes = draft.read().map_err(|error| {
        Failure::usage(
            describe(TEXT, &error),
            "nothing was changed; save it in the file that was opened",
        )
    })?;
    let edited = Document::parse(&input::text(TEXT, &bytes)?, TEXT)?;
    let wrong = |what: &str, hint: &str| {
        Err(Failure::usage(format!("{TEXT} {what}"), format!("nothing was changed; {hint}")))
    };
    if edited.username.is_none() {
        return wrong("has no \"username\"", "put it back, even if it is empty");
    }
    if edited.password.is_none() {
        return wrong(
            "has no \"password\"",
            "put it back; `moat set` changes a part of a credential",
        );
    }
    if edited.password.as_deref() == Some("") && before.password.as_deref() != Some("") {
        return wrong("has an empty password", "enter one");
    }
    let mut names: Vec<&str> = edited.fields.iter().map(|(name, _)| name).collect();
    names.sort_unstable();
    if names.windows(2).any(|pair| matches!(pair, [one, other] if one == other)) {
        return wrong("has a field twice", "give each field a name of its own");
    }
    Ok(edited)
}

/// What the child does: stores the changes, unless somebody else has changed the credential since it was read.
fn change(
    context: &Context,
    user: &UserId,
    changes: &Changes,
    revision: &str,
) -> Result<ExitCode, Failure> {
    let vault = context.vault(Operation::Change.access())?;
    let changed = vault
        .change(user, changes, Some(revision))
        .map_err(|error| context.explain_for(user, &error))?;
    let file = context.path()?.join(user.file_name());
    let mut value = output::summary(&changed);
    value.insert("changed".to_owned(), true.into());
    context.output.done(&format!("changed {user} in {}", file.display()), &value.into())?;
    Ok(ExitCode::SUCCESS)
}

/// The exit code of the child, which has reported what went wrong.
fn ended(child: Child) -> Result<u8, Failure> {
    let hint = "run this again; if it ends like this again, the system's log may say why";
    let (_, status) =
        child.wait(0).map_err(|error| Failure::other(describe(CHILD, &error), hint))?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    code.ok_or_else(|| Failure::other(format!("{CHILD} was ended by {status}"), hint))
}

/// Asks whether to go on with the text, which is lost otherwise. Where nobody can be asked, it is.
fn edits_again() -> Result<bool, Failure> {
    if !ambient::standard_input_is_terminal() {
        return Ok(false);
    }
    let answer = ambient::ask("edit again? [Y/n] ").map_err(|error| {
        Failure::other(
            format!("asking whether to edit again: {error}"),
            "nothing was changed; run this again",
        )
    })?;
    // Without a line there is no answer.
    Ok(matches!(answer.as_slice(), b"\n" | b"\r\n")
        || matches!(answer.trim_ascii(), b"y" | b"Y" | b"yes"))
}
