//! Files in the format of age (<https://age-encryption.org/v1>): encrypted to recipients, decrypted with identities.

use std::io::{self, Read, Write};
use std::path::Path;

use age::armor::{ArmoredReader, ArmoredWriter, Format};
use age::x25519::{Identity, Recipient};
use age::{DecryptError, Decryptor, Encryptor};
use zeroize::Zeroizing;

use crate::ambient;
use crate::failure::Failure;
use crate::secret_file::{describe, file_remedy};

/// What a file begins with, in both forms.
const BEGINNINGS: [&[u8]; 2] = [b"age-encryption.org/", b"-----BEGIN AGE ENCRYPTED FILE-----"];

/// What a private key begins with.
const SECRET: &str = "AGE-SECRET-KEY-";

const EXPECTED: &str = "not an age recipient (age1…), as `age-keygen` prints it";

/// A recipient as it stands in the arguments.
pub(super) fn recipient(text: &str) -> Result<Recipient, &'static str> {
    if text.to_ascii_uppercase().starts_with(SECRET) {
        return Err(
            "this is a private key, which others can see now; the recipient begins with age1",
        );
    }
    text.parse().map_err(|_| EXPECTED)
}

/// The recipients in a file: one a line, with comments and empty lines.
pub(super) fn recipients(path: &Path) -> Result<Vec<Recipient>, Failure> {
    let shown = path.display();
    let bytes = ambient::read_value_file(path).map_err(|error| {
        Failure::usage(describe(&shown.to_string(), &error), file_remedy(path, &error))
    })?;
    let refuse = |what: String| {
        let hint = "write one recipient a line; lines that begin with # are comments";
        Failure::usage(format!("{shown}: {what}"), hint)
    };
    let text = std::str::from_utf8(&bytes).map_err(|_| refuse("not UTF-8".to_owned()))?;
    let mut found = Vec::new();
    for (number, line) in lines(text) {
        found.push(recipient(line).map_err(|why| refuse(format!("line {number}: {why}")))?);
    }
    if found.is_empty() {
        return Err(refuse("there is no recipient in it".to_owned()));
    }
    Ok(found)
}

/// The identities in a file that only its owner can read, as `age-keygen` writes it.
fn identities(path: &Path) -> Result<Vec<Identity>, Failure> {
    let shown = path.display();
    let bytes = ambient::read_secret_file(path).map_err(|error| {
        Failure::usage(describe(&shown.to_string(), &error), file_remedy(path, &error))
    })?;
    let refuse = |what: String| {
        let hint = "name the file that `age-keygen -o FILE` wrote; one with a passphrase has to be decrypted first: age -d FILE";
        Failure::usage(format!("{shown}: {what}"), hint)
    };
    let text =
        std::str::from_utf8(&bytes).map_err(|_| refuse("not an identity file".to_owned()))?;
    let mut found = Vec::new();
    for (number, line) in lines(text) {
        let wrong = |_| refuse(format!("line {number}: not an identity (AGE-SECRET-KEY-1…)"));
        found.push(line.parse().map_err(wrong)?);
    }
    if found.is_empty() {
        return Err(refuse("there is no identity in it".to_owned()));
    }
    Ok(found)
}

/// The lines with something in them, each with its number.
fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let all = (1..).zip(text.lines().map(str::trim));
    all.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
}

/// Encrypts what is written to it, to these recipients, into the output.
pub(super) fn encrypt<W: Write>(
    recipients: &[Recipient],
    armored: bool,
    output: W,
    write: impl FnOnce(&mut dyn Write) -> Result<(), Failure>,
    failed: impl Fn(&io::Error) -> Failure,
) -> Result<(), Failure> {
    let each = recipients.iter().map(|recipient| recipient as &dyn age::Recipient);
    let encryptor = Encryptor::with_recipients(each)
        .map_err(|error| Failure::other(format!("encrypting: {error}"), "check the recipients"))?;
    let format = if armored { Format::AsciiArmor } else { Format::Binary };
    let armor = ArmoredWriter::wrap_output(output, format).map_err(|error| failed(&error))?;
    let mut stream = encryptor.wrap_output(armor).map_err(|error| failed(&error))?;
    write(&mut stream)?;
    let ended = stream.finish().and_then(ArmoredWriter::finish);
    ended.map(drop).map_err(|error| failed(&error))
}

