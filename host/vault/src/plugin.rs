//! Credentials for the plugins of an embedder: the contract's interfaces, as imports of the plugin's component.
//!
//! The plugin runs in the embedder's own engine, linker and store, of the wasmtime that this crate re-exports. What it
//! may do is a [`Scope`] in the store's data; an interface that isn't added to its linker it can't import. Moat's own
//! component is in an engine of its own, or in that engine too ([`crate::Sandbox::in_engine`]); in either case each call
//! has an instance and a memory of its own, and nothing of it is the plugin's.
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
//! The calls block; in an asynchronous store they hold up the thread for as long as a key takes to derive.

use wasmtime::component::{HasSelf, Linker};

use crate::contract::{self, Credential, Envelope, Summary, TokenEncoding};
use crate::error::Error;
use crate::operation::Operation;
use crate::ops::{self, MigrateOptions, PutOptions};
use crate::scope::Scope;
use bindings::fossawork::credentials::{apply, reveal, vault};
use moat_format::user_id::UserId;

#[allow(missing_docs, unreachable_pub, clippy::all, reason = "generated from wit/")]
mod bindings {
    wasmtime::component::bindgen!({
        path: "wit",
        world: "plugin",
        with: { "fossawork:credentials/types": crate::contract::types },
    });
}

/// Offers the interface `vault`: all that needs no password to leave the scope.
pub fn add_vault_to_linker<T: 'static>(
    linker: &mut Linker<T>,
    scope: fn(&mut T) -> &mut Scope,
) -> wasmtime::Result<()> {
    vault::add_to_linker::<T, HasSelf<Scope>>(linker, scope)
}

/// Offers the interface `reveal`: the only way to a password. Without [`Operation::Reveal`] in its scope the plugin gets
/// refusals.
pub fn add_reveal_to_linker<T: 'static>(
    linker: &mut Linker<T>,
    scope: fn(&mut T) -> &mut Scope,
) -> wasmtime::Result<()> {
    reveal::add_to_linker::<T, HasSelf<Scope>>(linker, scope)
}

/// Offers the interface `apply`: the use of a secret without the sight of it, by [`Operation::Apply`].
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
        options: vault::PutOptions,
    ) -> Result<vault::Stored, contract::Error> {
        let options = PutOptions {
            create_only: options.create_only,
            expected_revision: options.expected_revision,
            allow_new_key: false,
            version: options.version,
            token_encoding: options.encoding,
        };
        let stored = Self::put(self, &user(&user_id)?, &credential, &options)?;
        Ok(vault::Stored {
            summary: stored.summary,
            replaced: stored.replaced,
            dropped_fields: stored.dropped_fields,
        })
    }

    fn describe(&mut self, user_id: String) -> Result<Summary, contract::Error> {
        Ok(Self::describe(self, &user(&user_id)?)?)
    }

    fn inspect(&mut self, user_id: String) -> Result<Envelope, contract::Error> {
        Ok(Self::inspect(self, &user(&user_id)?)?)
    }

    fn mark_used(&mut self, user_id: String) -> Result<Summary, contract::Error> {
        Ok(Self::mark_used(self, &user(&user_id)?)?)
    }

    fn mark_validated(&mut self, user_id: String, valid: bool) -> Result<Summary, contract::Error> {
        Ok(Self::mark_validated(self, &user(&user_id)?, valid)?)
    }

    fn remove(
        &mut self,
        user_id: String,
        expected_revision: Option<String>,
    ) -> Result<vault::Removed, contract::Error> {
        let existed = Self::remove(self, &user(&user_id)?, expected_revision.as_deref())?;
        Ok(vault::Removed { existed })
    }

    fn users(
        &mut self,
        cursor: Option<String>,
        limit: u32,
    ) -> Result<vault::UserPage, contract::Error> {
        let users = self.existing_users()?;
        let limit = usize::try_from(limit.max(1)).unwrap_or(usize::MAX);
        let mut rest = users
            .iter()
            .map(UserId::as_str)
            .filter(|user| cursor.as_deref().is_none_or(|cursor| *user > cursor));
        let user_ids: Vec<_> = rest.by_ref().take(limit).map(str::to_owned).collect();
        let next = rest.next().and(user_ids.last().cloned());
        Ok(vault::UserPage { user_ids, next })
    }

    fn verify(&mut self, user_ids: Vec<String>) -> Vec<Result<Summary, contract::Error>> {
        each(&user_ids, |users| Self::verify(self, users), |summary| summary)
    }

    fn migrate(
        &mut self,
        user_ids: Vec<String>,
        options: vault::MigrateOptions,
    ) -> Vec<Result<vault::Rewritten, contract::Error>> {
        let options = MigrateOptions {
            dry_run: options.dry_run,
            accept_default_key: options.accept_default_key,
            accept_plaintext: options.accept_plaintext,
            version: options.version,
            token_encoding: options.encoding,
        };
        each(&user_ids, |users| Self::migrate(self, users, &options), rewritten)
    }

    fn rewrap(
        &mut self,
        user_ids: Vec<String>,
        dry_run: bool,
    ) -> Vec<Result<vault::Rewritten, contract::Error>> {
        each(&user_ids, |users| Self::rewrap(self, users, dry_run), rewritten)
    }

    fn configure(
        &mut self,
        _: Option<String>,
        _: Option<TokenEncoding>,
    ) -> Result<vault::Configured, contract::Error> {
        Ok(self.refuse(Operation::Configure)?)
    }

    fn leftovers(
        &mut self,
        _: Option<String>,
        _: u32,
    ) -> Result<vault::LeftoverPage, contract::Error> {
        Ok(self.refuse(Operation::Leftovers)?)
    }

    fn remove_backup(&mut self, name: String) -> Result<vault::Removed, contract::Error> {
        Ok(vault::Removed { existed: Self::remove_backup(self, &name)? })
    }
}

