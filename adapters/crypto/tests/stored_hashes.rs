//! Hashes of our own and of other systems, through the port. The constants were made by other implementations:
//! Python's hashlib (scrypt, PBKDF2), argon2-cffi, bcrypt, passlib, Django, and cryptography (Firebase's AES).

#![expect(clippy::unwrap_used, reason = "a test whose preparations fail has failed")]

use std::sync::Arc;

use identsphere_accounts::{Password, PasswordHash};
use identsphere_core::{PasswordHasher, Verification};
use identsphere_crypto::{FirebaseProject, HashScheme, PasswordPool, PoolConfig};
use identsphere_kernel::{Duration, OsRandom};
use proptest::prelude::*;

const PASSWORD: &str = "correct horse battery staple";
const UNICODE: &str = "Zwölf Boxkämpfer 密码 🦀";

/// Hashes of [`PASSWORD`], each with that of [`UNICODE`].
const HASHES: [[&str; 2]; 18] = [
    [
        "$scrypt$ln=10,r=8,p=2$AAECAwQFBgcICQoLDA0ODw$wk79EttC618m617oirShLZuxJkXcX6rXHrrS9rQQ/44",
        "$scrypt$ln=10,r=8,p=2$AAECAwQFBgcICQoLDA0ODw$DmQTQzlUiU4AKNffmZXXjHhCf8jeb7Y0m3FXl+uSFD8",
    ],
    [
        "$scrypt$ln=8,r=8,p=1$AAECAwQFBgcICQoLDA0ODw$762fSdcLBVPOjB54NI8Zcv3it7hESxcUDJ4H92EOxo8",
        "$scrypt$ln=8,r=8,p=1$AAECAwQFBgcICQoLDA0ODw$Z+Zt1wr5cxtXKTN5MSW5Vf26jLUvaTKrc9rrh1DUOg8",
    ],
    [
        "$argon2id$v=19$m=1024,t=2,p=1$AAECAwQFBgcICQoLDA0ODw$WHgvyW8Gptf87EcoCZ9qeI7pigT0zY+gonr224t6Rrg",
        "$argon2id$v=19$m=1024,t=2,p=1$AAECAwQFBgcICQoLDA0ODw$Oij1DNQf/sTIsxaq+WCug88J37i2YXAsIxJgRUu58WE",
    ],
    [
        "$argon2i$v=19$m=256,t=3,p=4$AAECAwQFBgcICQoLDA0ODw$SsVcrpxmKaA4zdv8jEO9mUu7NEqe/AG3",
        "$argon2i$v=19$m=256,t=3,p=4$AAECAwQFBgcICQoLDA0ODw$IGXF28oXtAoqgDLD4obJr1IoP3MvV3Bc",
    ],
    [
        "$argon2id$v=16$m=256,t=3,p=2$AAECAwQFBgcICQoLDA0ODw$MzBzQLDqe4BCuXeVQevbZ4N2SI16Vcvp8tTV9MMYn8I",
        "$argon2id$v=16$m=256,t=3,p=2$AAECAwQFBgcICQoLDA0ODw$UCJFFFvkd6P3LGlt0yX+3EwElwxKxf6UEGrLeEOhV4o",
    ],
    // The same in the form that had no version field.
    [
        "$argon2id$m=256,t=3,p=2$AAECAwQFBgcICQoLDA0ODw$MzBzQLDqe4BCuXeVQevbZ4N2SI16Vcvp8tTV9MMYn8I",
        "$argon2id$m=256,t=3,p=2$AAECAwQFBgcICQoLDA0ODw$UCJFFFvkd6P3LGlt0yX+3EwElwxKxf6UEGrLeEOhV4o",
    ],
    [
        "$2a$05$9bRW2cFIza7KlEZLIrhIgeu8t9ncGcmOEfBuDWdxNuK4oc/1.6l5K",
        "$2a$05$8rCfCZXWzitsUXj5H4Up..4tfIJW2XSoGdSWE5cZFRmvydZYyptK.",
    ],
    [
        "$2b$05$vVYL/fNmGafj/jNNcmYKP.I6lK2IpbBBKBT9m163eaxg/.bSsMc4S",
        "$2b$05$g38VC7PdKMaWZDlv5iXOBOiwU6oqbbHGkGRqvtB3gw.Fy9coBBDCe",
    ],
    [
        "$2y$05$1qJgPeWi96AjH2aUyVzAuORUZDI32vgwx8ERCovLSm1Hip4ksVO1W",
        "$2y$05$9DjvGj5hS0shEaafRIUmN.XhgJEH3oBSLcI0SL6z4fpnM3x8ZSGWG",
    ],
    [
        "$pbkdf2-sha256$2000$AAECAwQFBgcICQoLDA0ODw$dHrv0WO6TTplluvGUzKcNCpMnnwd8jlNMK5NBd.OAA4",
        "$pbkdf2-sha256$2000$AAECAwQFBgcICQoLDA0ODw$Zld1Bu1LSaHc6Y/zTD/ty.mAYND2abw8VAFZTs7TdXw",
    ],
    [
        "$pbkdf2-sha512$2000$AAECAwQFBgcICQoLDA0ODw$.X48vYmR2mMJfFymnu1uM9/WxueLy.2NapZFLrFIijuR46Ui3mfB2L1IpphhugfcKK9dXkv.LeHUngQmOV3zog",
        "$pbkdf2-sha512$2000$AAECAwQFBgcICQoLDA0ODw$jpk3kUM6X9NTmalG22PF1CZOhoWAUnOn.E1x0dlealR6HdVy1iHYk6/fN2Jkm3mkRHmUHXay44EIHoDr4ClJdQ",
    ],
    [
        "pbkdf2_sha256$2000$Yx4wQ0pVn2$uk8/07Xk6JNylySaRCUAdbXzi9udkMO52GLLFvs1zRc=",
        "pbkdf2_sha256$2000$Yx4wQ0pVn2$iLAeD1mn2r2/ZpWRhwuKULOueXRDX0O/5HpKmFJmS28=",
    ],
    [
        "$pbkdf2-sha256$i=2000$AAECAwQFBgcICQoLDA0ODw$dHrv0WO6TTplluvGUzKcNCpMnnwd8jlNMK5NBd+OAA4",
        "$pbkdf2-sha256$i=2000,l=32$AAECAwQFBgcICQoLDA0ODw$Zld1Bu1LSaHc6Y/zTD/ty+mAYND2abw8VAFZTs7TdXw",
    ],
    [
        "$pbkdf2-sha512$i=2000,l=64$AAECAwQFBgcICQoLDA0ODw$+X48vYmR2mMJfFymnu1uM9/WxueLy+2NapZFLrFIijuR46Ui3mfB2L1IpphhugfcKK9dXkv+LeHUngQmOV3zog",
        "$pbkdf2-sha512$i=2000$AAECAwQFBgcICQoLDA0ODw$jpk3kUM6X9NTmalG22PF1CZOhoWAUnOn+E1x0dlealR6HdVy1iHYk6/fN2Jkm3mkRHmUHXay44EIHoDr4ClJdQ",
    ],
    [
        "scrypt$1024$v7FowKfhdOhjClUlOnxdZG$8$5$RT+5wJ6gyVfx6nV5KMDx+pTwDH1s4sxMsVe+RU7wEWnZliN2stL7es9AtNuK1BNZ2a/B4xpLu3oN7GdgVTtWug==",
        "scrypt$1024$MAe3AkuPybLaEFxTUr49Dl$8$5$w7VT6qVx0R03lkfe0xihgBcIG9bnPJ1O3I4Mfs8kzOjGKTot6HuxTVg/pk7+aTjyvXd8ENAXSlBk4vId+edM0Q==",
    ],
    [
        "argon2$argon2id$v=19$m=256,t=2,p=2$V3owaU15ZGdvSEt0NHFhelpITnU5cw$2Kdun4GT4KfsUo+O/CiEJcMgF8AEuFLTY/LPcP8o+yE",
        "argon2$argon2id$v=19$m=256,t=2,p=2$MHNXZ1RoWVo5S21rQTZ2MVJzRFc4Mw$lEyGlAFO1I+Ll0MsRjwvrck9h62NGVuQEQP0lV0KSJw",
    ],
    [
        "bcrypt$$2b$05$JoQU6S1QU8Ay89CNCBNTH.NsHJ1MAcLOEi85El4o7Gx8haOyiklAS",
        "bcrypt$$2b$05$M2ru2MTqr.3pyJgv0HuOrudz.ZDzShcWUaqq58BXA3PLiC6.jgiKC",
    ],
    [
        "$firebase-scrypt$ln=10,r=8,p=1$AAECAwQFBgcICQc$BR8Um0PKpKcaMkbbqSZpfPxywoSwn3CN8JPA/3qX4ii0pCyu4Bb2R/bzB4VDyupC/9nJwqVdDQAhWWlSsnCC9A",
        "$firebase-scrypt$ln=10,r=8,p=1$AAECAwQFBgcICQc$hYGKoqomcVmqbhICLwjFIrZmnWeoJKsn/HsSs24bL1rbIU0EEijS8Q2vkBH4LDixy9VrPSWKWY6eHmS69QXUzg",
    ],
];

