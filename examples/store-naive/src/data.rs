//! The records on plain collections, and the rules that a store keeps. Nothing here waits, locks or fails halfway.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use identsphere_accounts::{
    AvatarName, MailboxProof, PasswordHash, Profile, ProfileChange, ReplacedAvatar, Standing, User,
    UserStatus, tombstone,
};
use identsphere_audit::{Actor, AuditEntry, AuditEvent};
use identsphere_core::{AccountRecord, BucketKey, ProfileRecord, SignInRecord, Take, UserOrganization};
use identsphere_factors::Authenticator;
use identsphere_factors::passkey::UserHandle;
use identsphere_kernel::{
    Duration, Email, EmailKey, OrganizationId, SessionId, StoreError, Timestamp, TokenHash, UserId,
};
use identsphere_organizations::{Departure, Membership, Organization, Role, Slug};
use identsphere_tokens::{KeyId, SigningKey};

use crate::mailbox::Mailboxes;
use crate::passkeys::Passkeys;
use crate::sessions::SessionRow;
use crate::trust::Trust;

/// Every record there is. A database would have one table for each field.
#[derive(Clone, Default)]
pub(crate) struct Data {
    pub(crate) users: BTreeMap<UserId, UserRow>,
    pub(crate) organizations: BTreeMap<OrganizationId, Organization>,
    deleted_organizations: BTreeSet<OrganizationId>,
    memberships: BTreeMap<(UserId, OrganizationId), Membership>,
    pub(crate) sessions: BTreeMap<SessionId, SessionRow>,
    keys: Vec<SigningKey>,
    /// When each bucket is full again (see [`Take::advance`]).
    buckets: HashMap<BucketKey, Timestamp>,
    audit: Vec<AuditEvent>,
    pub(crate) mailboxes: Mailboxes,
    pub(crate) trust: Trust,
    pub(crate) passkeys: Passkeys,
}

#[derive(Clone)]
pub(crate) struct UserRow {
    pub(crate) user: User,
    password_hash: Option<PasswordHash>,
    profile: Profile,
    pub(crate) authenticator: Option<Authenticator>,
    pub(crate) recovery_codes: Vec<TokenHash>,
    /// What their passkeys present.
    pub(crate) handle: Option<UserHandle>,
}

/// Users and organisations.
impl Data {
    pub(crate) fn insert_user(
        &mut self,
        user: &User,
        password: Option<&PasswordHash>,
    ) -> Result<(), StoreError> {
        require(self.organizations.contains_key(&user.home_organization), "the home organisation exists")?;
        unique(!self.users.contains_key(&user.id), "users_pkey")?;
        unique(self.user_by_email(user.email.key()).is_none(), "users_email_key_key")?;
        let row = UserRow {
            user: user.clone(),
            password_hash: password.cloned(),
            profile: Profile::default(),
            authenticator: None,
            recovery_codes: Vec::new(),
            handle: None,
        };
        self.users.insert(user.id, row);
        Ok(())
    }

    pub(crate) fn upgrade_password_hash(
        &mut self,
        user: UserId,
        old: &PasswordHash,
        new: &PasswordHash,
        at: Timestamp,
    ) {
        let row = self.users.get_mut(&user);
        if let Some(row) = row.filter(|row| row.password_hash.as_ref() == Some(old)) {
            row.password_hash = Some(new.clone());
            row.user.updated_at = at;
        }
    }

    /// That a user is as a sign-in found them.
    pub(crate) fn demand(&self, user: UserId, standing: &Standing) -> Result<(), StoreError> {
        let row = self.users.get(&user);
        let holds = row.is_some_and(|row| standing.holds_for(&row.user, row.password_hash.as_ref()));
        if holds { Ok(()) } else { Err(StoreError::Overtaken) }
    }

    pub(crate) fn require_user(&self, user: UserId) -> Result<(), StoreError> {
        require(self.users.contains_key(&user), "the user exists")
    }

