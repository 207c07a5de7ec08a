//! Whole ceremonies with an authenticator of other people's making.

use futures::executor::block_on;
use identsphere_factors::passkey::{
    Algorithm, Challenge, CredentialDescriptor, CredentialId, PasskeyError, UserHandle, UserVerification,
};
use identsphere_kernel::{OsRandom, SystemClock, UserId};
use identsphere_testkit::SoftAuthenticator;
use serde_json::{Value, json};

use crate::scene::{ORIGIN, Registration, Scene, TIMEOUT, party, text};

#[test]
fn a_passkey_is_made_and_used_with_and_without_a_name() {
    let scene = Scene::with(SoftAuthenticator::new());
    assert_eq!(scene.passkey.public_key.algorithm(), Algorithm::Es256);
    assert!(scene.passkey.backup_eligible && scene.passkey.backed_up);
    assert_eq!(scene.passkey.label.as_str(), "Passkey");
    for sign_in in [scene.sign_in(), scene.discoverable_sign_in()] {
        let assertion = sign_in.verify().unwrap();
        assert!(assertion.user_verified);
        assert_eq!(assertion.sign_count, 0);
    }
}

#[test]
fn an_authenticator_may_sign_with_ed25519() {
    let authenticator = SoftAuthenticator::new();
    let (handle, challenge) = (UserHandle::generate(&OsRandom), Challenge::generate(&OsRandom));
    let owner = identsphere_factors::passkey::NewOwner { handle: &handle, name: "a", display_name: "A" };
    let options = party().creation_options(owner, challenge, &[], TIMEOUT);
    let mut options = json!({"publicKey": options});
    options["publicKey"]["pubKeyCredParams"] = json!([{"type": "public-key", "alg": -8}]);
    let answer = block_on(authenticator.register(&options, ORIGIN)).unwrap();
    let credential =
        Registration { challenge, required: UserVerification::Required, answer }.verify().unwrap();
    assert_eq!(credential.public_key.algorithm(), Algorithm::EdDsa);
    let user = UserId::new(&SystemClock, &OsRandom);
    let scene = Scene { authenticator, user, handle, passkey: crate::scene::kept(credential, user) };
    assert!(scene.sign_in().verify().is_ok());
}

#[test]
fn whoever_was_only_present_is_not_verified() {
    let scene = Scene::with(SoftAuthenticator::new().without_user_verification());
    let mut sign_in = scene.sign_in();
    assert!(!sign_in.verify().unwrap().user_verified);
    sign_in.required = UserVerification::Required;
    assert_eq!(sign_in.verify(), Err(PasskeyError::NotVerified));
}

#[test]
fn a_counter_that_is_kept_rises_or_betrays_a_copy() {
    let mut scene = Scene::with(SoftAuthenticator::new().counting());
    for expected in 1..=3 {
        let assertion = scene.sign_in().verify().unwrap();
        assert_eq!(assertion.sign_count, expected);
        scene.passkey.sign_count = assertion.sign_count;
    }
    let replayed = scene.sign_in();
    scene.passkey.sign_count = 4;
    let again = crate::scene::SignIn { scene: scene.clone(), ..replayed };
    assert_eq!(again.verify(), Err(PasskeyError::Counter { stored: 4, presented: 4 }));
    scene.authenticator.set_counters(1);
    assert_eq!(scene.sign_in().verify(), Err(PasskeyError::Counter { stored: 4, presented: 2 }));
}

#[test]
fn an_authenticator_with_a_passkey_of_the_user_makes_no_second_one() {
    let scene = Scene::with(SoftAuthenticator::new());
    let owner =
        identsphere_factors::passkey::NewOwner { handle: &scene.handle, name: "a", display_name: "A" };
    let existing = [scene.passkey.clone()];
    let options = party().creation_options(owner, Challenge::generate(&OsRandom), &existing, TIMEOUT);
    assert!(block_on(scene.authenticator.register(&json!({"publicKey": options}), ORIGIN)).is_err());
}

#[test]
fn a_page_of_another_site_gets_nothing_from_the_browser() {
    let scene = Scene::with(SoftAuthenticator::new());
    let options = party().request_options(
        Challenge::generate(&OsRandom),
        vec![CredentialDescriptor::from(&scene.passkey)],
        UserVerification::Preferred,
        TIMEOUT,
    );
    for origin in ["https://evil.test", "https://example.org.evil.test", "http://login.example.org"] {
        assert!(
            block_on(scene.authenticator.assert(&json!({"publicKey": options}), origin)).is_err(),
            "{origin}"
        );
    }
}