fn pool(scheme: HashScheme, memory_mib: u32) -> PasswordPool {
    let config = PoolConfig { scheme, memory_mib, queue_wait: Duration::from_secs(600), threads: 2 };
    PasswordPool::start(config, Arc::new(OsRandom)).unwrap()
}

fn quick(setting: &str) -> PasswordPool {
    pool(HashScheme::below_floor_for_tests(setting).unwrap(), 256)
}

fn present(text: &str) -> Password {
    Password::present(text).unwrap()
}

async fn verify(pool: &PasswordPool, password: &str, hash: &str) -> Verification {
    pool.verify(present(password), Some(PasswordHash::new(hash))).await.unwrap()
}

#[tokio::test]
async fn hashes_of_every_known_scheme_are_verified_and_marked_for_renewal() {
    let pool = quick("scrypt:ln=4,r=8,p=1");
    for [of_password, of_unicode] in HASHES {
        assert_eq!(verify(&pool, PASSWORD, of_password).await, Verification::MatchOutdated, "{of_password}");
        assert_eq!(verify(&pool, UNICODE, of_unicode).await, Verification::MatchOutdated, "{of_unicode}");
        assert_eq!(verify(&pool, UNICODE, of_password).await, Verification::Mismatch, "{of_password}");
        assert_eq!(verify(&pool, "", of_password).await, Verification::Mismatch, "{of_password}");
        assert_eq!(verify(&pool, "correct horse battery staplf", of_password).await, Verification::Mismatch);
    }
}