    pub(crate) fn prove_mailbox(
        &mut self,
        user: UserId,
        email: &EmailKey,
        at: Timestamp,
    ) -> Option<MailboxProof> {
        let user = &mut self.active_mut(user).filter(|row| row.user.email.key() == email)?.user;
        if user.email_verified {
            return Some(MailboxProof::Again);
        }
        (user.email_verified, user.updated_at) = (true, at);
        Some(MailboxProof::First)
    }

    pub(crate) fn change_email(
        &mut self,
        user: UserId,
        email: &Email,
        at: Timestamp,
    ) -> Result<Option<Email>, StoreError> {
        let owner = self.user_by_email(email.key()).map(|row| row.user.id);
        let Some(row) = self.active_mut(user) else { return Ok(None) };
        unique(owner.is_none_or(|owner| owner == user), "users_email_key_key")?;
        let before = row.user.email.clone();
        row.user = User { email: email.clone(), email_verified: true, updated_at: at, ..row.user.clone() };
        Ok(Some(before))
    }

    pub(crate) fn replace_password(&mut self, user: UserId, password: Option<&PasswordHash>, at: Timestamp) {
        if let Some(row) = self.users.get_mut(&user) {
            row.password_hash = password.cloned();
            row.user.last_password_change = Some(at);
            row.user.updated_at = at;
        }
    }

    pub(crate) fn insert_organization(&mut self, organization: &Organization) -> Result<(), StoreError> {
        unique(!self.organizations.contains_key(&organization.id), "organizations_pkey")?;
        let slug_is_free = self.organizations.values().all(|other| other.slug != organization.slug);
        unique(slug_is_free, "organizations_slug_key")?;
        self.organizations.insert(organization.id, organization.clone());
        Ok(())
    }

    pub(crate) fn insert_membership(&mut self, membership: &Membership) -> Result<(), StoreError> {
        let Membership { user, organization, .. } = *membership;
        require(self.users.contains_key(&user), "the user exists")?;
        require(self.organizations.contains_key(&organization), "the organisation exists")?;
        unique(self.role(user, organization).is_none(), "organization_memberships_pkey")?;
        self.memberships.insert((user, organization), membership.clone());
        Ok(())
    }

    pub(crate) fn sign_in(&self, email: &EmailKey) -> Option<SignInRecord> {
        self.sign_in_of(self.user_by_email(email)?.user.id)
    }

    pub(crate) fn sign_in_of(&self, user: UserId) -> Option<SignInRecord> {
        let UserRow { user, password_hash, .. } = self.users.get(&user)?.clone();
        let role = self.live_role(user.id, user.home_organization).cloned();
        Some(SignInRecord { user, password_hash, role })
    }

    /// The key decides, byte for byte: no case folding, no collation.
    fn user_by_email(&self, email: &EmailKey) -> Option<&UserRow> {
        self.users.values().find(|row| row.user.email.key() == email)
    }

    pub(crate) fn known_emails(&self, emails: &[EmailKey]) -> Vec<EmailKey> {
        let known = self.users.values().map(|row| row.user.email.key());
        known.filter(|key| emails.contains(key)).cloned().collect()
    }

    pub(crate) fn known_users(&self, ids: &[UserId]) -> Vec<UserId> {
        self.users.keys().copied().filter(|id| ids.contains(id)).collect()
    }

    pub(crate) fn organizations_by_slug(&self, slugs: &[Slug]) -> Vec<Organization> {
        self.organizations.values().filter(|known| slugs.contains(&known.slug)).cloned().collect()
    }

    pub(crate) fn accounts(&self, after: Option<UserId>, limit: u32) -> Vec<AccountRecord> {
        let behind = self.users.values().filter(|row| after.is_none_or(|after| row.user.id > after));
        let accounts = behind.filter_map(|UserRow { user, password_hash, .. }| {
            Some(AccountRecord {
                user: user.clone(),
                password_hash: password_hash.clone(),
                organization: self.organizations.get(&user.home_organization)?.clone(),
                role: self.role(user.id, user.home_organization).cloned(),
            })
        });
        accounts.take(usize::try_from(limit).unwrap_or(usize::MAX)).collect()
    }

