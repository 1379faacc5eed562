//! Connects the imports and exports of this part with the modules that implement them. No logic.

use crate::Host;
use crate::bindings::exports::fossawork::credentials::{reveal, vault as exported};
use crate::bindings::fossawork::credentials::directory;
use crate::bindings::moat::parts::user_keys;
use crate::bindings::wasi::{clocks::wall_clock, random::random};
use crate::contract::{
    Changes, Configured, Credential, Derivation, DerivedKey, Envelope, Error, ErrorCode, File,
    LeftoverPage, MigrateOptions, NamePage, PutOptions, Removed, Revealed, Rewritten, RingKey,
    RootParameters, Stored, Summary, TokenEncoding, UserPage, VersionHistory,
};
use crate::{configuration, migration, vault};
use moat_format::message::Message;

/// What the host provides to this instance.
struct Imports;

impl Host for Imports {
    fn read(&self, name: &str) -> Result<Option<File>, Error> {
        Ok(directory::read(name)?.file)
    }

    fn write(&self, name: &str, contents: &[u8], replaces: Option<&str>) -> Result<String, Error> {
        Ok(directory::write(name, contents, replaces)?.revision)
    }

    fn remove(&self, name: &str, expected: Option<&str>) -> Result<bool, Error> {
        Ok(directory::remove(name, expected)?.existed)
    }

    fn names(&self, cursor: Option<&str>, limit: u32) -> Result<NamePage, Error> {
        directory::names(cursor, limit)
    }

    fn ring(&self) -> Result<Vec<RingKey>, Error> {
        user_keys::ring()
    }

    fn primary(&self) -> Result<u32, Error> {
        user_keys::primary()
    }

    fn derive(&self, wanted: &[Derivation]) -> Result<Vec<DerivedKey>, Error> {
        user_keys::derive(wanted)
    }

    fn settings_tag(
        &self,
        ring_index: u32,
        root: &RootParameters,
        settings: &[u8],
    ) -> Result<Vec<u8>, Error> {
        user_keys::settings_tag(ring_index, root, settings)
    }

    fn now(&self) -> u64 {
        wall_clock::now().seconds
    }

    fn random(&self) -> Result<[u8; 16], Error> {
        let bytes = random::get_random_bytes(16).try_into();
        bytes.map_err(|_| Error::new(ErrorCode::Unavailable, Message::NotRandom))
    }
}

struct Component;

impl exported::Guest for Component {
    fn put(user_id: String, credential: Credential, options: PutOptions) -> Result<Stored, Error> {
        vault::put(&Imports, &user_id, &credential, &options)
    }

    fn change(
        user_id: String,
        changes: Changes,
        expected_revision: Option<String>,
    ) -> Result<Summary, Error> {
        vault::change(&Imports, &user_id, &changes, expected_revision.as_deref())
    }

    fn copy(user_id: String, source: String) -> Result<Summary, Error> {
        vault::copy(&Imports, &user_id, &source)
    }

    fn history(user_id: String) -> Result<VersionHistory, Error> {
        vault::history(&Imports, &user_id)
    }

    fn restore(
        user_id: String,
        number: u32,
        expected_revision: Option<String>,
    ) -> Result<Summary, Error> {
        vault::restore(&Imports, &user_id, number, expected_revision.as_deref())
    }

    fn describe(user_id: String) -> Result<Summary, Error> {
        vault::describe(&Imports, &user_id)
    }

    fn inspect(user_id: String) -> Result<Envelope, Error> {
        vault::inspect(&Imports, &user_id)
    }

    fn mark_used(user_id: String) -> Result<Summary, Error> {
        vault::mark_used(&Imports, &user_id)
    }

    fn mark_validated(user_id: String, valid: bool) -> Result<Summary, Error> {
        vault::mark_validated(&Imports, &user_id, valid)
    }

    fn remove(user_id: String, expected_revision: Option<String>) -> Result<Removed, Error> {
        let existed = vault::remove(&Imports, &user_id, expected_revision.as_deref())?;
        Ok(Removed { existed })
    }

    fn users(cursor: Option<String>, limit: u32) -> Result<UserPage, Error> {
        vault::users(&Imports, cursor.as_deref(), limit)
    }

    fn verify(user_ids: Vec<String>) -> Vec<Result<Summary, Error>> {
        vault::verify(&Imports, &user_ids)
    }

    fn migrate(user_ids: Vec<String>, options: MigrateOptions) -> Vec<Result<Rewritten, Error>> {
        migration::migrate(&Imports, &user_ids, &options)
    }

    fn rewrap(user_ids: Vec<String>, dry_run: bool) -> Vec<Result<Rewritten, Error>> {
        migration::rewrap(&Imports, &user_ids, dry_run)
    }

    fn configure(
        version: Option<String>,
        encoding: Option<TokenEncoding>,
        history: Option<u32>,
    ) -> Result<Configured, Error> {
        let changed = configuration::configure(&Imports, version.as_deref(), encoding, history)?;
        Ok(Configured { changed })
    }

    fn leftovers(cursor: Option<String>, limit: u32) -> Result<LeftoverPage, Error> {
        migration::leftovers(&Imports, cursor.as_deref(), limit)
    }

    fn remove_backup(name: String) -> Result<Removed, Error> {
        Ok(Removed { existed: migration::remove_backup(&Imports, &name)? })
    }
}

impl reveal::Guest for Component {
    fn reveal(user_id: String) -> Result<Revealed, Error> {
        vault::reveal(&Imports, &user_id)
    }

    fn reveal_version(user_id: String, number: u32) -> Result<Revealed, Error> {
        vault::reveal_version(&Imports, &user_id, number)
    }
}

#[allow(unsafe_code, reason = "generated from wit/")]
mod exports {
    use super::Component;
    crate::bindings::export!(Component with_types_in crate::bindings);
}

/// Randomness for `fernet`, from `wasi:random`.
fn random_bytes(buffer: &mut [u8]) -> Result<(), getrandom::Error> {
    let bytes = random::get_random_bytes(buffer.len() as u64);
    if bytes.len() != buffer.len() {
        return Err(getrandom::Error::UNEXPECTED);
    }
    buffer.copy_from_slice(&bytes);
    Ok(())
}

getrandom::register_custom_getrandom!(random_bytes);
