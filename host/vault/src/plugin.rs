//! Credentials for the plugins of an embedder: the contract's interfaces, as imports of the plugin's component.
//!
//! The plugin runs in the embedder's own engine, linker and store, of the wasmtime that this crate re-exports. A [`Scope`]
//! in the store's data says what it may do; it can't import an interface that isn't added to its linker. Moat's component
//! has its own engine, or shares that one ([`crate::Sandbox::in_engine`]); in either case each call has its own instance
//! and memory, which the plugin can't reach.
//!
//! ```
//! use moat::wasmtime::component::Linker;
//! use moat::wasmtime::{Engine, Result};
//! use moat::{Scope, plugin};
//!
//! struct State {
//!     scope: Scope,
//! }
//!
//! fn linker(engine: &Engine) -> Result<Linker<State>> {
//!     let mut linker = Linker::new(engine);
//!     // It can look after credentials and have them used, but never read a password.
//!     plugin::add_vault_to_linker(&mut linker, |state: &mut State| &mut state.scope)?;
//!     plugin::add_apply_to_linker(&mut linker, |state: &mut State| &mut state.scope)?;
//!     Ok(linker)
//! }
//! # linker(&Engine::default()).unwrap();
//! ```
//!
//! The calls block; in an asynchronous store they block the thread for as long as it takes to derive a key.

use wasmtime::component::{HasSelf, Linker};

use crate::contract::{
    self, Changes, Configured, Credential, Envelope, LeftoverPage, MigrateOptions, PutOptions,
    Removed, Revealed, Rewritten, Stored, Summary, TokenEncoding, UserPage, VersionHistory,
};
use crate::error::Error;
use crate::scope::Scope;
use crate::vault::Vault;
use bindings::fossawork::credentials::{apply, reveal, vault};
use moat_format::user_id::{UserId, UserIdError};

#[allow(missing_docs, unreachable_pub, clippy::all, reason = "generated from wit/")]
mod bindings {
    wasmtime::component::bindgen!({
        path: "wit",
        world: "plugin",
        with: { "fossawork:credentials/types": crate::contract::types },
    });
}

/// Offers the interface `vault`: everything for which no password has to leave the scope.
///
/// # Errors
///
/// The linker already has the interface.
pub fn add_vault_to_linker<T: 'static>(
    linker: &mut Linker<T>,
    scope: fn(&mut T) -> &mut Scope,
) -> wasmtime::Result<()> {
    vault::add_to_linker::<T, HasSelf<Scope>>(linker, scope)
}

/// Offers the interface `reveal`: the only way to a password. Without [`Reveal`](crate::Operation::Reveal) in its scope
/// the plugin is refused.
///
/// # Errors
///
/// The linker already has the interface.
pub fn add_reveal_to_linker<T: 'static>(
    linker: &mut Linker<T>,
    scope: fn(&mut T) -> &mut Scope,
) -> wasmtime::Result<()> {
    reveal::add_to_linker::<T, HasSelf<Scope>>(linker, scope)
}

/// Offers the interface `apply`: using a secret without seeing it, by [`Apply`](crate::Operation::Apply).
///
/// # Errors
///
/// The linker already has the interface.
pub fn add_apply_to_linker<T: 'static>(
    linker: &mut Linker<T>,
    scope: fn(&mut T) -> &mut Scope,
) -> wasmtime::Result<()> {
    apply::add_to_linker::<T, HasSelf<Scope>>(linker, scope)
}

impl vault::Host for Scope {
    fn put(
        &mut self,
        user_id: String,
        credential: Credential,
        options: PutOptions,
    ) -> Result<Stored, contract::Error> {
        Ok(Vault::put(self, &user(&user_id)?, &credential, &options)?)
    }

    fn change(
        &mut self,
        user_id: String,
        changes: Changes,
        expected_revision: Option<String>,
    ) -> Result<Summary, contract::Error> {
        Ok(Vault::change(self, &user(&user_id)?, &changes, expected_revision.as_deref())?)
    }

