//! The contract's functions, each of which does what its user id stands for.

use crate::answer::text;
use crate::{imports, is_known, misbehave};

/// The functions whose first parameter is the user id.
macro_rules! export {
    ($($name:ident($($more:ident),*) as $export:literal;)*) => {$(
        #[unsafe(export_name = concat!("fossawork:credentials/", $export))]
        unsafe extern "C" fn $name(user: usize, length: usize $(, $more: usize)*) -> usize {
            // SAFETY: the host calls it, by the contract.
            misbehave(unsafe { text(&[user, length]) })
        }
    )*};
}

export! {
    describe() as "vault@1.0.0#describe";
    inspect() as "vault@1.0.0#inspect";
    mark_used() as "vault@1.0.0#mark-used";
    mark_validated(_valid) as "vault@1.0.0#mark-validated";
    copy(_source, _source_length) as "vault@1.0.0#copy";
    history() as "vault@1.0.0#history";
    restore(_number, _expected, _revision, _revision_length) as "vault@1.0.0#restore";
    remove(_expected, _revision, _revision_length) as "vault@1.0.0#remove";
    reveal() as "reveal@1.0.0#reveal";
    reveal_version(_number) as "reveal@1.0.0#reveal-version";
    remove_backup() as "vault@1.0.0#remove-backup";
}

/// The functions whose parameters are so many that the host writes them to memory, the user id first.
macro_rules! export_in_memory {
    ($($name:ident as $export:literal;)*) => {$(
        #[unsafe(export_name = concat!("fossawork:credentials/", $export))]
        unsafe extern "C" fn $name(parameters: &[usize; 2]) -> usize {
            // SAFETY: the host calls it, by the contract.
            misbehave(unsafe { text(parameters) })
        }
    )*};
}

export_in_memory! {
    put as "vault@1.0.0#put";
    change as "vault@1.0.0#change";
}

/// Its first parameter is the version, if there is one.
#[unsafe(export_name = "fossawork:credentials/vault@1.0.0#configure")]
unsafe extern "C" fn configure(
    _version: usize,
    version: usize,
    length: usize,
    _as: usize,
    _encoding: usize,
    _is_history: usize,
    _history: usize,
) -> usize {
    // SAFETY: the host calls it, by the contract.
    misbehave(unsafe { text(&[version, length]) })
}

/// These are called for no user: what they do is named by a file of the directory.
macro_rules! export_pages {
    ($($name:ident as $export:literal;)*) => {$(
        #[unsafe(export_name = concat!("fossawork:credentials/", $export))]
        extern "C" fn $name(_cursor: usize, _name: usize, _length: usize, _limit: usize) -> usize {
            let names = imports::names().names();
            let mut users = names.filter_map(|name| name.strip_suffix(".cred"));
            misbehave(users.find(|user| is_known(user)).expect("a file whose name says what to do"))
        }
    )*};
}

export_pages! {
    users as "vault@1.0.0#users";
    leftovers as "vault@1.0.0#leftovers";
}

/// These are called for a list of users; the first one counts.
macro_rules! export_lists {
    ($($name:ident($($more:ident),*) as $export:literal;)*) => {$(
        #[unsafe(export_name = concat!("fossawork:credentials/", $export))]
        unsafe extern "C" fn $name(users: &[usize; 2], _length: usize $(, $more: usize)*) -> usize {
            // SAFETY: the host calls it, by the contract, and with one user at least.
            misbehave(unsafe { text(users) })
        }
    )*};
}

export_lists! {
    verify() as "vault@1.0.0#verify";
    rewrap(_dry) as "vault@1.0.0#rewrap";
    migrate(_dry, _key, _plaintext, _to, _version, _version_length, _as, _encoding) as "vault@1.0.0#migrate";
}