impl reveal::Host for Scope {
    fn reveal(&mut self, user_id: String) -> Result<reveal::Revealed, contract::Error> {
        let (credential, summary) = Self::reveal(self, &user(&user_id)?)?.into_parts();
        Ok(reveal::Revealed { credential, summary })
    }
}

impl apply::Host for Scope {
    fn hmac_sha256(
        &mut self,
        user_id: String,
        secret: String,
        message: Vec<u8>,
    ) -> Result<apply::Mac, contract::Error> {
        let tag = Self::hmac_sha256(self, &user(&user_id)?, &secret, &message)?;
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
    let refuse = |error: crate::UserIdError| contract::Error {
        code: contract::ErrorCode::InvalidUserId,
        message: error.to_string(),
    };
    UserId::parse(user_id).map_err(refuse)
}

/// An answer for each, in the order asked; when the call fails as a whole, its failure for each.
fn each<A, B>(
    user_ids: &[String],
    ask: impl FnOnce(&[UserId]) -> Result<Vec<Result<A, Error>>, Error>,
    answer: impl Fn(A) -> B,
) -> Vec<Result<B, contract::Error>> {
    let parsed: Vec<_> = user_ids.iter().map(|user_id| user(user_id)).collect();
    let users: Vec<_> = parsed.iter().flatten().cloned().collect();
    let mut answers = match ask(&users) {
        Ok(answers) => Ok(answers.into_iter()),
        Err(error) => Err(contract::Error::from(error)),
    };
    let mut next = |_: UserId| match &mut answers {
        Ok(answers) => {
            let missing = || Error::answer("answered for fewer users than it was asked for");
            Ok(answer(answers.next().ok_or_else(missing)??))
        }
        Err(error) => Err(error.clone()),
    };
    parsed.into_iter().map(|user| user.and_then(&mut next)).collect()
}

fn rewritten(rewritten: ops::Rewritten) -> vault::Rewritten {
    vault::Rewritten {
        user_id: rewritten.user.to_string(),
        before: rewritten.before,
        key: rewritten.key,
        changed: rewritten.changed,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use cap_std::ambient_authority;
    use cap_std::fs::Dir;

    use super::*;
    use crate::{Directory, KeyRing, MasterKey, Vault};

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
