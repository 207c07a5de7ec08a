//! Valid records on demand: typical ones, and for each kind a collection of extremes that a store must return unchanged.

use std::net::IpAddr;
use std::sync::Arc;

use identsphere_accounts::{
    Bio, DisplayName, Edit, JobTitle, PasswordHash, PhoneNumber, Preferences, ProfileChange, Standing, User,
    UserStatus,
};
use identsphere_audit::{Actor, AuditAction, AuditEvent, AuditStatus};
use identsphere_core::{RefreshRotation, Store, Tx};
use identsphere_kernel::{
    AuditEventId, Clock, Duration, Email, OrganizationId, PasskeyId, SecureRandom, SessionId, StoreError,
    Timestamp, TokenHash, UserId,
};
use identsphere_organizations::{Membership, Organization, OrganizationName, Role, Slug};
use identsphere_sessions::{
    AssuranceLevel, AuthMethod, ClientInfo, Leaf, PendingSignIn, SecondFactor, Session,
};
use identsphere_tokens::{PublicKey, SealedKey, SigningKey, thumbprint};
use serde_json::{Map, Value, json};

use crate::{ManualClock, SeededRandom};

/// How long the sessions made here live.
pub const SESSION_LIFETIME: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Where records come from: a clock and a random source, so that every run makes the same ones.
#[derive(Debug, Clone)]
pub struct World {
    /// The present of the records.
    pub clock: Arc<ManualClock>,
    /// What makes each record unlike the others.
    pub random: Arc<SeededRandom>,
}

impl Default for World {
    fn default() -> Self {
        Self::new(Arc::default(), Arc::new(SeededRandom::new(1)))
    }
}

/// Somebody who has signed up: their organisation, their record, their ownership, their password.
#[derive(Debug, Clone)]
pub struct Account {
    /// The organisation that was made for them.
    pub organization: Organization,
    /// Their record.
    pub user: User,
    /// That they own the organisation.
    pub membership: Membership,
    /// What is kept of their password.
    pub password_hash: Option<PasswordHash>,
}

impl Account {
    /// Adds all of it to a transaction.
    ///
    /// # Errors
    /// What the store answers.
    pub async fn insert(&self, tx: &mut dyn Tx) -> Result<(), StoreError> {
        tx.organizations().insert(&self.organization).await?;
        tx.users().insert(&self.user, self.password_hash.as_ref()).await?;
        tx.organizations().insert_membership(&self.membership).await
    }

    /// Writes all of it in a transaction of its own.
    ///
    /// # Errors
    /// What the store answers.
    pub async fn save(&self, store: &dyn Store) -> Result<(), StoreError> {
        let mut tx = store.begin().await?;
        self.insert(tx.as_mut()).await?;
        tx.commit().await
    }
}

/// Writes a session in a transaction of its own, whatever became of its user.
///
/// # Errors
/// What the store answers.
pub async fn save_session(store: &dyn Store, session: &Session) -> Result<(), StoreError> {
    let standing = standing(store, session.user).await?;
    let mut tx = store.begin().await?;
    tx.sign_ins().begin_session(session, &standing).await?;
    tx.commit().await
}

/// Writes a sign-in that waits in a transaction of its own, whatever became of its user.
///
/// # Errors
/// What the store answers.
pub async fn save_pending(store: &dyn Store, pending: &PendingSignIn) -> Result<(), StoreError> {
    let standing = standing(store, pending.user).await?;
    let mut tx = store.begin().await?;
    tx.sign_ins().put_pending(pending, &standing).await?;
    tx.commit().await
}

/// The standing of a user now.
async fn standing(store: &dyn Store, user: UserId) -> Result<Standing, StoreError> {
    let record = store.find_sign_in_of(user).await?.ok_or(StoreError::Overtaken)?;
    Ok(Standing::of(&record.user))
}

/// Typical records. Each call makes another one.
impl World {
    /// A world with this clock and this random source.
    pub fn new(clock: Arc<ManualClock>, random: Arc<SeededRandom>) -> Self {
        Self { clock, random }
    }

