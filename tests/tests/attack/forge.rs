//! The corpus of forged access tokens: families of ideas, each with its concrete tokens.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use identsphere_e2e::{claims, uuid_v7};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::world::{Victim, World};

/// Where a header that sends the verifier to fetch a key would send it.
pub struct Bait(pub String);

/// Forged tokens of one idea.
pub struct Family {
    pub name: &'static str,
    pub tokens: Vec<String>,
}

/// Everything a forger starts from: a genuine token taken apart, our key, and a key of their own.
struct Forger<'a> {
    world: &'a World,
    genuine: String,
    header: String,
    payload: String,
    signature: String,
    kid: String,
    claims: Value,
}

/// All families, for a victim whose session lives.
pub fn corpus(world: &World, victim: &Victim, other: &Victim, bait: &Bait) -> Vec<Family> {
    let forger = Forger::new(world, victim);
    let mut families = forger.algorithms();
    families.extend(forger.key_ids());
    families.extend(forger.key_sources(bait));
    families.extend(forger.header_forms());
    families.extend(forger.payload_forms());
    families.extend(forger.claims_signed_by_us());
    families.extend(forger.signatures(other));
    families.extend(forger.spellings());
    families.extend(forger.other_things(victim));
    families
}

fn family(name: &'static str, tokens: impl IntoIterator<Item = String>) -> Family {
    Family { name, tokens: tokens.into_iter().collect() }
}

fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

