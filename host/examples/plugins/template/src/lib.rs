//! A plugin that signs messages with a key of its user's, which it never sees.

wit_bindgen::generate!({ path: "wit", world: "example:my-plugin/my-plugin", generate_all });

use fossawork::credentials::apply;

struct MyPlugin;

impl Guest for MyPlugin {
    fn sign(user_id: String, message: String) -> Result<Vec<u8>, String> {
        let signed = apply::hmac_sha256(&user_id, "signing-key", message.as_bytes());
        signed.map(|mac| mac.tag).map_err(|error| error.message)
    }
}

export!(MyPlugin);
