//! How often each use case crosses the network to PostgreSQL, counted on the wire.
//!
//! A use case is counted the second time, when its statements are prepared. Tests run on one thread ([`Proxy`]).

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Instant;

use identsphere_blob::{ObjectBlobs, PictureWorkshop};
use identsphere_core::{
    ChallengeAnswer, ChangeEnds, ChangePassword, EmailCode, EndScope, Error, IdentSphere, Language, Login,
    NewPasskey, Policy, Ports, Principal, RateLimits, Register, ResetPassword, ShownFactor, SignIn, SignedIn,
    UpdateProfile, Visitor,
};
use identsphere_crypto::{
    HashScheme, MasterKey, PasskeySignatures, PasswordPool, PoolConfig, RsaSize, RsaVault,
};
use identsphere_e2e::{Authenticator, PASSWORD, PERIOD};
use identsphere_factors::passkey::{RelyingParty, RequestOptions};
use identsphere_factors::totp::TimeStep;
use identsphere_kernel::{Clock, Duration, OsRandom, SecretString, SystemClock};
use identsphere_organizations::RbacConfig;
use identsphere_sessions::ClientInfo;
use identsphere_store_postgres::{PgConfig, PgStore, SchemaName};
use identsphere_testkit::{Mailbox, ManualClock, Proxy, SoftAuthenticator, fresh_schema_name};
use identsphere_tokens::KeyPolicy;
use serde_json::json;

const OTHER_PASSWORD: &str = "staple battery horse";
const ORIGIN: &str = "https://id.example.com";
const DAY: Duration = Duration::from_secs(86_400);

/// A service whose store is behind a proxy.
struct Scene {
    service: IdentSphere,
    proxy: Proxy,
    mailbox: Arc<Mailbox>,
    clock: Arc<ManualClock>,
    client: ClientInfo,
}

impl Scene {
    async fn new() -> Self {
        let proxy = Proxy::start();
        let mut config = PgConfig::new(SecretString::new(proxy.url()));
        config.schema = SchemaName::parse(&fresh_schema_name()).unwrap();
        config.pool_size = 1;
        let mailbox = Arc::new(Mailbox::default());
        let clock = Arc::new(ManualClock::at(SystemClock.now()));
        let service = service(PgStore::open(&config).unwrap(), mailbox.clone(), clock.clone());
        service.store().migrate_up().await.unwrap();
        service.prepare().await.unwrap();
        Self { service, proxy, mailbox, clock, client: ClientInfo::default() }
    }

    fn visitor(&self) -> Visitor<'_> {
        Visitor::without_cookies(&self.client, Language::En)
    }

    async fn register(&self, email: &str) -> SignedIn {
        let input = Register {
            email,
            password: PASSWORD,
            organization_name: email,
            organization_slug: None,
            display_name: None,
        };
        self.service.register(input, &self.visitor()).await.unwrap()
    }

    async fn login(&self, email: &str) -> SignedIn {
        let answer = self.service.login(Login { email, password: PASSWORD }, &self.visitor()).await.unwrap();
        let SignIn::Done(signed_in) = answer else { panic!("a second factor is asked for") };
        *signed_in
    }

    /// A sign-in up to the question for the second factor: the token to answer it with.
    async fn ask(&self, email: &str) -> String {
        let answer = self.service.login(Login { email, password: PASSWORD }, &self.visitor()).await.unwrap();
        let SignIn::SecondFactorDue(due) = answer else { panic!("no second factor is asked for") };
        due.token.expose().to_owned()
    }

    /// A code that was not used yet.
    fn next_code(&self, authenticator: &Authenticator) -> String {
        self.clock.advance(PERIOD);
        authenticator.code_of(TimeStep::at(self.clock.now()).unwrap())
    }

    async fn authenticate(&self, signed_in: &SignedIn) -> Arc<Principal> {
        let claims = self.service.verify_access_token(signed_in.access_token.expose()).unwrap();
        self.service.authenticate(&claims).await.unwrap()
    }

    /// The code, or the token of the link, in the newest mail of a kind.
    async fn mailed(&self, email: &str, kind: &str) -> String {
        while self.service.work_outbox().await.unwrap() > 0 {}
        self.mailbox.secret(email, kind).unwrap()
    }
}

/// How many round trips `$call` takes once its statements are prepared.
macro_rules! round_trips {
    ($scene:ident, $call:expr) => {{
        $call;
        $scene.proxy.round_trips();
        $call;
        $scene.proxy.round_trips()
    }};
}