    /// The same, unless the organisation is deleted: nobody signs in to it any more.
    pub(crate) fn live_role(&self, user: UserId, organization: OrganizationId) -> Option<&Role> {
        self.role(user, organization).filter(|_| !self.deleted_organizations.contains(&organization))
    }

    pub(crate) fn role(&self, user: UserId, organization: OrganizationId) -> Option<&Role> {
        self.memberships.get(&(user, organization)).map(|membership| &membership.role)
    }
}

/// What users say about themselves, and that they go.
impl Data {
    pub(crate) fn active(&self, user: UserId) -> Option<&UserRow> {
        self.users.get(&user).filter(|row| row.user.status == UserStatus::Active)
    }

    pub(crate) fn active_mut(&mut self, user: UserId) -> Option<&mut UserRow> {
        self.users.get_mut(&user).filter(|row| row.user.status == UserStatus::Active)
    }

    pub(crate) fn profile(&self, user: UserId) -> Option<ProfileRecord> {
        let UserRow { user, profile, .. } = self.active(user)?.clone();
        Some(ProfileRecord { user, profile })
    }

    pub(crate) fn update_profile(&mut self, user: UserId, change: &ProfileChange, at: Timestamp) -> bool {
        let Some(row) = self.active_mut(user) else { return false };
        change.apply(&mut row.user, &mut row.profile, at);
        true
    }

    pub(crate) fn set_password_hash(
        &mut self,
        user: UserId,
        old: &PasswordHash,
        new: &PasswordHash,
        at: Timestamp,
    ) -> bool {
        match self.active_mut(user).filter(|row| row.password_hash.as_ref() == Some(old)) {
            Some(row) => {
                row.password_hash = Some(new.clone());
                row.user.last_password_change = Some(at);
                row.user.updated_at = at;
                true
            }
            None => false,
        }
    }

    pub(crate) fn replace_avatar(
        &mut self,
        user: UserId,
        avatar: Option<&AvatarName>,
        at: Timestamp,
    ) -> Option<ReplacedAvatar> {
        let row = self.active_mut(user)?;
        row.user.updated_at = at;
        Some(ReplacedAvatar(std::mem::replace(&mut row.profile.avatar, avatar.cloned())))
    }

    pub(crate) fn erase(&mut self, user: UserId, at: Timestamp) -> Option<ReplacedAvatar> {
        let row = self.active_mut(user)?;
        let avatar = row.profile.avatar.clone();
        row.user.email = tombstone(user);
        row.user.email_verified = false;
        row.user.last_password_change = None;
        row.user.status = UserStatus::Deleted;
        row.user.display_name = None;
        row.user.mfa_enabled = false;
        row.user.passkey_enabled = false;
        row.user.updated_at = at;
        row.password_hash = None;
        row.profile = Profile::default();
        row.authenticator = None;
        row.handle = None;
        Some(ReplacedAvatar(avatar))
    }

    pub(crate) fn organizations_of(&self, user: UserId) -> Vec<UserOrganization> {
        let theirs = self.memberships.values().filter(|membership| membership.user == user);
        let theirs =
            theirs.filter(|membership| !self.deleted_organizations.contains(&membership.organization));
        let mut found: Vec<UserOrganization> = theirs
            .filter_map(|membership| {
                let organization = self.organizations.get(&membership.organization)?.clone();
                let (role, joined_at) = (membership.role.clone(), membership.joined_at);
                Some(UserOrganization { organization, role, joined_at })
            })
            .collect();
        found.sort_by_key(|found| (found.joined_at, found.organization.id));
        found
    }

