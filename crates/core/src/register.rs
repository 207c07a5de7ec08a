//! Sign-up.

use identsphere_accounts::{
    DisplayName, Password, PasswordHash, Standing, User, UserStatus, VerificationKind,
};
use identsphere_audit::{Actor, AuditAction};
use identsphere_kernel::{Email, OrganizationId, StoreError, UserId};
use identsphere_organizations::{Membership, Organization, OrganizationName, Role, Slug};
use identsphere_sessions::{AuthMethod, ClientInfo};

use crate::events::{EventExt, Resource};
use crate::issue::Entrance;
use crate::verify_email::Confirmation;
use crate::{BucketKey, Error, FieldFault, IdentSphere, Principal, SignedIn, Take, Visitor};

/// How many suffixes are tried before a derived slug counts as taken.
const SLUG_ATTEMPTS: usize = 4;

/// What somebody signs up with.
#[derive(Clone, Copy)]
pub struct Register<'a> {
    /// The address.
    pub email: &'a str,
    /// The password.
    pub password: &'a str,
    /// The name of the organisation to make.
    pub organization_name: &'a str,
    /// Its slug; derived from the name when absent.
    pub organization_slug: Option<&'a str>,
    /// The name to show to people.
    pub display_name: Option<&'a str>,
}

/// The same, checked.
struct Checked {
    email: Email,
    password: Password,
    name: OrganizationName,
    slug: Slug,
    slug_is_derived: bool,
    display_name: Option<DisplayName>,
}

impl IdentSphere {
    /// Makes a user, an organisation they own, and a session, and sends them a link to confirm their address: one atomic
    /// write.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] with every fault; [`Error::Conflict`] when the address or the given slug is taken;
    /// [`Error::RateLimited`]; [`Error::Overloaded`].
    pub async fn register(&self, input: Register<'_>, visitor: &Visitor<'_>) -> Result<SignedIn, Error> {
        let client = visitor.client;
        let Checked { email, password, name, mut slug, slug_is_derived, display_name } = input.check()?;
        self.demand_clock()?;
        let place = self.hasher.place()?;
        self.limit_registrations(client).await?;
        let hash = self.hasher.hash(password).await?;
        drop(place);

        let now = self.now();
        let organization = OrganizationId::new(self.clock(), self.random());
        let user = User {
            id: UserId::new(self.clock(), self.random()),
            email,
            email_verified: false,
            last_password_change: Some(now),
            home_organization: organization,
            status: UserStatus::Active,
            display_name,
            mfa_enabled: false,
            passkey_enabled: false,
            created_at: now,
            updated_at: now,
        };
        let entrance = Entrance::by(AuthMethod::Password);
        let (principal, refresh_token) = self.open_session(user, Role::OWNER, entrance, client);
        let signed_in = self.issue(principal, &refresh_token)?;
        let Principal { user, .. } = &signed_in.principal;
        let confirmation =
            self.confirmation(user, VerificationKind::Confirm, &user.email, visitor.language)?;

        for _ in 0..SLUG_ATTEMPTS {
            let organization = Organization {
                id: organization,
                name: name.clone(),
                slug: slug.clone(),
                created_at: now,
                updated_at: now,
            };
            match self
                .write_registration(&signed_in.principal, &hash, &organization, &confirmation, visitor)
                .await
            {
                Ok(()) => return Ok(signed_in),
                Err(error) if error.is_conflict("organizations_slug_key") && slug_is_derived => {
                    slug = slug.with_suffix(self.random().bytes());
                }
                Err(error) if error.is_conflict("organizations_slug_key") => break,
                Err(error) if error.is_conflict("users_email_key_key") => {
                    self.limit_conflicts(client).await?;
                    return Err(Error::Conflict { field: "email", message: "is registered already" });
                }
                Err(error) => return Err(error.into()),
            }
        }
        Err(Error::Conflict { field: "organization_slug", message: "is taken; choose another one" })
    }

    async fn write_registration(
        &self,
        principal: &Principal,
        hash: &PasswordHash,
        organization: &Organization,
        confirmation: &Confirmation,
        visitor: &Visitor<'_>,
    ) -> Result<(), StoreError> {
        let Principal { user, session, role } = principal;
        let membership = Membership {
            user: user.id,
            organization: organization.id,
            role: role.clone(),
            joined_at: user.created_at,
        };
        let registered = self
            .event(
                AuditAction::Register,
                Actor::User(user.id),
                &Resource::User(Some(user.id)),
                visitor.client,
            )
            .within(organization.id);

        let mut tx = self.store().begin().await?;
        tx.organizations().insert(organization).await?;
        tx.users().insert(user, Some(hash)).await?;
        tx.organizations().insert_membership(&membership).await?;
        let standing = Standing::of(user).with_password(hash.clone());
        tx.sign_ins().begin_session(session, &standing).await?;
        tx.outbox().greet_browser(user.id, &visitor.browser(), session.auth_time, None).await?;
        tx.proofs().put_verification(&confirmation.verification).await?;
        tx.outbox().post(&confirmation.mail).await?;
        tx.audit().append(&registered).await?;
        tx.commit().await
    }

    async fn limit_registrations(&self, client: &ClientInfo) -> Result<(), Error> {
        let Some(limits) = self.policy.limits else { return Ok(()) };
        let bucket = BucketKey::of_address("register", client.ip_address);
        self.take(&[Take { bucket, quota: limits.register_address }]).await
    }

    /// An answer that an address is taken tells who has an account, so it is rationed (AU-04).
    async fn limit_conflicts(&self, client: &ClientInfo) -> Result<(), Error> {
        let Some(limits) = self.policy.limits else { return Ok(()) };
        let bucket = BucketKey::of_address("register-conflict", client.ip_address);
        self.take(&[Take { bucket, quota: limits.register_conflict }]).await
    }
}

impl Register<'_> {
    fn check(&self) -> Result<Checked, Error> {
        let email = Email::parse(self.email).map_err(|e| FieldFault::new("email", e));
        let password = Password::choose(self.password, email.as_ref().ok().map(Email::key))
            .map_err(|e| FieldFault::new("password", e));
        let name = OrganizationName::parse(self.organization_name)
            .map_err(|e| FieldFault::new("organization_name", e));
        let slug = match (self.organization_slug, &name) {
            (Some(slug), _) => {
                Slug::parse(slug).map(Some).map_err(|e| FieldFault::new("organization_slug", e))
            }
            (None, Ok(name)) => Ok(Some(Slug::derive(name))),
            (None, Err(_)) => Ok(None),
        };
        let display_name = self
            .display_name
            .map(str::trim)
            .filter(|text| !text.is_empty())
            .map(DisplayName::parse)
            .transpose()
            .map_err(|e| FieldFault::new("display_name", e));
        match (email, password, name, slug, display_name) {
            (Ok(email), Ok(password), Ok(name), Ok(Some(slug)), Ok(display_name)) => {
                let slug_is_derived = self.organization_slug.is_none();
                Ok(Checked { email, password, name, slug, slug_is_derived, display_name })
            }
            (email, password, name, slug, display_name) => {
                let faults = [email.err(), password.err(), name.err(), slug.err(), display_name.err()];
                Err(Error::InvalidInput(faults.into_iter().flatten().collect()))
            }
        }
    }
}