#[tokio::test]
async fn signing_up_is_one_look_at_the_limits_and_one_write() {
    let scene = Scene::new().await;
    let mut emails = ["a@example.com", "b@example.com"].into_iter();
    assert_eq!(round_trips!(scene, scene.register(emails.next().unwrap()).await), 2);
}

#[tokio::test]
async fn signing_in_is_two_reads_and_one_write() {
    let scene = Scene::new().await;
    scene.register("a@example.com").await;
    assert_eq!(round_trips!(scene, scene.login("a@example.com").await), 3);
}

/// AU-02: whoever has the address, a sign-in is refused with as many statements, the note of it among them.
#[tokio::test]
async fn a_sign_in_is_refused_alike_to_everybody() {
    let scene = Scene::new().await;
    let visitor = scene.visitor();
    scene.register("a@example.com").await;
    let guarded = scene.authenticate(&scene.register("b@example.com").await).await;
    let setup = scene.service.set_up_mfa(&guarded).await.unwrap();
    let code = scene.next_code(&Authenticator::with(setup.secret.expose()));
    scene.service.enable_mfa(&guarded, &code, &visitor).await.unwrap();
    for email in ["a@example.com", "b@example.com", "nobody@example.com"] {
        let by_password = round_trips!(scene, {
            let refused = scene.service.login(Login { email, password: OTHER_PASSWORD }, &visitor).await;
            assert!(matches!(refused, Err(Error::InvalidCredentials)), "{refused:?}");
        });
        let by_code = round_trips!(scene, {
            let refused =
                scene.service.sign_in_with_code(EmailCode { email, code: "000000" }, &visitor).await;
            assert!(matches!(refused, Err(Error::AuthenticationRequired)), "{refused:?}");
        });
        // Limits, account, note; limits, account, attempt, note.
        assert_eq!((by_password, by_code), (3, 4), "{email}");
    }
}

#[tokio::test]
async fn a_refresh_is_one_round_trip() {
    let scene = Scene::new().await;
    let mut token = scene.register("a@example.com").await.refresh_token;
    let trips = round_trips!(scene, {
        token = scene.service.refresh(token.expose(), &scene.client).await.unwrap().refresh_token;
    });
    assert_eq!(trips, 1);
}

#[tokio::test]
async fn a_session_is_read_when_it_is_first_seen_and_not_again_at_once() {
    let scene = Scene::new().await;
    let first = scene.register("a@example.com").await;
    scene.authenticate(&first).await;
    for _ in 0..20 {
        let another = scene.login("a@example.com").await;
        scene.proxy.round_trips();
        let asked = Instant::now();
        scene.authenticate(&another).await;
        assert_eq!(scene.proxy.round_trips(), 1);
        scene.authenticate(&another).await;
        // On a busy machine the half second that it is remembered for may be over by now.
        if asked.elapsed() < Duration::from_millis(500) {
            assert_eq!(scene.proxy.round_trips(), 0);
            return;
        }
    }
    panic!("two questions were never within half a second");
}

#[tokio::test]
async fn the_list_of_sessions_is_one_round_trip() {
    let scene = Scene::new().await;
    let signed_in = scene.register("a@example.com").await;
    let who = scene.authenticate(&signed_in).await;
    assert_eq!(round_trips!(scene, scene.service.list_sessions(&who).await.unwrap()), 1);
}

#[tokio::test]
async fn ending_sessions_is_a_question_and_a_commit() {
    let scene = Scene::new().await;
    scene.register("a@example.com").await;
    let mut who = scene.authenticate(&scene.login("a@example.com").await).await;
    let mut trips = vec![];
    for _ in 0..2 {
        scene.proxy.round_trips();
        scene.service.end_session(&who, who.session.id, &scene.client).await.unwrap();
        trips.push(scene.proxy.round_trips());
        who = scene.authenticate(&scene.login("a@example.com").await).await;
        scene.proxy.round_trips();
        scene.service.end_sessions(&who, EndScope::All, &scene.client).await.unwrap();
        trips.push(scene.proxy.round_trips());
        who = scene.authenticate(&scene.login("a@example.com").await).await;
    }
    assert_eq!(trips[2..], [2, 2]);
}

#[tokio::test]
async fn signing_out_also_reads_who_it_is() {
    let scene = Scene::new().await;
    scene.register("a@example.com").await;
    let mut trips = 0;
    for _ in 0..2 {
        let signed_in = scene.login("a@example.com").await;
        scene.proxy.round_trips();
        let refresh_token = Some(signed_in.refresh_token.expose());
        scene.service.logout(None, refresh_token, &scene.client).await.unwrap();
        trips = scene.proxy.round_trips();
    }
    assert_eq!(trips, 3);
}

