//! An authenticator app.

use identsphere_factors::totp::{SECRET_BYTES, TimeStep, TotpSecret};

/// An app that shows the codes of one secret.
#[derive(Debug, Clone)]
pub struct CodeApp(TotpSecret);

impl CodeApp {
    /// An app into which this secret was typed in base32 (RFC 4648 §6); `None` unless it is one of 160 bits.
    pub fn with(secret: &str) -> Option<Self> {
        let mut bytes = Vec::with_capacity(SECRET_BYTES);
        let (mut held, mut count) = (0u32, 0u32);
        for letter in secret.chars() {
            let value = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".find(letter)?;
            held = (held << 5 | u32::try_from(value).ok()?) & 0xfff;
            count += 5;
            if count >= 8 {
                count -= 8;
                bytes.push(u8::try_from(held >> count & 0xff).ok()?);
            }
        }
        bytes.try_into().ok().map(|bytes| Self(TotpSecret::from_bytes(bytes)))
    }

    /// The secret's bytes.
    pub fn bytes(&self) -> &[u8; SECRET_BYTES] {
        self.0.expose()
    }

    /// The code of a step.
    pub fn code_of(&self, step: TimeStep) -> String {
        self.0.code_at(step).as_bytes().iter().copied().map(char::from).collect()
    }
}
