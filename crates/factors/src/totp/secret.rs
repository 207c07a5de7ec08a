//! The secret that an authenticator app and we share, and how the app gets it.

use hmac::{Hmac, KeyInit, Mac};
use identsphere_kernel::{SecretBytes, SecretString, SecureRandom};
use sha1::Sha1;
use zeroize::Zeroizing;

use super::{PERIOD_SECONDS, TimeStep, TotpCode};

/// 160 bits, as RFC 4226 §4 R6 recommends.
pub const SECRET_BYTES: usize = 20;

/// The alphabet of RFC 4648 §6.
const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// The secret of one user's authenticator app.
#[derive(Debug, Clone)]
pub struct TotpSecret(SecretBytes<SECRET_BYTES>);

impl TotpSecret {
    /// A new secret.
    pub fn generate(random: &dyn SecureRandom) -> Self {
        Self::from_bytes(random.bytes())
    }

    /// The secret with these bytes, after it was unsealed.
    pub fn from_bytes(bytes: [u8; SECRET_BYTES]) -> Self {
        Self(SecretBytes::new(bytes))
    }

    /// The bytes, to be sealed. Every call is a place to review.
    pub fn expose(&self) -> &[u8; SECRET_BYTES] {
        self.0.expose()
    }

    /// The secret as people type it into an app: base32 without padding (RFC 4648 §6).
    pub fn to_base32(&self) -> SecretString {
        // 20 bytes are four groups of 40 bits: there is never a remainder to pad.
        let mut text = Zeroizing::new(String::with_capacity(SECRET_BYTES / 5 * 8));
        for group in self.expose().chunks(5) {
            let bits = group.iter().fold(0u64, |bits, byte| bits << 8 | u64::from(*byte));
            for place in (0..8).rev() {
                let value = usize::try_from(bits >> (place * 5) & 31).unwrap_or(0);
                text.push(BASE32.get(value).copied().map_or('A', char::from));
            }
        }
        SecretString::new(text.as_str())
    }

    /// The secret as an app scans it: the Key URI format of Google Authenticator. `issuer` is the name of the service,
    /// `account` tells a person's entries apart. Neither can contain a colon there, so colons are left out.
    pub fn otpauth_uri(&self, issuer: &str, account: &str) -> SecretString {
        let (issuer, account) = (escaped(issuer), escaped(account));
        let secret = self.to_base32();
        SecretString::new(format!(
            "otpauth://totp/{issuer}:{account}?secret={}&issuer={issuer}&algorithm=SHA1&digits=6&period={PERIOD_SECONDS}",
            secret.expose()
        ))
    }

    /// The code that an app shows during `step`: HOTP (RFC 4226 §5.3) of the step's number (RFC 6238 §4.2).
    pub fn code_at(&self, step: TimeStep) -> TotpCode {
        #[expect(clippy::expect_used, reason = "HMAC takes keys of any length (RFC 2104 §2)")]
        let mut mac = Hmac::<Sha1>::new_from_slice(self.expose()).expect("a key of 20 bytes is valid");
        mac.update(&step.number().to_be_bytes());
        let tag: Zeroizing<[u8; 20]> = Zeroizing::new(mac.finalize().into_bytes().into());
        TotpCode::of_number(truncated(&tag))
    }
}

/// The dynamic truncation of RFC 4226 §5.3: 31 bits from where the last four bits of the tag say.
fn truncated(tag: &[u8; 20]) -> u32 {
    let [.., last] = *tag;
    let four = tag.iter().skip(usize::from(last & 0xf)).take(4);
    four.fold(0, |bits, byte| bits << 8 | u32::from(*byte)) & 0x7fff_ffff
}

/// Percent-encoded but for the unreserved characters (RFC 3986 §2.3), without colons and control characters.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars().filter(|character| *character != ':' && !character.is_control()) {
        if character.is_ascii_alphanumeric() || "-._~".contains(character) {
            escaped.push(character);
        } else {
            let mut utf8 = [0; 4];
            for byte in character.encode_utf8(&mut utf8).bytes() {
                escaped.push_str(&format!("%{byte:02X}"));
            }
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base32_is_that_of_rfc_4648() {
        let text = |bytes| TotpSecret::from_bytes(bytes).to_base32().expose().to_owned();
        assert_eq!(text(*b"12345678901234567890"), "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
        assert_eq!(text([0; 20]), "A".repeat(32));
        assert_eq!(text([0xff; 20]), "7".repeat(32));
        // The vector "fooba" of §10, four times.
        assert_eq!(text(*b"foobafoobafoobafooba"), "MZXW6YTB".repeat(4));
    }

    #[test]
    fn the_uri_names_service_account_and_secret() {
        let uri =
            TotpSecret::from_bytes(*b"12345678901234567890").otpauth_uri("Acme & Söhne", "a+b@example.com");
        assert_eq!(
            uri.expose(),
            "otpauth://totp/Acme%20%26%20S%C3%B6hne:a%2Bb%40example.com?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ\
             &issuer=Acme%20%26%20S%C3%B6hne&algorithm=SHA1&digits=6&period=30"
        );
    }

    #[test]
    fn no_name_can_add_to_the_uri() {
        let uri = TotpSecret::from_bytes([1; 20]).otpauth_uri("a:b?secret=X#", "c/d&issuer=\n%00");
        assert!(uri.expose().starts_with("otpauth://totp/ab%3Fsecret%3DX%23:c%2Fd%26issuer%3D%2500?secret="));
        assert_eq!(uri.expose().matches('&').count(), 4);
    }

    #[test]
    fn a_secret_does_not_print_itself() {
        assert_eq!(format!("{:?}", TotpSecret::from_bytes([7; 20])), "TotpSecret(SecretBytes<20>(redacted))");
    }
}