#[tokio::test]
async fn asking_for_mail_is_one_look_at_the_limits_and_one_write() {
    let scene = Scene::new().await;
    scene.register("a@example.com").await;
    let visitor = scene.visitor();
    for email in ["a@example.com", "nobody@example.com"] {
        let code = round_trips!(scene, scene.service.request_code(email, &visitor).await.unwrap());
        let reset = round_trips!(scene, scene.service.forgot_password(email, &visitor).await.unwrap());
        assert_eq!((code, reset), (2, 2), "{email}");
    }
}

#[tokio::test]
async fn what_a_mail_allows_is_redeemed_in_a_few_round_trips() {
    let scene = Scene::new().await;
    let visitor = scene.visitor();
    let mut trips = [0; 3];
    for email in ["a@example.com", "b@example.com"] {
        scene.register(email).await;
        let token = scene.mailed(email, "verify_email").await;
        scene.proxy.round_trips();
        scene.service.verify_email(&token, &visitor).await.unwrap();
        trips[0] = scene.proxy.round_trips();

        scene.service.request_code(email, &visitor).await.unwrap();
        let code = scene.mailed(email, "sign_in_code").await;
        scene.proxy.round_trips();
        scene.service.sign_in_with_code(EmailCode { email, code: &code }, &visitor).await.unwrap();
        trips[1] = scene.proxy.round_trips();

        scene.service.forgot_password(email, &visitor).await.unwrap();
        let token = scene.mailed(email, "reset_password").await;
        scene.proxy.round_trips();
        let input = ResetPassword { token: &token, new_password: OTHER_PASSWORD };
        scene.service.reset_password(input, &visitor).await.unwrap();
        trips[2] = scene.proxy.round_trips();
    }
    // Limits, token, proof, write; limits, account, challenge, code, proof, write; limits, link, account, token, proof,
    // password, write.
    assert_eq!(trips, [4, 6, 7]);
}

#[tokio::test]
async fn the_own_account_is_read_and_changed_in_a_few_round_trips() {
    let scene = Scene::new().await;
    let visitor = scene.visitor();
    let who = scene.authenticate(&scene.register("a@example.com").await).await;
    let read = round_trips!(scene, scene.service.profile(&who).await.unwrap());
    let update = round_trips!(scene, {
        let input = UpdateProfile { bio: Some("Programs"), ..UpdateProfile::default() };
        scene.service.update_profile(&who, input, &scene.client).await.unwrap()
    });
    let mut passwords = [PASSWORD, OTHER_PASSWORD, PASSWORD].windows(2);
    let password = round_trips!(scene, {
        let [current_password, new_password] = passwords.next().unwrap() else { unreachable!() };
        let input = ChangePassword { current_password, new_password, end: ChangeEnds::OtherSessions };
        scene.service.change_password(&who, input, &visitor).await.unwrap()
    });
    // Change, write, read; limits, hash, change, sessions, write.
    assert_eq!((read, update, password), (1, 3, 5));
}

#[tokio::test]
async fn a_second_factor_is_set_up_and_removed_in_a_few_round_trips() {
    let scene = Scene::new().await;
    let visitor = scene.visitor();
    let mut trips = [0; 4];
    for email in ["a@example.com", "b@example.com"] {
        let who = scene.authenticate(&scene.register(email).await).await;
        scene.proxy.round_trips();
        let setup = scene.service.set_up_mfa(&who).await.unwrap();
        trips[0] = scene.proxy.round_trips();
        let code = scene.next_code(&Authenticator::with(setup.secret.expose()));
        scene.service.enable_mfa(&who, &code, &visitor).await.unwrap();
        trips[1] = scene.proxy.round_trips();
        scene.service.replace_recovery_codes(&who, PASSWORD, &visitor).await.unwrap();
        trips[2] = scene.proxy.round_trips();
        scene.service.disable_mfa(&who, PASSWORD, &visitor).await.unwrap();
        trips[3] = scene.proxy.round_trips();
    }
    // Secret, commit; limits, secret, confirmation, codes, step-up, write; limits, hash, codes, write; limits, hash, removal,
    // sessions, write.
    assert_eq!(trips, [2, 6, 4, 5]);
}

