//! The imports, with nothing checked: what is handed over are numbers.

use crate::answer::Answer;

#[link(wasm_import_module = "fossawork:credentials/directory@1.0.0")]
unsafe extern "C" {
    #[link_name = "read"]
    fn directory_read(name: usize, length: usize, answer: *mut Answer);
    #[link_name = "write"]
    fn directory_write(
        name: usize,
        length: usize,
        contents: usize,
        contents_length: usize,
        replaces: u32,
        revision: usize,
        revision_length: usize,
        answer: *mut Answer,
    );
    #[link_name = "remove"]
    fn directory_remove(
        name: usize,
        length: usize,
        expected: u32,
        revision: usize,
        revision_length: usize,
        answer: *mut Answer,
    );
    #[link_name = "names"]
    fn directory_names(cursor: u32, name: usize, length: usize, limit: u32, answer: *mut Answer);
}

#[link(wasm_import_module = "fossawork:credentials/master-keys@1.0.0")]
unsafe extern "C" {
    #[link_name = "ring"]
    fn master_keys_ring(answer: *mut Answer);
}

#[link(wasm_import_module = "fossawork:credentials/key-cache@1.0.0")]
unsafe extern "C" {
    #[link_name = "lookup"]
    fn key_cache_lookup(
        ring_index: u32,
        version: usize,
        version_length: usize,
        for_user: u32,
        user: usize,
        user_length: usize,
        parameters: usize,
        parameters_length: usize,
        answer: *mut Answer,
    );
    #[link_name = "remember"]
    fn key_cache_remember(
        ring_index: u32,
        version: usize,
        version_length: usize,
        for_user: u32,
        user: usize,
        user_length: usize,
        parameters: usize,
        parameters_length: usize,
        key: usize,
        key_length: usize,
    );
}

#[link(wasm_import_module = "wasi:clocks/wall-clock@0.2.6")]
unsafe extern "C" {
    #[link_name = "now"]
    fn wall_clock_now(answer: *mut Answer);
}

#[link(wasm_import_module = "wasi:random/random@0.2.6")]
unsafe extern "C" {
    #[link_name = "get-random-bytes"]
    fn random_get_random_bytes(length: u64, answer: *mut Answer);
}

/// Bytes as the host is given them: whether there are any is for the host to find out.
#[derive(Clone, Copy)]
pub(crate) struct Bytes {
    pub(crate) address: usize,
    pub(crate) length: usize,
}

impl<T: AsRef<[u8]> + ?Sized> From<&T> for Bytes {
    fn from(bytes: &T) -> Self {
        let bytes = bytes.as_ref();
        Self { address: bytes.as_ptr() as usize, length: bytes.len() }
    }
}

/// Calls an import that writes its answer to an address.
fn answered(import: impl FnOnce(*mut Answer)) -> Answer {
    let mut answer = Answer::EMPTY;
    import(&raw mut answer);
    answer
}

/// Calls an import that can't fail, and forgets what it answers.
fn unanswered(import: impl FnOnce(*mut Answer)) -> Answer {
    answered(import);
    Answer::EMPTY
}

pub(crate) fn read(name: impl Into<Bytes>) -> Answer {
    let name = name.into();
    // SAFETY: the host checks every number; the answer is written to a place that is ours.
    answered(|answer| unsafe { directory_read(name.address, name.length, answer) })
}

/// Reads a file, and has the answer written to this address.
///
/// # Safety
///
/// What stands there is overwritten.
pub(crate) unsafe fn read_to(name: impl Into<Bytes>, answer: usize) {
    let name = name.into();
    // SAFETY: the host checks every number; the rest is the caller's promise.
    unsafe { directory_read(name.address, name.length, answer as *mut Answer) }
}

pub(crate) fn write(
    name: impl Into<Bytes>,
    contents: impl Into<Bytes>,
    replaces: impl Into<Bytes>,
) -> Answer {
    write_in_place_of(name.into(), contents.into(), Some(replaces.into()))
}

pub(crate) fn write_new(name: impl Into<Bytes>, contents: impl Into<Bytes>) -> Answer {
    write_in_place_of(name.into(), contents.into(), None)
}

fn write_in_place_of(name: Bytes, contents: Bytes, replaces: Option<Bytes>) -> Answer {
    let revision = replaces.unwrap_or(Bytes { address: 0, length: 0 });
    // SAFETY: as in `read`.
    answered(|answer| unsafe {
        directory_write(
            name.address,
            name.length,
            contents.address,
            contents.length,
            replaces.is_some().into(),
            revision.address,
            revision.length,
            answer,
        );
    })
}

pub(crate) fn remove(name: impl Into<Bytes>) -> Answer {
    let name = name.into();
    // SAFETY: as in `read`.
    answered(|answer| unsafe { directory_remove(name.address, name.length, 0, 0, 0, answer) })
}

pub(crate) fn names() -> Answer {
    // SAFETY: as in `read`.
    answered(|answer| unsafe { directory_names(0, 0, 0, 100, answer) })
}

pub(crate) fn ring() -> Answer {
    // SAFETY: as in `read`.
    answered(|answer| unsafe { master_keys_ring(answer) })
}

pub(crate) fn lookup(user: impl Into<Bytes>, parameters: impl Into<Bytes>) -> Answer {
    let (user, parameters) = (user.into(), parameters.into());
    // SAFETY: as in `read`.
    unanswered(|answer| unsafe {
        key_cache_lookup(
            0,
            0,
            0,
            1,
            user.address,
            user.length,
            parameters.address,
            parameters.length,
            answer,
        );
    })
}

/// Offers a key of version 1.0.
pub(crate) fn remember(user: impl Into<Bytes>, key: impl Into<Bytes>) -> Answer {
    remember_as(0, "1.0", Some(user.into()), "", key)
}

/// Offers a key by this name; without a user it is everyone's.
pub(crate) fn remember_as(
    ring_index: u32,
    version: impl Into<Bytes>,
    user: Option<Bytes>,
    parameters: impl Into<Bytes>,
    key: impl Into<Bytes>,
) -> Answer {
    let (version, parameters, key) = (version.into(), parameters.into(), key.into());
    let for_user = user.is_some().into();
    let user = user.unwrap_or(Bytes { address: 0, length: 0 });
    // SAFETY: as in `read`.
    unanswered(|_| unsafe {
        key_cache_remember(
            ring_index,
            version.address,
            version.length,
            for_user,
            user.address,
            user.length,
            parameters.address,
            parameters.length,
            key.address,
            key.length,
        );
    })
}

pub(crate) fn now() -> Answer {
    // SAFETY: as in `read`.
    unanswered(|answer| unsafe { wall_clock_now(answer) })
}

/// The time, in seconds since 1970.
pub(crate) fn seconds() -> u64 {
    // SAFETY: as in `read`.
    answered(|answer| unsafe { wall_clock_now(answer) }).long()
}

pub(crate) fn random(length: u64) -> Answer {
    // SAFETY: as in `read`.
    unanswered(|answer| unsafe { random_get_random_bytes(length, answer) })
}

/// Random bytes, as many as a salt or an IV has.
pub(crate) fn drawn() -> &'static [u8] {
    // SAFETY: as in `read`.
    answered(|answer| unsafe { random_get_random_bytes(16, answer) }).bytes(0)
}