/// RFC 7914 §12, the third vector.
#[tokio::test]
async fn scrypt_is_that_of_the_specification() {
    let hash = "$scrypt$ln=14,r=8,p=1$U29kaXVtQ2hsb3JpZGU$cCO9yzr9c0hGHAbNgf046/2o+7qQT44+qbVD9lRdofLVQylVYT8Pz2LUlwUkKpr55h6F3A1lHkDfzwF7RVdYhw";
    let pool = quick("scrypt:ln=14,r=8,p=1");
    let verdict = verify(&pool, "pleaseletmein", hash).await;
    assert_eq!(verdict, Verification::MatchOutdated, "our salts and hashes have other lengths");
}

/// The vector that Firebase publishes (github.com/firebase/scrypt, README).
#[tokio::test]
async fn what_comes_from_firebase_is_verified_without_its_signer_key() {
    let parameters = "hash_config {\n  algorithm: SCRYPT,\n  base64_signer_key: \
        jxspr8Ki0RYycVU8zykbdLGjFQ3McFUH0uiiTvC8pVMXAn210wjLNmdZJzxUECKbm0QsEmYUSDzZvpjeJ9WmXA==,\n  \
        base64_salt_separator: Bw==,\n  rounds: 8,\n  mem_cost: 14,\n}";
    let hash = "lSrfV15cpx95/sZS2W9c9Kp6i/LVgQNDNC/qzrCnh1SAyZvqmZqAjTdn3aoItz+VHjoZilo78198JAdRuid5lQ==";
    let project = FirebaseProject::parse(parameters).unwrap();
    let kept = project.convert(hash, "42xEC+ixf3L2lw==").unwrap();
    let pool = quick("scrypt:ln=4,r=8,p=1");
    assert_eq!(pool.judge(&kept), Ok(()));
    assert_eq!(verify(&pool, "user1password", kept.as_str()).await, Verification::MatchOutdated);
    assert_eq!(verify(&pool, "user2password", kept.as_str()).await, Verification::Mismatch);
}