#[test]
fn a_page_of_our_domain_that_is_not_listed_is_refused_by_us() {
    let scene = Scene::with(SoftAuthenticator::new());
    let genuine = scene.sign_in();
    let options = party().request_options(genuine.challenge, vec![], UserVerification::Preferred, TIMEOUT);
    let options = json!({"publicKey": options});
    let mut sign_in = genuine.clone();
    sign_in.answer = block_on(scene.authenticator.assert(&options, "https://blog.example.org")).unwrap();
    assert_eq!(sign_in.verify(), Err(PasskeyError::Origin));
}

#[test]
fn an_answer_is_good_for_its_own_challenge_and_kind_of_ceremony() {
    let scene = Scene::with(SoftAuthenticator::new());
    let mut sign_in = scene.sign_in();
    sign_in.challenge = Challenge::generate(&OsRandom);
    assert_eq!(sign_in.verify(), Err(PasskeyError::Challenge));
    let mut registration = Registration::by(&SoftAuthenticator::new(), &scene.handle, &[]);
    let genuine = scene.sign_in();
    registration.challenge = genuine.challenge;
    registration.answer["response"]["clientDataJSON"] = genuine.answer["response"]["clientDataJSON"].clone();
    assert_eq!(registration.verify(), Err(PasskeyError::Type));
}

#[test]
fn a_passkey_signs_its_owner_in_and_nobody_else() {
    let (ann, bob) = (Scene::with(SoftAuthenticator::new()), Scene::with(SoftAuthenticator::new()));
    let mut stolen = bob.sign_in();
    stolen.user = Some(ann.user);
    assert_eq!(stolen.verify(), Err(PasskeyError::Owner), "bob's passkey in ann's ceremony");
    let mut listed = bob.sign_in();
    listed.allowed = vec![ann.passkey.credential_id.clone()];
    assert_eq!(listed.verify(), Err(PasskeyError::NotAllowed), "a passkey that was not asked for");
    let mut looked_up = ann.discoverable_sign_in();
    looked_up.scene.passkey = bob.passkey.clone();
    assert_eq!(looked_up.verify(), Err(PasskeyError::CredentialId), "the record of another passkey");
    let mut swapped = ann.discoverable_sign_in();
    swapped.answer["response"]["userHandle"] = text(bob.handle.as_bytes());
    assert_eq!(swapped.verify(), Err(PasskeyError::Owner), "bob's handle with ann's passkey");
    let mut nameless = ann.discoverable_sign_in();
    nameless.answer["response"]["userHandle"] = Value::Null;
    assert_eq!(nameless.verify(), Err(PasskeyError::Owner), "no handle where it is the only name");
    let mut known = ann.sign_in();
    known.answer["response"]["userHandle"] = Value::Null;
    assert!(known.verify().is_ok(), "no handle where the user is known");
    let mut empty = ann.sign_in();
    empty.answer["response"]["userHandle"] = json!("");
    assert_eq!(empty.verify(), Err(PasskeyError::Owner), "an empty handle");
    let mut renamed = ann.sign_in();
    renamed.scene.passkey.credential_id = CredentialId::parse(&[1; 16]).unwrap();
    assert_eq!(renamed.verify(), Err(PasskeyError::CredentialId));
}

#[test]
fn what_browsers_may_add_to_an_answer_does_no_harm() {
    let scene = Scene::with(SoftAuthenticator::new());
    let mut sign_in = scene.sign_in();
    sign_in.answer["authenticatorAttachment"] = json!("cross-platform");
    sign_in.answer["clientExtensionResults"] = json!({"appid": false, "prf": {"results": {}}});
    sign_in.answer["response"]["attestationObject"] = Value::Null;
    sign_in.answer["somethingNew"] = json!([1, {"a": 2}]);
    assert!(sign_in.verify().is_ok());
    let mut registration = Registration::by(&SoftAuthenticator::new(), &scene.handle, &[]);
    registration.answer["response"]["transports"] = json!(["smart-card", "internal", "x y", "internal"]);
    for member in ["publicKeyAlgorithm", "authenticatorData", "publicKey"] {
        registration.answer["response"].as_object_mut().unwrap().remove(member);
    }
    assert_eq!(registration.verify().unwrap().transports.as_slice(), ["smart-card", "internal"]);
}