/// Whether this is an encrypted file.
pub(super) fn is_encrypted(bytes: &[u8]) -> bool {
    BEGINNINGS.iter().any(|beginning| bytes.starts_with(beginning))
}

/// What identities decrypt.
pub(super) struct Identities<'p> {
    path: &'p Path,
    keys: Vec<Identity>,
}

impl<'p> Identities<'p> {
    /// Those in this file.
    pub(super) fn read(path: &'p Path) -> Result<Self, Failure> {
        Ok(Self { path, keys: identities(path)? })
    }

    /// Decrypts a file.
    pub(super) fn decrypt(
        &self,
        what: &str,
        encrypted: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, Failure> {
        self.open(encrypted).map_err(|error| self.explain(what, &error))
    }

    fn open(&self, encrypted: &[u8]) -> Result<Zeroizing<Vec<u8>>, DecryptError> {
        let decryptor = Decryptor::new(ArmoredReader::new(encrypted))?;
        if decryptor.is_scrypt() {
            return Err(DecryptError::KeyDecryptionFailed);
        }
        let mut reader =
            decryptor.decrypt(self.keys.iter().map(|key| key as &dyn age::Identity))?;
        // The plaintext is shorter, so the buffer never grows, which would leave copies behind.
        let mut text = Zeroizing::new(Vec::with_capacity(encrypted.len()));
        reader.read_to_end(&mut text)?;
        Ok(text)
    }

    fn explain(&self, what: &str, error: &DecryptError) -> Failure {
        let identities = self.path.display();
        let again = format!(
            "nothing was changed; get the whole file again; `age -d -i {identities}` has to decrypt it"
        );
        match error {
            DecryptError::NoMatchingKeys => Failure::usage(
                format!("{what}: it is encrypted to none of the identities in {identities}"),
                "nothing was changed; name the file with its identity with --identity FILE",
            ),
            DecryptError::KeyDecryptionFailed => Failure::usage(
                format!("{what}: it is encrypted with a passphrase"),
                "nothing was changed; decrypt it with age, and pass it on standard input: age -d FILE | moat import … -",
            ),
            _ => Failure::usage(format!("{what}: it is damaged, or not an age file"), again),
        }
    }
}

/// A file that is encrypted, for which no identity is named.
pub(super) fn without_identity(what: &str) -> Failure {
    Failure::usage(
        format!("{what}: it is encrypted with age"),
        "nothing was changed; name the file with its identity with --identity FILE",
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn sealed(identity: &Identity, armored: bool, text: &[u8]) -> Vec<u8> {
        let failed = |error: &io::Error| Failure::other(error.to_string(), "");
        let mut sealed = Vec::new();
        let write = |stream: &mut dyn Write| stream.write_all(text).map_err(|error| failed(&error));
        encrypt(&[identity.to_public()], armored, &mut sealed, write, failed).unwrap();
        sealed
    }

    #[test]
    fn what_is_encrypted_is_decrypted_and_what_is_cut_off_is_not() {
        let identity = Identity::generate();
        let identities = Identities { path: Path::new("key"), keys: vec![identity.clone()] };
        for text in [&b""[..], b"horse", &[7; 200_000]] {
            for armored in [false, true] {
                let sealed = sealed(&identity, armored, text);
                assert!(is_encrypted(&sealed));
                assert_eq!(**identities.decrypt("x", &sealed).unwrap(), *text);
                for end in [1, 30, sealed.len() / 2, sealed.len() - 40] {
                    assert!(identities.decrypt("x", sealed.get(..end).unwrap()).is_err(), "{end}");
                }
            }
        }
        let others = Identities { path: Path::new("key"), keys: vec![Identity::generate()] };
        let failure = others.decrypt("x", &sealed(&identity, true, b"horse")).unwrap_err();
        assert_eq!(failure.text().0, "x: it is encrypted to none of the identities in key");
    }

    #[test]
    fn a_private_key_is_no_recipient_and_is_not_repeated() {
        use age::secrecy::ExposeSecret;
        let secret = Identity::generate().to_string();
        let why = recipient(secret.expose_secret()).unwrap_err();
        assert!(why.contains("private key"), "{why}");
        assert_eq!(recipient("age1xyz").unwrap_err(), EXPECTED);
    }
}