    fn copy(&mut self, user_id: String, source: String) -> Result<Summary, contract::Error> {
        Ok(Vault::copy(self, &user(&user_id)?, &user(&source)?)?)
    }

    fn history(&mut self, user_id: String) -> Result<VersionHistory, contract::Error> {
        Ok(Vault::history(self, &user(&user_id)?)?)
    }

    fn restore(
        &mut self,
        user_id: String,
        number: u32,
        expected_revision: Option<String>,
    ) -> Result<Summary, contract::Error> {
        Ok(Vault::restore(self, &user(&user_id)?, number, expected_revision.as_deref())?)
    }

    fn describe(&mut self, user_id: String) -> Result<Summary, contract::Error> {
        Ok(Vault::describe(self, &user(&user_id)?)?)
    }

    fn inspect(&mut self, user_id: String) -> Result<Envelope, contract::Error> {
        Ok(Vault::inspect(self, &user(&user_id)?)?)
    }

    fn mark_used(&mut self, user_id: String) -> Result<Summary, contract::Error> {
        Ok(Vault::mark_used(self, &user(&user_id)?)?)
    }

    fn mark_validated(&mut self, user_id: String, valid: bool) -> Result<Summary, contract::Error> {
        Ok(Vault::mark_validated(self, &user(&user_id)?, valid)?)
    }

    fn remove(
        &mut self,
        user_id: String,
        expected_revision: Option<String>,
    ) -> Result<Removed, contract::Error> {
        let existed = Vault::remove(self, &user(&user_id)?, expected_revision.as_deref())?;
        Ok(Removed { existed })
    }

    fn users(&mut self, cursor: Option<String>, limit: u32) -> Result<UserPage, contract::Error> {
        let users = Vault::users(self).collect::<Result<Vec<_>, _>>()?;
        let limit = usize::try_from(limit.max(1)).unwrap_or(usize::MAX);
        let mut rest = users
            .iter()
            .map(UserId::as_str)
            .filter(|user| cursor.as_deref().is_none_or(|cursor| *user > cursor));
        let user_ids: Vec<_> = rest.by_ref().take(limit).map(str::to_owned).collect();
        let next = rest.next().and(user_ids.last().cloned());
        Ok(UserPage { user_ids, next })
    }

    fn verify(&mut self, user_ids: Vec<String>) -> Vec<Result<Summary, contract::Error>> {
        each(&user_ids, |users| Vault::verify(self, users))
    }

    fn migrate(
        &mut self,
        user_ids: Vec<String>,
        options: MigrateOptions,
    ) -> Vec<Result<Rewritten, contract::Error>> {
        each(&user_ids, |users| Vault::migrate(self, users, &options))
    }

    fn rewrap(
        &mut self,
        user_ids: Vec<String>,
        dry_run: bool,
    ) -> Vec<Result<Rewritten, contract::Error>> {
        each(&user_ids, |users| Vault::rewrap(self, users, dry_run))
    }

    fn configure(
        &mut self,
        version: Option<String>,
        encoding: Option<TokenEncoding>,
        history: Option<u32>,
    ) -> Result<Configured, contract::Error> {
        Ok(Configured { changed: Vault::set(self, version.as_deref(), encoding, history)? })
    }

    fn leftovers(
        &mut self,
        _cursor: Option<String>,
        _limit: u32,
    ) -> Result<LeftoverPage, contract::Error> {
        // They concern the whole directory, so that a scope refuses them.
        match Vault::leftovers(self).next() {
            Some(Err(refusal)) => Err(refusal.into()),
            _ => Ok(LeftoverPage { leftovers: Vec::new(), next: None }),
        }
    }

    fn remove_backup(&mut self, name: String) -> Result<Removed, contract::Error> {
        Ok(Removed { existed: Vault::remove_backup(self, &name)? })
    }
}

impl reveal::Host for Scope {
    fn reveal(&mut self, user_id: String) -> Result<Revealed, contract::Error> {
        Ok(Vault::reveal(self, &user(&user_id)?)?)
    }