    /// The present.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Random bytes.
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let random: &dyn SecureRandom = &*self.random;
        random.bytes()
    }

    /// A token's hash.
    pub fn token_hash(&self) -> TokenHash {
        TokenHash::from_bytes(self.bytes())
    }

    /// What is kept of a password.
    pub fn password_hash(&self) -> PasswordHash {
        PasswordHash::new(format!("$scrypt$ln=15,r=8,p=3${}${}", self.tag(), self.tag()))
    }

    /// An organisation.
    pub fn organization(&self) -> Organization {
        self.organization_named("Analytical Engines", &format!("analytical-{}", self.tag()))
    }

    /// An active user at home in `home`, who is not yet a member of it.
    pub fn user(&self, home: &Organization) -> User {
        User {
            id: UserId::new(&*self.clock, &*self.random),
            email: email(&format!("Ada.{}@Example.com", self.tag())),
            email_verified: false,
            last_password_change: Some(self.now()),
            home_organization: home.id,
            status: UserStatus::Active,
            display_name: Some(display_name("Ada Lovelace")),
            mfa_enabled: false,
            passkey_enabled: false,
            created_at: self.now(),
            updated_at: self.now(),
        }
    }

    /// That `user` belongs to `organization`.
    pub fn membership(&self, user: &User, organization: &Organization, role: Role) -> Membership {
        Membership { user: user.id, organization: organization.id, role, joined_at: self.now() }
    }

    /// Somebody who has just signed up.
    pub fn account(&self) -> Account {
        let organization = self.organization();
        let user = self.user(&organization);
        let membership = self.membership(&user, &organization, Role::OWNER);
        Account { organization, user, membership, password_hash: Some(self.password_hash()) }
    }

    /// A session of `user` in their home organisation that begins now.
    pub fn session(&self, user: &User) -> Session {
        Session {
            id: SessionId::new(&*self.clock, &*self.random),
            user: user.id,
            organization: user.home_organization,
            auth_method: AuthMethod::Password,
            aal: AssuranceLevel::Aal1,
            auth_time: self.now(),
            second_factor: None,
            passkey: None,
            mfa_verified_at: None,
            leaf: Leaf { hash: self.token_hash(), generation: 0, issued_at: self.now() },
            client: ClientInfo::new(
                Some(IpAddr::from([192, 0, 2, 7])),
                Some("Mozilla/5.0 (X11; Linux x86_64)"),
            ),
            created_at: self.now(),
            last_active_at: self.now(),
            expires_at: self.now().plus(SESSION_LIFETIME),
        }
    }

    /// The exchange, now, of the present leaf of `session`, asked for by another client.
    pub fn rotation(&self, session: &Session) -> RefreshRotation {
        RefreshRotation {
            session: session.id,
            presented: session.leaf.hash,
            successor: Leaf {
                hash: self.token_hash(),
                generation: session.leaf.generation + 1,
                issued_at: self.now(),
            },
            client: ClientInfo::new(Some(IpAddr::from([198, 51, 100, 23])), Some("curl/8.11.0")),
        }
    }

    /// A key that replaces `predecessor` and signs at once. Its key material is noise.
    pub fn signing_key(&self, predecessor: Option<&SigningKey>) -> SigningKey {
        let public = PublicKey { n: self.bytes::<256>().to_vec(), e: vec![1, 0, 1] };
        SigningKey {
            kid: thumbprint(&public),
            public,
            private: SealedKey(self.bytes::<1_200>().to_vec()),
            predecessor: predecessor.map(|key| key.kid.clone()),
            created_at: self.now(),
            activates_at: self.now(),
        }
    }

    /// A row of the audit log about `account`.
    pub fn audit_event(&self, action: AuditAction, account: &Account) -> AuditEvent {
        AuditEvent {
            id: AuditEventId::new(&*self.clock, &*self.random),
            created_at: self.now(),
            action,
            status: AuditStatus::Success,
            actor: Actor::User(account.user.id),
            organization: Some(account.organization.id),
            resource_type: "user",
            resource_id: Some(account.user.id.to_string()),
            ip_address: Some(IpAddr::from([192, 0, 2, 7])),
            user_agent: Some("Mozilla/5.0 (X11; Linux x86_64)".to_owned()),
            metadata: Map::new(),
        }
    }

    fn organization_named(&self, name: &str, slug: &str) -> Organization {
        Organization {
            id: OrganizationId::new(&*self.clock, &*self.random),
            name: OrganizationName::from_stored(name.to_owned()),
            slug: Slug::from_stored(slug.to_owned()),
            created_at: self.now(),
            updated_at: self.now(),
        }
    }

    /// Eight characters that no other record has.
    fn tag(&self) -> String {
        format!("{:08x}", u32::from_be_bytes(self.bytes()))
    }
}

/// Extremes: every variant, everything absent, everything at its longest, text of every script, times at both ends.
impl World {
    /// Addresses at the limits of what the parser takes.
    pub fn extreme_emails(&self) -> Vec<Email> {
        let domain = format!("{0}.{0}.{1}.example", "d".repeat(63), "e".repeat(53));
        vec![
            email("a@b.cd"),
            email(&format!("{}{}@{domain}", "L".repeat(56), self.tag())),
            email("Zoe@bücher.example"),
            email("ｆｕｌｌ.ｗｉｄｔｈ@例え.テスト"),
            email("o'reilly+%_$tag{x}|y`z@example.com"),
        ]
    }