    /// Nobody else writes meanwhile, so looking first and changing afterwards is one step.
    pub(crate) fn depart(&mut self, user: UserId, at: Timestamp) -> Departure {
        let theirs: Vec<Membership> =
            self.memberships.values().filter(|membership| membership.user == user).cloned().collect();
        let mut emptied = Vec::new();
        for Membership { organization, role, .. } in theirs {
            let is_other = |other: &&Membership| other.organization == organization && other.user != user;
            let others: Vec<&Membership> = self.memberships.values().filter(is_other).collect();
            if others.is_empty() {
                emptied.push(organization);
            } else if role == Role::OWNER && others.iter().all(|other| other.role != Role::OWNER) {
                return Departure::SoleOwner(organization);
            }
        }
        self.memberships.retain(|_, membership| membership.user != user);
        emptied.retain(|organization| self.deleted_organizations.insert(*organization));
        for organization in &emptied {
            if let Some(organization) = self.organizations.get_mut(organization) {
                organization.updated_at = at;
            }
        }
        Departure::Left(emptied)
    }

    pub(crate) fn events_by(&self, user: UserId, limit: u32) -> Vec<AuditEntry> {
        let mut theirs: Vec<&AuditEvent> =
            self.audit.iter().filter(|event| event.actor == Actor::User(user)).collect();
        theirs.sort_by_key(|event| Reverse((event.created_at, event.id)));
        theirs.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        theirs.into_iter().map(AuditEntry::from).collect()
    }
}

/// Signing keys, rate limits, the audit log.
impl Data {
    pub(crate) fn insert_key(&mut self, key: &SigningKey) -> Result<(), StoreError> {
        unique(self.keys.iter().all(|other| other.kid != key.kid), "signing_keys_pkey")?;
        let is_free = self.keys.iter().all(|other| other.predecessor != key.predecessor);
        unique(is_free, "signing_keys_predecessor_key")?;
        self.keys.push(key.clone());
        self.keys.sort_by_key(|key| key.created_at);
        Ok(())
    }

    pub(crate) fn delete_key(&mut self, kid: &KeyId) -> bool {
        let before = self.keys.len();
        self.keys.retain(|key| key.kid != *kid);
        self.keys.len() < before
    }

    pub(crate) fn keys(&self) -> Vec<SigningKey> {
        self.keys.clone()
    }

    pub(crate) fn take(&mut self, take: &Take, now: Timestamp) -> Option<Duration> {
        match take.advance(self.buckets.get(&take.bucket).copied(), now) {
            Ok(arrival) => {
                self.buckets.insert(take.bucket, arrival);
                None
            }
            Err(wait) => Some(wait),
        }
    }

    pub(crate) fn give_back(&mut self, take: &Take) {
        if let Some(arrival) = self.buckets.get_mut(&take.bucket) {
            *arrival = arrival.minus(take.quota.interval());
        }
    }

    pub(crate) fn sweep_limits(&mut self, now: Timestamp, limit: u32) -> u64 {
        let mut swept = 0;
        self.buckets.retain(|_, arrival| {
            let goes = swept < u64::from(limit) && *arrival <= now;
            swept += u64::from(goes);
            !goes
        });
        swept
    }

    pub(crate) fn append(&mut self, event: &AuditEvent) {
        self.audit.push(event.clone());
    }
}

/// A uniqueness rule. Its name is the one in the port's documentation: the use cases tell conflicts apart by it.
pub(crate) fn unique(holds: bool, constraint: &'static str) -> Result<(), StoreError> {
    if holds { Ok(()) } else { Err(StoreError::Conflict { constraint }) }
}

/// A rule that only a faulty caller breaks.
pub(crate) fn require(holds: bool, rule: &'static str) -> Result<(), StoreError> {
    if holds { Ok(()) } else { Err(StoreError::corrupt(format!("a write breaks the rule that {rule}"))) }
}

/// Removes at most `limit` of the rows that have ended; how many there were.
pub(crate) fn sweep<T>(rows: &mut Vec<T>, limit: u32, has_ended: impl Fn(&T) -> bool) -> u64 {
    let mut swept = 0;
    rows.retain(|row| {
        let goes = swept < u64::from(limit) && has_ended(row);
        swept += u64::from(goes);
        !goes
    });
    swept
}