impl<'a> Forger<'a> {
    fn new(world: &'a World, victim: &Victim) -> Self {
        let parts: Vec<&str> = victim.access.split('.').collect();
        let header: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(parts[0]).unwrap()).unwrap();
        Self {
            world,
            genuine: victim.access.clone(),
            header: parts[0].to_owned(),
            payload: parts[1].to_owned(),
            signature: parts[2].to_owned(),
            kid: header["kid"].as_str().unwrap().to_owned(),
            claims: claims(&victim.access),
        }
    }

    /// Signed with our own key, whatever it says.
    fn ours(&self, header: impl AsRef<[u8]>, payload: impl AsRef<[u8]>) -> String {
        let message = format!("{}.{}", encode(header), encode(payload));
        let signature = self.world.signer().sign(message.as_bytes()).unwrap();
        format!("{message}.{}", encode(signature))
    }

    /// Signed with the forger's key.
    fn theirs(&self, header: &Value) -> String {
        let message = format!("{}.{}", encode(header.to_string()), self.payload);
        let signature = self.world.foreign_signer().sign(message.as_bytes()).unwrap();
        format!("{message}.{}", encode(signature))
    }

    /// The genuine header over other claims, signed with our own key.
    fn claiming(&self, payload: impl AsRef<[u8]>) -> String {
        self.ours(URL_SAFE_NO_PAD.decode(&self.header).unwrap(), payload)
    }

    /// Another header: with the genuine signature, without any, and signed with our key.
    fn under(&self, header: &Value) -> [String; 3] {
        let text = header.to_string();
        let payload = &self.payload;
        [
            format!("{}.{payload}.{}", encode(&text), self.signature),
            format!("{}.{payload}.", encode(&text)),
            self.ours(&text, URL_SAFE_NO_PAD.decode(payload).unwrap()),
        ]
    }

    fn with(&self, change: impl FnOnce(&mut Value)) -> Value {
        let mut header = json!({ "typ": "JWT", "alg": "RS256", "kid": self.kid });
        change(&mut header);
        header
    }

    fn each(&self, member: &str, values: impl IntoIterator<Item = Value>) -> Vec<String> {
        let headers = values.into_iter().map(|value| self.with(|header| header[member] = value));
        headers.flat_map(|header| self.under(&header)).collect()
    }

    fn algorithms(&self) -> Vec<Family> {
        let [ours, theirs] = self.world.public_keys();
        let number = |bytes: &[u8]| encode(bytes).into_bytes();
        let jwk = json!({ "kty": "RSA", "n": encode(&ours.n), "e": encode(&ours.e) }).to_string();
        let secrets = [
            vec![],
            ours.n.clone(),
            theirs.n,
            number(&ours.n),
            STANDARD.encode(&ours.n).into_bytes(),
            jwk.into_bytes(),
            self.kid.clone().into_bytes(),
            b"secret".to_vec(),
            vec![0; 32],
        ];
        let symmetric = secrets.iter().map(|secret| {
            let header = self.with(|header| header["alg"] = json!("HS256"));
            let message = format!("{}.{}", encode(header.to_string()), self.payload);
            let mut mac = Hmac::<Sha256>::new_from_slice(secret).unwrap();
            mac.update(message.as_bytes());
            format!("{message}.{}", encode(mac.finalize().into_bytes()))
        });
        let texts = |names: &[&str]| names.iter().map(|name| json!(name)).collect::<Vec<_>>();
        let absent = self.with(|header| drop(header.as_object_mut().unwrap().remove("alg")));
        vec![
            family("alg none", self.each("alg", texts(&["none", "None", "NONE", "nOnE", "none ", ""]))),
            family("alg HS256 keyed with something public", symmetric),
            family("alg of another HMAC", self.each("alg", texts(&["HS256", "HS384", "HS512"]))),
            family(
                "alg of another RSA scheme",
                self.each("alg", texts(&["RS384", "RS512", "PS256", "PS384", "PS512", "RS1", "RSA-OAEP"])),
            ),
            family(
                "alg of a curve",
                self.each("alg", texts(&["ES256", "ES384", "ES512", "ES256K", "EdDSA"])),
            ),
            family(
                "alg in other letters",
                self.each("alg", texts(&["rs256", "Rs256", "RS256 ", "RS256\0", "ＲＳ256"])),
            ),
            family("alg absent", self.under(&absent)),
            family(
                "alg that is no string",
                self.each(
                    "alg",
                    [Value::Null, json!(256), json!(true), json!(["RS256"]), json!({ "alg": "RS256" })],
                ),
            ),
        ]
    }

    fn key_ids(&self) -> Vec<Family> {
        let kid = &self.kid;
        let texts = |names: &[&str]| names.iter().map(|name| json!(name)).collect::<Vec<_>>();
        let absent = self.with(|header| drop(header.as_object_mut().unwrap().remove("kid")));
        let long = [65, 1_000, 3_000].map(|length| json!("k".repeat(length)));
        let near = [
            format!("{kid} "),
            format!(" {kid}"),
            kid[1..].to_owned(),
            kid[..kid.len() - 1].to_owned(),
            kid.to_uppercase(),
            format!("{kid}\0"),
            format!("{kid},{kid}"),
        ];
        vec![
            family("kid unknown", self.each("kid", [json!(uuid_v7()), json!("other"), json!("")])),
            family("kid absent", self.under(&absent)),
            family(
                "kid that is no string",
                self.each("kid", [Value::Null, json!(0), json!([kid]), json!({ "kid": kid }), json!(true)]),
            ),
            family(
                "kid that is a path",
                self.each(
                    "kid",
                    texts(&[
                        "../../../../dev/null",
                        "/dev/null",
                        "/proc/sys/kernel/randomize_va_space",
                        "file:///etc/passwd",
                        "..\\..\\nul",
                    ]),
                ),
            ),
            family(
                "kid that is SQL",
                self.each(
                    "kid",
                    texts(&[
                        "' OR 1=1 --",
                        "' UNION SELECT 'a' --",
                        "1; DROP TABLE signing_keys",
                        "\" OR \"\"=\"",
                    ]),
                ),
            ),
            family(
                "kid that is a command",
                self.each(
                    "kid",
                    texts(&["|id", "$(id)", "`id`", "a\r\nX-Admin: 1", "${jndi:ldap://127.0.0.1/a}", "%00"]),
                ),
            ),
            family("kid that is long", self.each("kid", long)),
            family("kid nearly right", self.each("kid", near.map(Value::from))),
        ]
    }

    fn key_sources(&self, bait: &Bait) -> Vec<Family> {
        let url = &bait.0;
        let [_, theirs] = self.world.public_keys();
        let jwk = json!({ "kty": "RSA", "kid": self.kid, "use": "sig", "alg": "RS256", "n": encode(&theirs.n), "e": encode(&theirs.e) });
        let both = |header: Value| {
            let mut tokens = self.under(&header).to_vec();
            tokens.push(self.theirs(&header));
            tokens
        };
        let adding = |name: &str, value: Value| both(self.with(|header| header[name] = value));
        let unnamed = json!({ "typ": "JWT", "alg": "RS256", "jwk": jwk });
        vec![
            family(
                "jku",
                [
                    format!("{url}/jwks.json"),
                    format!("{url}#"),
                    "http://localhost:1/".into(),
                    "file:///etc/passwd".into(),
                ]
                .into_iter()
                .flat_map(|place| adding("jku", json!(place))),
            ),
            family("x5u", adding("x5u", json!(format!("{url}/cert.pem")))),
            family("jwk of the forger", adding("jwk", jwk).into_iter().chain(both(unnamed))),
            family("x5c of the forger", adding("x5c", json!([STANDARD.encode(&theirs.n)]))),
            family("x5t", adding("x5t", json!("AAAA")).into_iter().chain(adding("x5t#S256", json!("AAAA")))),
            family("foreign key under our kid", [self.theirs(&self.with(|_| ()))]),
            family(
                "foreign key under its own kid",
                [self.theirs(&self.with(|header| header["kid"] = json!("theirs")))],
            ),
            family("key set inside the header", adding("keys", json!([]))),
        ]
    }

    fn header_forms(&self) -> Vec<Family> {
        let kid = &self.kid;
        let payload = URL_SAFE_NO_PAD.decode(&self.payload).unwrap();
        let raw = |headers: Vec<Vec<u8>>| {
            headers.into_iter().map(|header| self.ours(header, &payload)).collect::<Vec<_>>()
        };
        let text =
            |headers: &[String]| raw(headers.iter().map(|header| header.clone().into_bytes()).collect());
        vec![
            family(
                "crit",
                [json!(["exp"]), json!(["b64"]), json!([]), json!("exp"), json!(["http://example.com/x"])]
                    .into_iter()
                    .flat_map(|value| self.under(&self.with(|header| header["crit"] = value))),
            ),
            family(
                "b64 false",
                self.under(&self.with(|header| {
                    header["b64"] = json!(false);
                    header["crit"] = json!(["b64"]);
                })),
            ),
            family("zip", self.each("zip", [json!("DEF"), json!("GZ")])),
            family("enc", self.each("enc", [json!("A128GCM"), json!("A256CBC-HS512")])),
            family("cty", self.each("cty", [json!("JWT"), json!("json")])),
            family(
                "typ of another kind",
                self.each(
                    "typ",
                    ["at+jwt", "refresh+jwt", "mfa+jwt", "jwt", "JOSE", "JWE", ""].map(Value::from),
                ),
            ),
            family("typ absent", self.under(&json!({ "alg": "RS256", "kid": kid }))),
            family(
                "header in another order",
                text(&[
                    format!(r#"{{"alg":"RS256","typ":"JWT","kid":"{kid}"}}"#),
                    format!(r#"{{"kid":"{kid}","alg":"RS256","typ":"JWT"}}"#),
                ]),
            ),
            family(
                "header with white space",
                text(&[
                    format!(r#"{{"typ":"JWT", "alg":"RS256", "kid":"{kid}"}}"#),
                    format!("{{\"typ\":\"JWT\",\"alg\":\"RS256\",\"kid\":\"{kid}\"}}\n"),
                ]),
            ),
            family(
                "header with escapes",
                text(&[format!(r#"{{"typ":"JWT","alg":"RS\u003256","kid":"{kid}"}}"#)]),
            ),
            family(
                "header member twice",
                text(&[
                    format!(r#"{{"typ":"JWT","alg":"none","alg":"RS256","kid":"{kid}"}}"#),
                    format!(r#"{{"typ":"JWT","alg":"RS256","alg":"none","kid":"{kid}"}}"#),
                    format!(r#"{{"typ":"JWT","alg":"RS256","kid":"other","kid":"{kid}"}}"#),
                ]),
            ),
            family("header with an unknown member", self.each("x", [json!(1), json!({ "y": [] })])),
            family("header that is no object", text(&["[]", "\"JWT\"", "null", "1", ""].map(str::to_owned))),
            family(
                "header that is no JSON",
                raw(vec![
                    b"{".to_vec(),
                    b"{]".to_vec(),
                    vec![0xff, 0xfe],
                    b"{\"alg\":RS256}".to_vec(),
                    vec![0; 64],
                ]),
            ),
            family("header that is deep", text(&["[".repeat(2_000), "{\"a\":".repeat(500)])),
        ]
    }

    fn payload_forms(&self) -> Vec<Family> {
        let payload = self.claims.to_string();
        let twice = |member: &str, value: &str| payload.replacen('{', &format!("{{\"{member}\":{value},"), 1);
        let mut long = self.claims.clone();
        long["role"] = json!("r".repeat(5_900));
        let all = |payloads: Vec<Vec<u8>>| {
            payloads.into_iter().map(|payload| self.claiming(payload)).collect::<Vec<_>>()
        };
        vec![
            family(
                "claim twice",
                all(["sub", "sid", "exp", "iss", "typ", "org", "role"]
                    .map(|member| twice(member, &self.claims[member].to_string()).into_bytes())
                    .to_vec()),
            ),
            family(
                "payload that is no object",
                all(["[]", "\"a\"", "null", "7", ""].map(|text| text.as_bytes().to_vec()).to_vec()),
            ),
            family(
                "payload that is no JSON",
                all(vec![
                    b"{".to_vec(),
                    payload.clone().into_bytes()[1..].to_vec(),
                    format!("{payload}{payload}").into_bytes(),
                    format!("{payload},").into_bytes(),
                ]),
            ),
            family(
                "payload that is no UTF-8",
                all(vec![
                    [payload.as_bytes(), b"\xff"].concat(),
                    payload.replace("acc", "a\u{0}").into_bytes(),
                ]),
            ),
            family(
                "payload that is deep",
                all(vec!["[".repeat(3_000).into_bytes(), "{\"a\":".repeat(1_000).into_bytes()]),
            ),
            family("payload that is too long", [self.claiming(long.to_string())]),
        ]
    }

    /// What would be wrong although our own key signed it.
    fn claims_signed_by_us(&self) -> Vec<Family> {
        let now = self.claims["iat"].as_i64().unwrap();
        let change = |change: &dyn Fn(&mut Value)| {
            let mut claims = self.claims.clone();
            change(&mut claims);
            self.claiming(claims.to_string())
        };
        let set = |member: &str, values: &[Value]| {
            values.iter().map(|value| change(&|claims| claims[member] = value.clone())).collect::<Vec<_>>()
        };
        let needed = [
            "iss",
            "sub",
            "org",
            "iat",
            "exp",
            "typ",
            "jti",
            "sid",
            "aal",
            "auth_time",
            "auth_method",
            "role",
        ];
        let missing =
            needed.map(|member| change(&|claims| drop(claims.as_object_mut().unwrap().remove(member))));
        let null = needed.map(|member| change(&|claims| claims[member] = Value::Null));
        let wrong = needed.iter().flat_map(|member| {
            [json!([]), json!({}), json!(true), json!(1.5), json!([self.claims[*member].clone()])]
                .map(|value| change(&|claims| claims[*member] = value.clone()))
        });
        let ids = ["sub", "org", "jti", "sid"].iter().flat_map(|member| {
            ["", "admin", "0", "*", "' OR 1=1", "00000000-0000-0000-0000-00000000000"]
                .map(|value| change(&|claims| claims[*member] = json!(value)))
        });
        let times = |member| {
            set(
                member,
                &[
                    json!("9999999999"),
                    json!(1e300),
                    json!(-1),
                    json!(f64::MAX),
                    json!(now as f64 + 0.5 + 900.0),
                ],
            )
        };
        let issuer = &self.world.issuer;
        vec![
            family("claim missing", missing),
            family("claim null", null),
            family("claim of a wrong type", wrong),
            family("id that is no id", ids),
            family(
                "expired",
                set("exp", &[json!(0), json!(now - 1), json!(now - 31), json!(i64::MIN), json!(-now)]),
            ),
            family("exp of a wrong form", times("exp")),
            family(
                "life too long",
                set("exp", &[json!(now + 3_606), json!(now + 86_400), json!(i64::MAX), json!(u64::MAX)]),
            ),
            family(
                "issued in the future",
                set("iat", &[json!(now + 31), json!(now + 3_600), json!(i64::MAX)]),
            ),
            family(
                "iat of a wrong form",
                set("iat", &[json!("0"), json!(0.5), json!(i64::MIN), json!(u64::MAX)]),
            ),
            family(
                "another issuer",
                set(
                    "iss",
                    &[
                        json!(""),
                        json!("https://evil.example"),
                        json!(format!("{issuer}/")),
                        json!(issuer.to_uppercase()),
                        json!(format!("{issuer}.evil.example")),
                        json!([issuer]),
                        json!(format!(" {issuer}")),
                    ],
                ),
            ),
            family(
                "an audience nobody set",
                set("aud", &[json!("x"), json!(issuer), json!([]), json!([issuer]), json!("")]),
            ),
            family(
                "another kind of token",
                set(
                    "typ",
                    &["refresh", "mfa", "id", "Access", "ACCESS", "access ", "", "bearer"].map(Value::from),
                ),
            ),
        ]
    }

    fn signatures(&self, other: &Victim) -> Vec<Family> {
        let (header, payload, signature) = (&self.header, &self.payload, &self.signature);
        let bytes = URL_SAFE_NO_PAD.decode(signature).unwrap();
        let signed = |signature: &[u8]| format!("{header}.{payload}.{}", encode(signature));
        let [ours, _] = self.world.public_keys();
        let flipped = (0..bytes.len()).step_by(8).map(|at| {
            let mut bytes = bytes.clone();
            bytes[at] ^= 1 << (at / 8 % 8);
            signed(&bytes)
        });
        let mut below = ours.n.clone();
        *below.last_mut().unwrap() ^= 1;
        let others: Vec<&str> = other.access.split('.').collect();
        let elevated =
            [("role", "owner2"), ("aal", "aal2"), ("sub", others[1]), ("email", "root@example.com")].map(
                |(member, value)| {
                    let mut claims = self.claims.clone();
                    claims[member] = json!(value);
                    format!("{header}.{}.{signature}", encode(claims.to_string()))
                },
            );
        let mut long = vec![0];
        long.extend_from_slice(&bytes);
        vec![
            family("signature absent", [format!("{header}.{payload}."), format!("{header}.{payload}")]),
            family("signature cut short", [1, 2, 128, 254, 255].map(|length| signed(&bytes[..length]))),
            family(
                "signature with more",
                [signed(&long), signed(&[&bytes[..], &[0]].concat()), signed(&bytes.repeat(2))],
            ),
            family("signature with a bit changed", flipped),
            family(
                "signature of a special number",
                [
                    vec![0; 256],
                    vec![0xff; 256],
                    [vec![0; 255], vec![1]].concat(),
                    ours.n.clone(),
                    below,
                    vec![0],
                    vec![1],
                ]
                .map(|s| signed(&s)),
            ),
            family("signature backwards", [signed(&bytes.iter().rev().copied().collect::<Vec<_>>())]),
            family("signature of another token", [format!("{header}.{payload}.{}", others[2])]),
            family("payload of another token", [format!("{header}.{}.{signature}", others[1])]),
            family("claims changed under the signature", elevated),
        ]
    }

    fn spellings(&self) -> Vec<Family> {
        let (header, payload, signature) = (&self.header, &self.payload, &self.signature);
        let bytes = |segment: &str| URL_SAFE_NO_PAD.decode(segment).unwrap();
        let standard = [
            format!("{header}.{payload}.{}", STANDARD.encode(bytes(signature))),
            format!("{header}.{payload}.{}", STANDARD.encode(bytes(signature)).trim_end_matches('=')),
        ];
        let mut inside = vec![];
        for (at, _) in [(5, ()), (header.len() + 9, ()), (self.genuine.len() - 7, ())] {
            for between in
                [" ", "\t", "\r\n", "\n", "\0", "=", "%", "\u{200b}", "é", ";", ",", "\"", "/", "+"]
            {
                inside.push(format!("{}{between}{}", &self.genuine[..at], &self.genuine[at..]));
            }
        }
        let last = signature.chars().last().unwrap();
        let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let at = alphabet.find(last).unwrap();
        let trailing = (1..16).map(|bit| {
            let other = alphabet.as_bytes()[(at & !15) | ((at ^ bit) & 15)] as char;
            format!("{header}.{payload}.{}{other}", &signature[..signature.len() - 1])
        });
        vec![
            family("padded", [
                format!("{header}.{payload}.{}", URL_SAFE.encode(bytes(signature))),
                format!("{header}=.{payload}.{signature}"),
                format!("{header}.{payload}=.{signature}"),
                format!("{header}.{payload}.{signature}="),
            ]),
            family("the other base64", standard),
            family("trailing bits", trailing),
            family("something in between", inside),
            family("dots", [
                format!("{}.", self.genuine), format!(".{}", self.genuine), self.genuine.replace('.', ".."),
                self.genuine.replace('.', ""), format!("{}.{signature}", self.genuine), "..".into(), "...".into(), ".".repeat(4_000),
                self.genuine.replace('.', "%2e"), self.genuine.replace('.', ":"), self.genuine.replace('.', "．"),
            ]),
            family("case", [self.genuine.to_uppercase(), self.genuine.to_lowercase()]),
            family("in JSON", [
                json!({ "protected": header, "payload": payload, "signature": signature }).to_string(),
                json!({ "payload": payload, "signatures": [{ "protected": header, "signature": signature }] }).to_string(),
                format!("\"{}\"", self.genuine), format!("[\"{}\"]", self.genuine),
            ]),
            family("encoded once more", [encode(&self.genuine), STANDARD.encode(&self.genuine)]),
            family("twice", [format!("{0},{0}", self.genuine), format!("{0}{0}", self.genuine), format!("Bearer {}", self.genuine)]),
        ]
    }

    fn other_things(&self, victim: &Victim) -> Vec<Family> {
        let sid = self.claims["sid"].as_str().unwrap();
        let jwe =
            ["eyJhbGciOiJSU0EtT0FFUCIsImVuYyI6IkExMjhHQ00ifQ", "AAAA", "AAAA", "AAAA", "AAAA"].join(".");
        vec![
            family("five parts", [jwe, format!("{}.a.b", self.genuine), "a.b.c.d.e".into()]),
            family(
                "another credential",
                [sid.to_owned(), victim.email.clone(), self.kid.clone(), "isr_".into()],
            ),
            family(
                "junk",
                [
                    "a",
                    "null",
                    "undefined",
                    "true",
                    "0",
                    "[object Object]",
                    "a.b.c",
                    "eyJ",
                    "eyJ.eyJ.",
                    "{}.{}.{}",
                    "JWT",
                    "admin:admin",
                ]
                .map(str::to_owned),
            ),
            family(
                "too long",
                [8_193, 9_000, 12_000].map(|length| "A".repeat(length)).into_iter().chain([format!(
                    "{}.{}.{}",
                    self.header,
                    "A".repeat(9_000),
                    self.signature
                )]),
            ),
        ]
    }
}