    /// Organisations with the shortest, longest and strangest names.
    pub fn extreme_organizations(&self) -> Vec<Organization> {
        let (early, late) = ends_of_time();
        let mut all = vec![
            self.organization_named("x", "0"),
            self.organization_named(&"🏛".repeat(OrganizationName::MAX_CHARS), &"z".repeat(Slug::MAX_CHARS)),
            self.organization_named("  inner   'quotes' \"and\" \\ % _ ; --  ", "-"),
            self.organization_named("東京 — Ünïcödé — עברית — العربية", "tokyo"),
        ];
        for organization in &mut all {
            (organization.created_at, organization.updated_at) = (early, late);
        }
        all
    }

    /// Users of every status, with everything absent and with everything at its longest.
    pub fn extreme_users(&self, home: &Organization) -> Vec<User> {
        let (early, late) = ends_of_time();
        let mut all: Vec<User> = UserStatus::ALL
            .map(|status| User { status, email_verified: true, ..self.user(home) })
            .into_iter()
            .collect();
        all.push(User { mfa_enabled: true, ..self.user(home) });
        all.push(User { passkey_enabled: true, ..self.user(home) });
        all.push(User { display_name: None, last_password_change: None, ..self.user(home) });
        for (index, email) in self.extreme_emails().into_iter().enumerate() {
            let name = if index % 2 == 0 { "👩‍🚀é".repeat(50) } else { "' \" \\ % _".to_owned() };
            all.push(User {
                email,
                email_verified: index % 2 == 0,
                display_name: Some(display_name(&name)),
                last_password_change: Some(early),
                created_at: early,
                updated_at: late,
                ..self.user(home)
            });
        }
        all
    }

    /// Changes of profiles, to be made one after the other: everything at its longest and strangest, one field at a time,
    /// everything away.
    pub fn extreme_profile_changes(&self) -> Vec<ProfileChange> {
        let odd = "' \" \\ % _ ; --".to_owned();
        let longest = ProfileChange {
            display_name: Edit::Set(display_name(&"👩‍🚀é".repeat(50))),
            job_title: Edit::Set(JobTitle::from_stored("職".repeat(JobTitle::MAX_CHARS))),
            phone_number: Edit::Set(PhoneNumber::from_stored("0".repeat(PhoneNumber::MAX_CHARS))),
            bio: Edit::Set(Bio::from_stored("é\n\t🦀".repeat(Bio::MAX_CHARS / 4))),
            preferences: Some(preferences(json!({ "theme": "x".repeat(16_000) }))),
        };
        let odd = ProfileChange {
            display_name: Edit::Set(display_name(&odd)),
            job_title: Edit::Set(JobTitle::from_stored(odd.clone())),
            phone_number: Edit::Set(PhoneNumber::from_stored(odd.clone())),
            bio: Edit::Set(Bio::from_stored(odd)),
            preferences: Some(preferences(json!({
                "": { "list": [null, true, -1, 0.1, 1e300, i64::MIN, u64::MAX, "\u{1}\u{ffff}🦀"] },
                "ключ": {}, "z": [], "a": "' \" \\",
            }))),
        };
        let one = |change: fn(&mut ProfileChange)| {
            let mut one = ProfileChange::default();
            change(&mut one);
            one
        };
        let all_away = ProfileChange {
            display_name: Edit::Clear,
            job_title: Edit::Clear,
            phone_number: Edit::Clear,
            bio: Edit::Clear,
            preferences: Some(Preferences::default()),
        };
        vec![
            longest.clone(),
            one(|change| change.display_name = Edit::Clear),
            one(|change| change.job_title = Edit::Clear),
            one(|change| change.phone_number = Edit::Clear),
            one(|change| change.bio = Edit::Clear),
            one(|change| change.preferences = Some(Preferences::default())),
            odd,
            all_away,
            longest,
        ]
    }

    /// Sessions of every method and level, from every kind of client, at both ends of time. All are alive for the
    /// whole of this world's time.
    pub fn extreme_sessions(&self, user: &User) -> Vec<Session> {
        let (early, late) = ends_of_time();
        let mut all = Vec::new();
        for method in AuthMethod::ALL {
            for aal in AssuranceLevel::ALL {
                all.push(Session { auth_method: *method, aal: *aal, ..self.session(user) });
            }
        }
        for factor in SecondFactor::ALL {
            all.push(Session {
                second_factor: Some(*factor),
                passkey: Some(PasskeyId::new(&*self.clock, &*self.random)),
                mfa_verified_at: Some(late),
                ..self.session(user)
            });
        }
        for client in extreme_clients() {
            let hash = TokenHash::from_bytes([u8::try_from(all.len()).unwrap_or(u8::MAX); 32]);
            all.push(Session {
                client,
                auth_time: early,
                leaf: Leaf { hash, generation: i32::MAX.unsigned_abs(), issued_at: late },
                created_at: early,
                expires_at: late,
                ..self.session(user)
            });
        }
        all
    }