#[tokio::test]
async fn a_second_factor_is_asked_for_and_shown_in_a_few_round_trips() {
    let scene = Scene::new().await;
    let (visitor, email) = (scene.visitor(), "a@example.com");
    let who = scene.authenticate(&scene.register(email).await).await;
    let setup = scene.service.set_up_mfa(&who).await.unwrap();
    let authenticator = Authenticator::with(setup.secret.expose());
    let codes = scene.service.enable_mfa(&who, &scene.next_code(&authenticator), &visitor).await.unwrap();
    let mut codes = codes.iter();

    let ask = round_trips!(scene, scene.ask(email).await);
    let (mut by_code, mut by_paper, mut step_up) = (0, 0, 0);
    for _ in 0..2 {
        let (token, code) = (scene.ask(email).await, scene.next_code(&authenticator));
        let answer = ChallengeAnswer { mfa_token: &token, shown: ShownFactor::Code(&code) };
        scene.proxy.round_trips();
        let signed_in = scene.service.answer_challenge(answer, &visitor).await.unwrap();
        by_code = scene.proxy.round_trips();

        let who = scene.authenticate(&signed_in).await;
        let code = scene.next_code(&authenticator);
        scene.proxy.round_trips();
        scene.service.step_up(&who, &code, &visitor).await.unwrap();
        step_up = scene.proxy.round_trips();

        let token = scene.ask(email).await;
        let shown = ShownFactor::RecoveryCode(codes.next().unwrap().expose());
        scene.proxy.round_trips();
        let answer = ChallengeAnswer { mfa_token: &token, shown };
        scene.service.answer_challenge(answer, &visitor).await.unwrap();
        by_paper = scene.proxy.round_trips();
    }
    // Limits, account, write; limits of the address, attempt, limits of the user, account, secret, step, token, write; all but
    // the secret; limits, secret, step, step-up, write.
    assert_eq!((ask, by_code, by_paper, step_up), (3, 8, 7, 5));
}

#[tokio::test]
async fn a_trusted_browser_signs_in_in_a_few_round_trips() {
    let scene = Scene::new().await;
    let email = "a@example.com";
    let signed_in = scene.register(email).await;
    let who = scene.authenticate(&signed_in).await;
    let setup = scene.service.set_up_mfa(&who).await.unwrap();
    let code = scene.next_code(&Authenticator::with(setup.secret.expose()));
    scene.service.enable_mfa(&who, &code, &scene.visitor()).await.unwrap();
    let who = scene.authenticate(&signed_in).await;
    let trust = round_trips!(scene, scene.service.trust_browser(&who, None, &scene.client).await.unwrap());
    let mut token = scene.service.trust_browser(&who, None, &scene.client).await.unwrap().token;
    let mut login = 0;
    for _ in 0..2 {
        let visitor = Visitor { trust_token: Some(token.token.expose()), ..scene.visitor() };
        scene.proxy.round_trips();
        let answer = scene.service.login(Login { email, password: PASSWORD }, &visitor).await.unwrap();
        login = scene.proxy.round_trips();
        let SignIn::Done(signed_in) = answer else { panic!("a second factor is asked for") };
        token = signed_in.trust.unwrap();
    }
    // Write; limits, account, browser, its next token, write.
    assert_eq!((trust, login), (1, 5));
}

/// A passkey of this principal's user, and how many round trips beginning and keeping it took.
async fn add_passkey(scene: &Scene, who: &Principal, authenticator: &SoftAuthenticator) -> (usize, usize) {
    let visitor = scene.visitor();
    scene.proxy.round_trips();
    let options = json!({ "publicKey": scene.service.begin_passkey(who, &visitor).await.unwrap() });
    let begin = scene.proxy.round_trips();
    let credential = authenticator.register(&options, ORIGIN).await.unwrap().to_string();
    let input = NewPasskey { credential: credential.as_bytes(), label: None };
    scene.service.add_passkey(who, input, &visitor).await.unwrap();
    (begin, scene.proxy.round_trips())
}

/// What an authenticator says to request options.
async fn used(authenticator: &SoftAuthenticator, options: RequestOptions) -> Vec<u8> {
    authenticator.assert(&json!({ "publicKey": options }), ORIGIN).await.unwrap().to_string().into_bytes()
}

