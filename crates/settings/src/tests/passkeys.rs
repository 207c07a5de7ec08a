//! Settings of passkeys, together with those they follow from.

use super::{Machine, machine, shown};
use crate::Source;

/// A machine whose base URL, id and origins of passkeys are these; an empty text is not set.
fn with_passkeys(base: &str, id: &str, origins: &str) -> Machine {
    machine()
        .env("IDENTSPHERE_PUBLIC_BASE_URL", base)
        .env("IDENTSPHERE_RP_ID", id)
        .env("IDENTSPHERE_RP_ORIGIN", origins)
}

#[test]
fn passkeys_follow_the_base_url_and_the_name_of_the_service() {
    for (base, id) in [
        ("https://auth.example.com", "auth.example.com"),
        ("http://localhost:4000", "localhost"),
        ("http://127.0.0.1:4000", "localhost"),
        ("https://[2001:db8::1]", "localhost"),
        ("https://my_host", "localhost"),
    ] {
        let loaded = with_passkeys(base, "", "").env("IDENTSPHERE_APP_NAME", "Example").loaded();
        assert_eq!(shown(&loaded, "rp_id"), (Some(id.to_owned()), Source::Derived));
        assert_eq!(shown(&loaded, "rp_origin"), (Some(base.to_owned()), Source::Derived));
        assert_eq!(shown(&loaded, "rp_name"), (Some("Example".to_owned()), Source::Derived));
        let passkeys = loaded.settings.passkeys;
        assert_eq!((passkeys.rp_id.as_str(), passkeys.name.as_str()), (id, "Example"));
        assert_eq!(passkeys.origins.len(), 1);
        assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
        assert!(with_passkeys(base, id, "").load().is_ok(), "what is derived may be said");
    }
    let named = machine().env("IDENTSPHERE_RP_NAME", "Example sign-in").loaded();
    assert_eq!(named.settings.passkeys.name, "Example sign-in");
}

#[test]
fn passkeys_are_bound_to_a_host_that_their_pages_are_on() {
    let base = "https://auth.example.com";
    assert!(with_passkeys(base, "example.com", "").load().is_ok());
    for other in ["www.auth.example.com", "th.example.com", "example.org", "com", "localhost"] {
        let fault = with_passkeys(base, other, "").fault();
        assert!(fault.starts_with(&format!("IDENTSPHERE_RP_ID = \"{other}\": must be the host")), "{fault}");
        assert!(fault.ends_with("try `auth.example.com`"), "{fault}");
    }
    let unbound = with_passkeys(base, "", "https://app.example.com").fault();
    assert!(unbound.starts_with("IDENTSPHERE_RP_ID: must be the host"), "{unbound}");
    assert!(unbound.ends_with("try `app.example.com`"), "{unbound}");
    assert!(with_passkeys(base, "com", "https://app.example.com").load().is_err());
    assert!(with_passkeys("https://192.0.2.1", "example.com", "").fault().ends_with("try `localhost`"));
    let local = with_passkeys("http://localhost:4000", "localhost", "http://localhost,http://a.localhost");
    assert_eq!(local.loaded().warnings.len(), 1);
}

#[test]
fn pages_elsewhere_and_apps_use_passkeys_when_they_are_named() {
    let base = "https://auth.example.com";
    let app = "android:apk-key-hash:pNiP5iKyQ8JwgGOaKA1zGPUPJIS-0H1xKCQcfIoGLck";
    let origins = format!("{base}/, https://app.example.com ,{app},ios:bundle-id:com.example");
    let loaded = with_passkeys(base, "example.com", &origins).loaded();
    let read: Vec<_> = loaded.settings.passkeys.origins.iter().map(ToString::to_string).collect();
    assert_eq!(read, [base, "https://app.example.com", app, "ios:bundle-id:com.example"]);
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
    assert!(with_passkeys(base, "", app).load().is_ok());

    for (id, origins) in
        [("example.com", "https://example.org"), ("", "https://auth.example.com,https://example.org")]
    {
        let warnings = with_passkeys(base, id, origins).loaded().warnings;
        let [warning] = warnings.as_slice() else { panic!("{warnings:?}") };
        assert!(warning.contains("pages of https://example.org use passkeys of"), "{warning}");
        assert!(warning.contains("example.com/.well-known/webauthn"), "{warning}");
    }
}

#[test]
fn browsers_have_passkeys_where_nobody_listens_in() {
    let plain =
        || with_passkeys("https://example.com", "", "https://example.com,http://app.example.com:8080");
    assert!(plain().fault().ends_with("try `https://example.com,https://app.example.com`"));
    assert!(plain().env("IDENTSPHERE_ALLOW_INSECURE_COOKIES", "on").load().is_ok());
    assert!(with_passkeys("https://example.com", "localhost", "http://localhost:3000").load().is_ok());
    let address = with_passkeys("http://127.0.0.1:4000", "", "http://127.0.0.1:4000").fault();
    assert!(address.ends_with("try `http://localhost:4000`"), "{address}");
}

#[test]
fn one_wrong_setting_of_passkeys_is_one_fault() {
    for (base, id, origins) in [
        ("https://example.com/auth", "example.com", ""),
        ("https://example.com", "https://example.com", "https://app.example.com"),
        ("https://auth.example.com", "example.org", "https://example.org/login"),
    ] {
        with_passkeys(base, id, origins).fault();
    }
    let step_up = machine().env("IDENTSPHERE_STEP_UP_TTL_SECS", "30").fault();
    assert!(step_up.ends_with("try `60`"), "{step_up}");
}
