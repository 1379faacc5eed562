//! The sandbox changes nothing: whatever the file holds, the component over a real directory answers what the guest
//! answers in memory, errors to the letter. So it is never stopped, which would be an error of its own. Only the verbs
//! that write change the file, and only when they succeed.

#![no_main]

use std::fmt::Debug;
use std::fs;
use std::path::PathBuf;
use std::slice;
use std::sync::LazyLock;
use std::time::Duration;

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use libfuzzer_sys::fuzz_target;
use moat::{Directory, KeyCache, KeyRing, MasterKey, UserId, Vault};
use moat_guest_records::{contract, migration, vault as guest};
use support::{KEYS, Memory, USER};

/// How many calls there are, and the first that writes.
const CALLS: u8 = 11;
const FIRST_THAT_WRITES: u8 = 5;

struct Sandboxed {
    vault: Vault,
    user: UserId,
    file: PathBuf,
}

/// A directory of this process, which is on a tmpfs when TMPDIR is: every write is synced.
static SANDBOXED: LazyLock<Sandboxed> = LazyLock::new(|| {
    let path = tempfile::tempdir().expect("there is room").keep();
    let dir = Dir::open_ambient_dir(&path, ambient_authority()).expect("it was just made");
    let [primary, other] = KEYS.map(|(id, material)| MasterKey::new(material).with_id(id));
    let keys = KeyRing::new(primary).with_other(other);
    let vault = Vault::builder(Directory::new(dir).expect("it is private"), keys)
        .key_cache(KeyCache::new(64, Duration::MAX))
        .build()
        .expect("the component loads");
    let user = UserId::parse(USER).expect("it is a user id");
    Sandboxed { vault, file: path.join(user.file_name()), user }
});

/// What can be compared of an envelope: of the host's and of the guest's, which are different types.
macro_rules! envelope {
    ($envelope:expr) => {{
        let e = $envelope;
        let encoding = e.encoding.map(|encoding| encoding as u8);
        (
            e.kind as u8,
            e.version,
            encoding,
            e.key_id,
            e.created_at,
            e.encrypted_at,
            e.write_counter,
            e.size,
            e.revision,
        )
    }};
}

/// The same of a summary.
macro_rules! summary {
    ($summary:expr) => {{
        let s = $summary;
        let key = (s.key.id, s.key.primary, s.key.weakness.map(|weakness| weakness as u8));
        let times = (s.created_at, s.last_used, s.is_valid, s.validation_attempts);
        (s.user_id, s.username, s.field_names, times, key, envelope!(s.envelope))
    }};
}

/// The same of what became of a record.
macro_rules! rewritten {
    ($rewritten:expr) => {{
        let r = $rewritten;
        let key = r.key.map(|key| (key.id, key.primary, key.weakness.map(|w| w as u8)));
        (r.changed, key, envelope!(r.before))
    }};
}

/// Checks that both are the same, and returns whether they are a success.
fn same<T: Debug + PartialEq>(
    sandboxed: Result<T, moat::Error>,
    native: Result<T, contract::Error>,
) -> bool {
    let sandboxed = sandboxed.map_err(|error| (error.code() as u8, error.to_string()));
    let native = native.map_err(|error| (error.code as u8, error.message));
    assert_eq!(sandboxed, native);
    native.is_ok()
}