    /// A chain of keys with the largest and smallest material, oldest first.
    pub fn extreme_signing_keys(&self) -> Vec<SigningKey> {
        let (early, late) = ends_of_time();
        let every_byte: Vec<u8> = (0..=u8::MAX).collect();
        let first = SigningKey { created_at: early, activates_at: early, ..self.signing_key(None) };
        let second = SigningKey {
            public: PublicKey { n: self.bytes::<512>().to_vec(), e: vec![3] },
            private: SealedKey(every_byte.repeat(16)),
            activates_at: late,
            ..self.signing_key(Some(&first))
        };
        let third = SigningKey {
            private: SealedKey(vec![0; 64]),
            created_at: self.now().plus(Duration::from_micros(1)),
            ..self.signing_key(Some(&second))
        };
        vec![first, second, third]
    }

    /// Rows of every action, status and kind of actor, with everything absent and with everything at its longest.
    pub fn extreme_audit_events(&self, account: &Account) -> Vec<AuditEvent> {
        let mut all: Vec<AuditEvent> =
            AuditAction::ALL.iter().map(|action| self.audit_event(*action, account)).collect();
        for actor in [Actor::Anonymous, Actor::System] {
            all.push(AuditEvent {
                status: AuditStatus::Failure,
                actor,
                organization: None,
                resource_id: None,
                ip_address: None,
                user_agent: None,
                ..self.audit_event(AuditAction::LoginFailed, account)
            });
        }
        for client in extreme_clients() {
            let event = AuditEvent {
                ip_address: client.ip_address,
                user_agent: client.user_agent,
                resource_id: Some("密".repeat(200)),
                ..self.audit_event(AuditAction::Login, account)
            };
            all.push(
                event
                    .with("text", "' \" \\ \n 🦀")
                    .with("number", i64::MAX)
                    .with("fraction", 0.1)
                    .with("nested", json!({ "list": [null, true, {}], "": "" })),
            );
        }
        all
    }
}

/// Clients that say nothing, too much, or come from the edges of the address space.
pub fn extreme_clients() -> Vec<ClientInfo> {
    let longest = "🧭".repeat(ClientInfo::MAX_USER_AGENT_CHARS);
    let addresses = ["0.0.0.0", "255.255.255.255", "::", "::1", "::ffff:192.0.2.1", "2001:db8:1:2:3:4:5:6"];
    let mut all = vec![ClientInfo::default(), ClientInfo::new(None, Some(&longest))];
    all.extend(addresses.map(|text| ClientInfo::new(text.parse().ok(), None)));
    let last = IpAddr::from([u8::MAX; 16]);
    all.push(ClientInfo::new(Some(last), Some("' \" \\ % _ ; --")));
    all
}

/// The first and the last instant that records of this service may carry.
pub fn ends_of_time() -> (Timestamp, Timestamp) {
    (Timestamp::from_unix_micros(1), Timestamp::from_unix_micros(253_402_300_799_999_999))
}

#[expect(clippy::expect_used, reason = "the addresses are written in this file")]
fn email(text: &str) -> Email {
    Email::parse(text).expect("a valid address")
}

#[expect(clippy::expect_used, reason = "the names are written in this file")]
fn display_name(text: &str) -> DisplayName {
    DisplayName::parse(text).expect("a valid name")
}

#[expect(clippy::expect_used, reason = "the objects are written in this file")]
fn preferences(value: Value) -> Preferences {
    serde_json::from_value(value).map(Preferences::new).expect("an object").expect("within its bounds")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extreme_records_keep_the_rules_of_their_types() {
        let world = World::default();
        for organization in world.extreme_organizations() {
            Slug::parse(organization.slug.as_str()).unwrap();
            let name = organization.name.as_str();
            assert!((1..=OrganizationName::MAX_CHARS).contains(&name.chars().count()), "{name}");
        }
        let emails = world.extreme_emails();
        assert_eq!(emails.iter().map(|email| email.as_str().len()).max(), Some(254));
        let users = world.extreme_users(&world.organization());
        let names = users.iter().filter_map(|user| user.display_name.as_ref());
        assert_eq!(names.map(|name| name.as_str().chars().count()).max(), Some(DisplayName::MAX_CHARS));
        assert_eq!(ends_of_time().1.to_rfc3339(), "9999-12-31T23:59:59.999999Z");
    }

    #[test]
    fn two_worlds_make_the_same_records() {
        let (one, other) = (World::default(), World::default());
        assert_eq!(one.account().user, other.account().user);
        assert_ne!(one.account().user, one.account().user);
    }
}
