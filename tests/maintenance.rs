//! An embedder looks after a directory as the program does: by the library alone.

use std::fs;
use std::time::Duration;

use moat::maintenance::{
    DirectoryReport, RecordsReport, Rotation, Selection, SettingsState, for_each,
    rewrap_until_current,
};
use moat::{Credential, Error, ErrorCode, KeyRing, PutOptions, RingDocument, UserId, Vault};
use support::{KEY, Store};

const USERS: usize = 23;

fn vault(store: &Store, ring: KeyRing) -> Vault {
    Vault::builder(store.directory(), ring).build().unwrap()
}

fn fill(vault: &Vault) {
    for number in 0..USERS {
        let user = UserId::parse(&format!("user{number:02}")).unwrap();
        let options = PutOptions::default().version("2.0");
        vault.put(&user, &Credential::new("x", "y"), &options).unwrap();
    }
}

#[test]
fn a_ring_is_rotated_by_the_library_alone() {
    let store = Store::new();
    let mut ring = RingDocument::new(Some("first".to_owned()), KEY.as_bytes()).unwrap();
    fill(&vault(&store, ring.ring()));
    assert!(!ring.is_due(Duration::from_secs(3600)));
    assert!(ring.is_due(Duration::ZERO));
    assert_eq!(ring.superseded().count(), 0);

    let second = ring.replace_primary().unwrap();
    assert_eq!(ring.primary().id(), second);
    assert_eq!(ring.superseded().map(|key| key.id()).collect::<Vec<_>>(), ["first"]);
    let vault = vault(&store, ring.ring());
    let _lock = vault.lock_batch().unwrap();
    assert_eq!(vault.lock_batch().unwrap_err().code(), ErrorCode::Locked);

    let all = Selection::default();
    let (found, outcome) = Rotation::run(&vault, all, true, |_, _| Ok::<_, Error>(()));
    outcome.unwrap();
    assert_eq!((found.current, found.stale, found.failed), (0, USERS, 0));
    let (retired, kept) = ring.clone().retire_superseded(&found.usage);
    assert_eq!((retired.len(), kept.len()), (0, 1), "{kept:?}");

    let mut reported = Vec::new();
    let (rotated, found) = rewrap_until_current(&vault, |user, answer| {
        reported.push((user.to_string(), answer.as_ref().unwrap().changed));
        Ok::<_, Error>(())
    })
    .unwrap();
    assert_eq!((rotated, found.current, found.stale), (USERS, USERS, 0));
    // Two passes: the second one shows that the first has left nothing.
    assert_eq!(reported.len(), 2 * USERS);
    assert!(reported.is_sorted_by_key(|(user, changed)| (!changed, user.clone())), "{reported:?}");
    let (retired, kept) = ring.retire_superseded(&found.usage);
    assert_eq!((retired, kept.len()), (vec!["first".to_owned()], 0));
}

#[test]
fn work_on_many_records_ends_with_the_first_report_that_fails() {
    let store = Store::new();
    let vault = store.vault(KEY);
    fill(&vault);
    let mut reports = 0;
    let ask = |users: &[UserId]| vault.verify(users);
    let outcome = for_each(&vault, Selection::default(), ask, |_, _| {
        reports += 1;
        if reports < 5 { Ok(()) } else { Err(Error::new(ErrorCode::Conflict, "enough")) }
    });
    assert_eq!(outcome.unwrap_err().to_string(), "enough");
    assert_eq!(reports, 5);
}

#[test]
fn what_is_wrong_with_a_directory_is_reported_as_values() {
    let store = Store::new();
    let vault = store.vault(KEY);
    fill(&vault);
    fs::write(store.path().join("torn.cred"), "{").unwrap();
    fs::write(store.path().join("notes.txt"), "").unwrap();
    let backup = store.path().join("user00.cred.backup_20250616_130236");
    fs::write(backup, "").unwrap();

    let dir = cap_std::ambient_authority();
    let dir = cap_std::fs::Dir::open_ambient_dir(store.path(), dir).unwrap();
    let report = DirectoryReport::examine(&dir).unwrap();
    assert_eq!((report.mode, report.records), (0o700, USERS + 1));
    assert_eq!(report.exposed, ["torn.cred"]);
    let settings =
        SettingsState::Found { version: None, token_encoding: None, has_derivation: true };
    assert_eq!(report.settings, settings);

    let each = || Ok::<_, Error>(());
    let report = RecordsReport::examine(&vault, Duration::MAX, each).unwrap();
    assert_eq!((report.decryptable, report.undecryptable.count()), (USERS, 1));
    assert_eq!(report.undecryptable.first(), ["torn"]);
    assert!(report.first_failure.unwrap().starts_with("torn: the record is not a JSON object"));
    assert_eq!((report.version_2.count(), report.version_2.first().len()), (USERS, 5));
    assert_eq!((report.backups.count(), report.foreign.count()), (1, 1));
}
