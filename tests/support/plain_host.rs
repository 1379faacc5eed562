//! A host of the component that does as little as it can: wasmtime as it comes, one file in memory, no grants,
//! no limits, nothing wiped. For tests that look at what crosses the boundary, and to compare with.

#![allow(
    missing_docs,
    unsafe_code,
    unreachable_pub,
    clippy::unwrap_used,
    reason = "tests and generated code"
)]

use moat_guest_build::cpu_levels;
use wasmtime::component::{Component, HasSelf, Linker};
use wasmtime::{Engine, Store};

wasmtime::component::bindgen!({ path: "../wit", world: "credential-vault" });

use fossawork::credentials::types::{DerivedKey, Error, MasterKey};
use fossawork::credentials::{directory, key_cache, master_keys, types};
use wasi::{clocks::wall_clock, random::random};

/// A host of one file, which lends a key and looks at the one that comes back.
#[derive(Default)]
pub struct Host {
    pub file: Option<Vec<u8>>,
    pub master_key: Vec<u8>,
    pub cached: Option<Vec<u8>>,
    pub remembered: Option<Vec<u8>>,
    pub seconds: u64,
    pub random: Vec<u8>,
}

impl types::Host for Host {}

impl directory::Host for Host {
    fn read(&mut self, _: String) -> Result<directory::Reading, Error> {
        let file = |contents| directory::File { contents, revision: "r".to_owned() };
        Ok(directory::Reading { file: self.file.clone().map(file) })
    }

    fn write(
        &mut self,
        _: String,
        contents: Vec<u8>,
        _: Option<String>,
    ) -> Result<directory::Written, Error> {
        self.file = Some(contents);
        Ok(directory::Written { revision: "r".to_owned() })
    }

    fn remove(&mut self, _: String, _: Option<String>) -> Result<directory::Removal, Error> {
        Ok(directory::Removal { existed: self.file.take().is_some() })
    }

    fn names(&mut self, _: Option<String>, _: u32) -> Result<directory::NamePage, Error> {
        Ok(directory::NamePage { names: Vec::new(), next: None })
    }
}

impl master_keys::Host for Host {
    fn ring(&mut self) -> Result<master_keys::KeyRing, Error> {
        let material = self.master_key.clone();
        Ok(master_keys::KeyRing { keys: vec![MasterKey { id: None, primary: true, material }] })
    }
}

impl key_cache::Host for Host {
    fn lookup(&mut self, _: key_cache::Slot) -> Option<DerivedKey> {
        self.cached.clone().map(|material| DerivedKey { material })
    }

    fn remember(&mut self, _: key_cache::Slot, key: DerivedKey) {
        self.remembered = Some(key.material);
    }
}

impl wall_clock::Host for Host {
    fn now(&mut self) -> wall_clock::Datetime {
        wall_clock::Datetime { seconds: self.seconds, nanoseconds: 0 }
    }

    fn resolution(&mut self) -> wall_clock::Datetime {
        wall_clock::Datetime { seconds: 1, nanoseconds: 0 }
    }
}

impl random::Host for Host {
    fn get_random_bytes(&mut self, len: u64) -> Vec<u8> {
        assert_eq!(len as usize, self.random.len());
        self.random.clone()
    }

    fn get_random_u64(&mut self) -> u64 {
        unreachable!("the component asks for bytes")
    }
}

/// The component in the code for the baseline CPU.
pub fn baseline() -> CredentialVaultPre<Host> {
    let target = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let level = cpu_levels(&target).last().unwrap();
    let config = moat_guest_build::config(&target, level.features).unwrap();
    let engine = Engine::new(&config).unwrap();
    let component = Component::from_binary(&engine, moat::component::BYTES).unwrap();
    let mut linker = Linker::new(&engine);
    CredentialVault::add_to_linker::<_, HasSelf<Host>>(&mut linker, |host| host).unwrap();
    CredentialVaultPre::new(linker.instantiate_pre(&component).unwrap()).unwrap()
}

/// A new instance.
pub fn instance(pre: &CredentialVaultPre<Host>, host: Host) -> (CredentialVault, Store<Host>) {
    let mut store = Store::new(pre.engine(), host);
    store.set_epoch_deadline(1);
    let vault = pre.instantiate(&mut store).unwrap();
    (vault, store)
}