/// A vector of the reference implementation (phc-winner-argon2, `src/test.c`).
#[tokio::test]
async fn argon2id_is_that_of_the_reference_implementation() {
    let hash = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";
    let pool = quick("scrypt:ln=4,r=8,p=1");
    assert_eq!(verify(&pool, "password", hash).await, Verification::MatchOutdated);
}

#[tokio::test]
async fn a_hash_is_current_only_under_the_very_same_parameters() {
    let [scrypt, argon2id] = [HASHES[0][0], HASHES[2][0]];
    for (setting, hash, verdict) in [
        ("scrypt:ln=10,r=8,p=2", scrypt, Verification::Match),
        ("scrypt:ln=11,r=8,p=2", scrypt, Verification::MatchOutdated),
        ("scrypt:ln=10,r=8,p=1", scrypt, Verification::MatchOutdated),
        ("argon2id:m=1024,t=2,p=1", scrypt, Verification::MatchOutdated),
        ("argon2id:m=1024,t=2,p=1", argon2id, Verification::Match),
        ("argon2id:m=1024,t=3,p=1", argon2id, Verification::MatchOutdated),
        ("scrypt:ln=10,r=8,p=2", argon2id, Verification::MatchOutdated),
    ] {
        assert_eq!(verify(&quick(setting), PASSWORD, hash).await, verdict, "{setting}");
    }
}

#[tokio::test]
async fn the_real_parameters_hash_and_verify() {
    for (setting, prefix, length) in [
        (HashScheme::DEFAULT, "$scrypt$ln=15,r=8,p=3$", 88),
        ("argon2id:m=19456,t=2,p=1", "$argon2id$v=19$m=19456,t=2,p=1$", 97),
    ] {
        let pool = pool(HashScheme::parse(setting).unwrap(), 64);
        let hash = pool.hash(present(PASSWORD)).await.unwrap();
        assert!(hash.as_str().starts_with(prefix), "{}", hash.as_str());
        assert_eq!(hash.as_str().len(), length, "16 bytes of salt, 32 of hash");
        assert_eq!(verify(&pool, PASSWORD, hash.as_str()).await, Verification::Match);
        assert_eq!(verify(&pool, UNICODE, hash.as_str()).await, Verification::Mismatch);
    }
}

#[tokio::test]
async fn every_hash_has_a_salt_of_its_own() {
    let pool = quick("scrypt:ln=4,r=8,p=1");
    assert_ne!(pool.hash(present(PASSWORD)).await.unwrap(), pool.hash(present(PASSWORD)).await.unwrap());
}

/// PW-03.
#[tokio::test]
async fn passwords_count_to_the_last_byte() {
    for setting in ["scrypt:ln=4,r=8,p=1", "argon2id:m=8,t=1,p=1"] {
        let pool = quick(setting);
        for length in [71, 72, 127, 128, 254, 255] {
            let long = "x".repeat(length);
            let hash = pool.hash(present(&format!("{long}a"))).await.unwrap();
            assert_eq!(verify(&pool, &format!("{long}a"), hash.as_str()).await, Verification::Match);
            assert_eq!(verify(&pool, &format!("{long}b"), hash.as_str()).await, Verification::Mismatch);
            assert_eq!(verify(&pool, &long, hash.as_str()).await, Verification::Mismatch);
        }
        let hash = pool.hash(present("null\0byte one")).await.unwrap();
        assert_eq!(verify(&pool, "null\0byte two", hash.as_str()).await, Verification::Mismatch);
    }
}