    fn reveal_version(
        &mut self,
        user_id: String,
        number: u32,
    ) -> Result<Revealed, contract::Error> {
        Ok(Vault::reveal_version(self, &user(&user_id)?, number)?)
    }
}

impl apply::Host for Scope {
    fn hmac_sha256(
        &mut self,
        user_id: String,
        secret: String,
        message: Vec<u8>,
    ) -> Result<apply::Mac, contract::Error> {
        let tag = Vault::hmac_sha256(self, &user(&user_id)?, &secret, &message)?;
        Ok(apply::Mac { tag: tag.to_vec() })
    }
}

/// The plugin sees the code and the message, but no cause.
impl From<Error> for contract::Error {
    fn from(error: Error) -> Self {
        Self { code: error.code(), message: error.to_string() }
    }
}

fn user(user_id: &str) -> Result<UserId, contract::Error> {
    let refuse = |error: UserIdError| contract::Error {
        code: contract::ErrorCode::InvalidUserId,
        message: error.to_string(),
    };
    UserId::parse(user_id).map_err(refuse)
}

/// How many users a plugin may name in one call: a host's work for one call is bounded, like a component's.
const MOST_USERS: usize = 256;

/// An answer for each, in the order asked; when the call fails as a whole, its failure for each.
fn each<T>(
    user_ids: &[String],
    ask: impl FnOnce(&[UserId]) -> Result<Vec<Result<T, Error>>, Error>,
) -> Vec<Result<T, contract::Error>> {
    if user_ids.len() > MOST_USERS {
        let message = format!("a call is for {MOST_USERS} users at most");
        let error = contract::Error { code: contract::ErrorCode::TooLarge, message };
        return user_ids.iter().map(|_| Err(error.clone())).collect();
    }
    let parsed: Vec<_> = user_ids.iter().map(|user_id| user(user_id)).collect();
    let users: Vec<_> = parsed.iter().flatten().cloned().collect();
    let mut answers = match ask(&users) {
        Ok(answers) => Ok(answers.into_iter()),
        Err(error) => Err(contract::Error::from(error)),
    };
    let mut next = |_: UserId| match &mut answers {
        Ok(answers) => {
            let missing = || Error::answer("returned the wrong number of answers");
            Ok(answers.next().ok_or_else(missing)??)
        }
        Err(error) => Err(error.clone()),
    };
    parsed.into_iter().map(|user| user.and_then(&mut next)).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use cap_std::ambient_authority;
    use cap_std::fs::Dir;

    use super::*;
    use crate::{Directory, KeyRing, MasterKey, Operation};

    #[test]
    fn pages_of_any_size_have_every_user_once() {
        let mut users = [
            "anna",
            "anna b",
            "anna-x",
            "anna.x",
            "annab",
            "bob",
            "bob+test",
            "o",
            "o'x",
            "svc",
            "svc-backup",
            "\u{ff5e}",
            "\u{ff5e} a",
            "\u{1f511}",
        ];
        let path = tempfile::tempdir().unwrap();
        let dir = Dir::open_ambient_dir(&path, ambient_authority()).unwrap();
        users.iter().for_each(|user| dir.write(format!("{user}.cred"), "").unwrap());
        let keys = KeyRing::new(MasterKey::new(b"sixteen bytes at least"));
        let vault = Vault::builder(Directory::new(dir).unwrap(), keys).build().unwrap();
        users.sort_unstable();
        let all = users.map(|user| UserId::parse(user).unwrap());
        assert!(vault.users().map(Result::unwrap).eq(all.clone()));
        let mut scope = vault.scope("plugin", all, [Operation::Users]);
        for limit in 0..=users.len() as u32 + 1 {
            let (mut found, mut cursor) = (Vec::new(), None);
            loop {
                let page = vault::Host::users(&mut scope, cursor, limit).unwrap();
                found.extend(page.user_ids);
                cursor = page.next;
                if cursor.is_none() {
                    break;
                }
            }
            assert_eq!(found, users, "in pages of {limit}");
        }
    }
}
