//! Records that a fuzzer can write: it would never guess an HMAC.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE;

use crate::fernet;
use crate::memory::{DERIVED, NOW};

/// The record of a template: `$(text)$` becomes a token of the text under the primary key, and `@(text)@` one under the
/// other key, encoded as the FossaWork application does it. Anything else stays as it is.
///
/// There is no mark for a token that doesn't open: the guest derives one more key before it refuses it, in the time of
/// hundreds of other runs. Such tokens are what `token` is about.
pub fn fill(template: &[u8]) -> Vec<u8> {
    let [primary, other] = &*DERIVED;
    let documented = |text: &[u8]| URL_SAFE.encode(fernet::seal(primary, NOW, &[7; 16], text));
    let app =
        |text: &[u8]| URL_SAFE.encode(URL_SAFE.encode(fernet::seal(other, NOW, &[7; 16], text)));
    replaced(template, b"$(", b")$", documented)
        .or_else(|| replaced(template, b"@(", b")@", app))
        .unwrap_or_else(|| template.to_vec())
}

/// With another text in place of the first `begin`, the last `end` and what is between them.
fn replaced(
    text: &[u8],
    begin: &[u8; 2],
    end: &[u8; 2],
    by: impl Fn(&[u8]) -> String,
) -> Option<Vec<u8>> {
    let first = text.windows(2).position(|two| two == begin)?;
    let last = text.windows(2).rposition(|two| two == end)?;
    let inner = text.get(first + 2..last)?;
    Some([&text[..first], by(inner).as_bytes(), &text[last + 2..]].concat())
}

/// The plaintext of an `encrypted_data` under a key of the ring.
pub fn open(encrypted_data: &str) -> Option<Vec<u8>> {
    let token = fernet::decode(encrypted_data.as_bytes())?;
    DERIVED.iter().find_map(|key| fernet::open(key, &token))
}