/// Makes one call both ways, and checks that they come to the same. Tells whether it succeeded.
///
/// IV and time of a write are new each time. So what it answers is compared with what the guest, to which it has to
/// succeed too, then finds in the file.
fn call(number: u8, sandboxed: &Sandboxed, memory: &Memory) -> bool {
    let Sandboxed { vault, user, file } = sandboxed;
    let option = number >= 128;
    let written = |_| guest::describe(&Memory::new(fs::read(file).ok()), USER);
    match number % CALLS {
        0 => same(
            vault.inspect(user).map(|e| envelope!(e)),
            guest::inspect(memory, USER).map(|e| envelope!(e)),
        ),
        1 => same(
            vault.describe(user).map(|s| summary!(s)),
            guest::describe(memory, USER).map(|s| summary!(s)),
        ),
        2 => same(
            vault.reveal(user).map(|revealed| {
                let c = revealed.credential();
                let fields = c.fields().iter().map(|f| (f.name().into(), f.expose_value().into()));
                let password = c.expose_password().to_owned();
                (password, fields.collect(), summary!(revealed.summary().clone()))
            }),
            guest::reveal(memory, USER).map(|revealed| {
                let c = revealed.credential;
                let fields: Vec<(String, String)> =
                    c.fields.into_iter().map(|f| (f.name, f.value)).collect();
                (c.password, fields, summary!(revealed.summary))
            }),
        ),
        3 => same(
            vault.verify(slice::from_ref(user)).and_then(|mut a| a.remove(0)).map(|s| summary!(s)),
            guest::verify(memory, &[USER.to_owned()]).remove(0).map(|s| summary!(s)),
        ),
        4 => same(
            vault.users().map(|user| Ok(user?.to_string())).collect::<Result<Vec<_>, _>>(),
            guest::users(memory, None, 10).map(|page| page.user_ids),
        ),
        5 => same(
            vault.mark_used(user).map(|s| summary!(s)),
            guest::mark_used(memory, USER).and_then(written).map(|s| summary!(s)),
        ),
        6 => same(
            vault.mark_validated(user, option).map(|s| summary!(s)),
            guest::mark_validated(memory, USER, option).and_then(written).map(|s| summary!(s)),
        ),
        7 => {
            let credential = moat::Credential::new("bob", "secret");
            let mut options = moat::PutOptions::default().token_encoding(moat::TokenEncoding::App);
            options.create_only = option;
            let stored = vault.put(user, &credential, &options);

            let credential = contract::Credential {
                username: "bob".to_owned(),
                password: "secret".to_owned(),
                fields: Vec::new(),
                created_at: None,
                last_used: None,
                is_valid: false,
                validation_attempts: 0,
                expires: None,
            };
            let options = contract::PutOptions {
                create_only: option,
                expected_revision: None,
                version: None,
                encoding: Some(contract::TokenEncoding::App),
                keep_fields: false,
            };
            let native = guest::put(memory, USER, &credential, &options);
            same(
                stored.map(|s| (s.replaced, s.dropped_fields, summary!(s.summary))),
                native.and_then(|s| {
                    Ok((s.replaced, s.dropped_fields, summary!(written(s.summary)?)))
                }),
            )
        }
        8 => same(vault.remove(user, None), guest::remove(memory, USER, None)),
        9 => {
            let mut options = moat::MigrateOptions::default();
            options.accept_default_key = option;
            options.accept_plaintext = !option;
            options.version = option.then(|| "2.0".to_owned());
            let native = contract::MigrateOptions {
                dry_run: false,
                accept_default_key: option,
                accept_plaintext: !option,
                version: options.version.clone(),
                encoding: None,
            };
            let sandboxed = vault.migrate(slice::from_ref(user), &options);
            let native = migration::migrate(memory, &[USER.to_owned()], &native).remove(0);
            same(
                sandboxed.and_then(|mut a| a.remove(0)).map(|r| rewritten!(r)),
                native.map(|r| rewritten!(r)),
            )
        }
        _ => same(
            vault
                .rewrap(slice::from_ref(user), option)
                .and_then(|mut a| a.remove(0))
                .map(|r| rewritten!(r)),
            migration::rewrap(memory, &[USER.to_owned()], option).remove(0).map(|r| rewritten!(r)),
        ),
    }
}

fuzz_target!(|input: ([u8; 4], &[u8])| {
    let (calls, template) = input;
    let record = support::fill(template);
    if record.len() > moat::MAX_FILE_BYTES {
        return; // The host refuses it before the guest could.
    }
    let sandboxed = &*SANDBOXED;
    fs::write(&sandboxed.file, record).expect("there is room");
    for number in calls {
        let on_disk = || fs::read(&sandboxed.file).ok();
        let before = on_disk();
        let done = call(number, sandboxed, &Memory::new(before.clone()));
        if !done || number % CALLS < FIRST_THAT_WRITES {
            assert_eq!(on_disk(), before);
        }
    }
});