#[tokio::test]
async fn bcrypt_hashes_keep_their_own_rule_about_length() {
    let pool = quick("scrypt:ln=4,r=8,p=1");
    let of_72_times_x = "$2b$04$F2UPfm2FYZHreFbvgNs6SelwvTA1WAJKj21o9R5nct3XQi.LXTEbW";
    assert_eq!(verify(&pool, &"x".repeat(72), of_72_times_x).await, Verification::MatchOutdated);
    assert_eq!(verify(&pool, &"x".repeat(90), of_72_times_x).await, Verification::MatchOutdated);
    assert_eq!(verify(&pool, &"x".repeat(71), of_72_times_x).await, Verification::Mismatch);
}

#[tokio::test]
async fn nobody_signs_in_without_a_hash_or_with_one_that_cannot_be_verified() {
    let pool = quick("scrypt:ln=4,r=8,p=1");
    assert_eq!(pool.verify(present(PASSWORD), None).await.unwrap(), Verification::Mismatch);
    for hash in [
        "",
        "!",
        PASSWORD,
        "$scrypt$",
        "pbkdf2_sha256$1$salt$",
        "$scrypt$ln=30,r=8,p=1$AAECAwQFBgcICQoLDA0ODw$AAECAwQFBgcICQoLDA0ODw",
    ] {
        assert_eq!(verify(&pool, PASSWORD, hash).await, Verification::Mismatch, "{hash}");
        assert_eq!(verify(&pool, "", hash).await, Verification::Mismatch, "{hash}");
    }
}

#[tokio::test]
async fn a_hash_is_judged_before_it_is_kept() {
    let pool = quick("scrypt:ln=4,r=8,p=1");
    assert!(HASHES.iter().flatten().all(|hash| pool.judge(&PasswordHash::new(*hash)).is_ok()));
    for (hash, why) in [
        ("$6$salt$hash", "the scheme is not known"),
        ("$2b$10$short", "the form is not that of its scheme"),
        (
            "$2b$31$vVYL/fNmGafj/jNNcmYKP.I6lK2IpbBBKBT9m163eaxg/.bSsMc4S",
            "the parameters cost more than is allowed",
        ),
        ("scrypt$1073741824$salt$8$1$AAAAAAAAAAAAAAAAAAAAAA==", "the parameters cost more than is allowed"),
        ("scrypt$1000$salt$8$1$AAAAAAAAAAAAAAAAAAAAAA==", "the form is not that of its scheme"),
        ("$firebase-scrypt$ln=30,r=8,p=1$AAAA$AAAA", "the parameters cost more than is allowed"),
        ("$firebase-scrypt$ln=10,r=8,p=1$AAAA$AAAA", "the form is not that of its scheme"),
    ] {
        assert_eq!(pool.judge(&PasswordHash::new(hash)).unwrap_err().to_string(), why, "{hash}");
    }
}

#[tokio::test]
async fn a_stored_hash_never_takes_more_than_all_hashes_together_may() {
    let hash = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";
    let scheme = HashScheme::below_floor_for_tests("scrypt:ln=4,r=8,p=1").unwrap();
    assert_eq!(verify(&pool(scheme.clone(), 63), "password", hash).await, Verification::Mismatch);
    assert_eq!(verify(&pool(scheme, 64), "password", hash).await, Verification::MatchOutdated);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// PW-08: a hash with a character changed, lost or added is verified or refused, never a panic, and never another
    /// password's.
    #[test]
    fn damaged_hashes_match_no_other_password(
        which in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), insert in r"[$=,0-9a-zA-Z/+.ä]{0,2}", cut in 0usize..3,
    ) {
        let [hash, _] = which.get(&HASHES);
        let at = at.index(hash.len());
        let damaged = format!("{}{insert}{}", &hash[..at], &hash[(at + cut).min(hash.len())..]);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let verdict = runtime.block_on(verify(&quick("scrypt:ln=4,r=8,p=1"), UNICODE, &damaged));
        prop_assert_eq!(verdict, Verification::Mismatch);
    }
}
