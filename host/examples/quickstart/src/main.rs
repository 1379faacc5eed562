//! The main job, with the library: a credential is encrypted into a file and read back, both inside the
//! sandbox. The directory is `target/quickstart`, created again at each run.

#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;
use std::fs::{self, DirBuilder};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use moat::{Credential, Directory, KeyRing, MasterKey, PutOptions, UserId, Vault, component};

fn main() -> Result<(), Box<dyn Error>> {
    let path = Path::new("target/quickstart");
    if path.exists() {
        fs::remove_dir_all(path)?;
    }
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;

    // The vault is given an open directory and a key; it never looks for either by itself.
    let directory = Directory::new(Dir::open_ambient_dir(path, ambient_authority())?)?;
    let master_key = MasterKey::new(moat::generate_key()?.as_bytes());
    let vault = Vault::builder(directory, KeyRing::new(master_key)).build()?;

    let anna = UserId::parse("anna@example.com")?;
    let credential = Credential::new("anna", "correct horse battery staple");
    vault.put(&anna, &credential, &PutOptions::default())?;

    let file = path.join(anna.file_name());
    let mode = fs::metadata(&file)?.permissions().mode() & 0o777;
    println!("stored     {anna} in {} (mode {mode:04o}):", file.display());
    println!("           {}", fs::read_to_string(&file)?);

    let revealed = vault.reveal(&anna)?;
    let credential = revealed.credential();
    println!("read back  {} / {}", credential.username(), credential.expose_password());

    println!("inside     component sha256:{}, which can import only", component::digest());
    for import in component::ALLOWED_IMPORTS {
        println!("           {import}");
    }
    Ok(())
}