#[tokio::test]
async fn a_passkey_is_made_and_removed_in_a_few_round_trips() {
    let scene = Scene::new().await;
    let visitor = scene.visitor();
    let who = scene.authenticate(&scene.register("a@example.com").await).await;
    let (mut trips, mut remove) = ((0, 0), 0);
    for _ in 0..2 {
        trips = add_passkey(&scene, &who, &SoftAuthenticator::new()).await;
        let id = scene.service.list_passkeys(&who).await.unwrap()[0].id;
        scene.proxy.round_trips();
        scene.service.remove_passkey(&who, id, &visitor).await.unwrap();
        remove = scene.proxy.round_trips();
    }
    // Limits, those there are, handle, ceremony; ceremony, count, passkey, write; those there are, passkey, sessions, write.
    assert_eq!((trips, remove), ((4, 4), 4));
}

/// WN-12: whoever has the address, a sign-in begins with as many statements.
#[tokio::test]
async fn a_sign_in_with_a_passkey_begins_alike_for_everybody() {
    let scene = Scene::new().await;
    let visitor = scene.visitor();
    let who = scene.authenticate(&scene.register("a@example.com").await).await;
    add_passkey(&scene, &who, &SoftAuthenticator::new()).await;
    scene.register("b@example.com").await;
    for email in ["a@example.com", "b@example.com", "nobody@example.com"] {
        let begin = round_trips!(scene, {
            scene.service.begin_passkey_sign_in(Some(email), &visitor).await.unwrap()
        });
        // Limits, account, passkeys, ceremony.
        assert_eq!(begin, 4, "{email}");
    }
    let nameless = round_trips!(scene, scene.service.begin_passkey_sign_in(None, &visitor).await.unwrap());
    assert_eq!(nameless, 2);
}

#[tokio::test]
async fn a_passkey_is_used_in_a_few_round_trips() {
    let scene = Scene::new().await;
    let visitor = scene.visitor();
    let who = scene.authenticate(&scene.register("a@example.com").await).await;
    let authenticator = SoftAuthenticator::new();
    add_passkey(&scene, &who, &authenticator).await;
    let mut trips = [0; 3];
    for _ in 0..2 {
        let options = scene.service.begin_passkey_sign_in(None, &visitor).await.unwrap();
        let credential = used(&authenticator, options).await;
        scene.proxy.round_trips();
        scene.service.sign_in_with_passkey(&credential, &visitor).await.unwrap();
        trips[0] = scene.proxy.round_trips();

        let options = scene.service.begin_passkey_step_up(&who, &visitor).await.unwrap();
        trips[1] = scene.proxy.round_trips();
        let credential = used(&authenticator, options).await;
        scene.service.step_up_with_passkey(&who, &credential, &visitor).await.unwrap();
        trips[2] = scene.proxy.round_trips();
    }
    // Limits, ceremony, passkey, use, write; limits, passkeys, ceremony; ceremony, passkey, use, session, write.
    assert_eq!(trips, [5, 3, 5]);
}

fn service(store: PgStore, mailbox: Arc<Mailbox>, clock: Arc<ManualClock>) -> IdentSphere {
    let master = MasterKey::generate(&OsRandom);
    let scheme = HashScheme::below_floor_for_tests("scrypt:ln=4,r=8,p=1").unwrap();
    let pool = PoolConfig { scheme, memory_mib: 64, queue_wait: Duration::from_secs(30), threads: 1 };
    let ports = Ports {
        store: Arc::new(store),
        hasher: Arc::new(PasswordPool::start(pool, Arc::new(OsRandom)).unwrap()),
        vault: Arc::new(RsaVault::new(RsaSize::Bits2048, &master, Arc::new(OsRandom))),
        clock,
        random: Arc::new(OsRandom),
        blobs: Arc::new(ObjectBlobs::memory()),
        signatures: Arc::new(PasskeySignatures),
        pictures: Arc::new(PictureWorkshop::new(NonZeroUsize::MIN)),
        secrets: master.secrets(),
        mailer: mailbox,
    };
    let policy = Policy {
        issuer: ORIGIN.to_owned(),
        audience: None,
        access_ttl: Duration::from_secs(900),
        session_ttl: DAY * 30,
        refresh_grace: Duration::from_secs(10),
        keys: KeyPolicy {
            rotation_interval: DAY * 90,
            publish_ahead: DAY,
            keep_retired: Policy::MAX_ACCESS_TTL,
        },
        limits: Some(RateLimits::standard()),
        frontend_url: ORIGIN.to_owned(),
        step_up_ttl: Duration::from_secs(1_800),
        relying_party: RelyingParty::new("id.example.com", "IdentSphere", vec![ORIGIN.to_owned()]).unwrap(),
        rbac: RbacConfig::default_matrix(),
    };
    IdentSphere::new(ports, policy)
}
