//! Bringing users along from another system: each line of a file becomes a user, is known already, or is refused, and no
//! line stops the others.
//!
//! Who is there already is never changed, so a run that was cut short is simply repeated. A batch is one transaction with
//! one row in the audit log; when somebody else takes a name of the batch at the same moment, its lines are done one by
//! one.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use identsphere_accounts::{DisplayName, PasswordHash, User, UserStatus};
use identsphere_audit::{Actor, AuditAction};
use identsphere_kernel::{Email, EmailKey, OrganizationId, StoreError, Timestamp, UserId};
use identsphere_organizations::{Membership, Organization, OrganizationName, Role, Slug};
use identsphere_sessions::ClientInfo;

use crate::events::Resource;
use crate::import_format::{Column, ImportRecord};
use crate::{Error, FieldFault, IdentSphere};

/// How often a write is tried when others are faster.
const ATTEMPTS: u32 = 4;

/// One line of the file.
pub struct ImportLine {
    /// Which one, from one.
    pub number: u64,
    /// What it says, or why it cannot be read.
    pub record: Result<ImportRecord, String>,
}

/// What became of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImportOutcome {
    /// There is a new user, or would be.
    Created,
    /// A user with this address was there; nothing was changed.
    Unchanged,
    /// Nothing was done, for this reason.
    Refused(String),
}

/// What became of which line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportReport {
    /// Which one, from one.
    pub number: u64,
    /// The address as the line has it, whatever it is; `None` when the line could not be read.
    pub email: Option<String>,
    /// What became of it.
    pub outcome: ImportOutcome,
}

/// Whether anything is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImportMode {
    /// What is new is written.
    Write,
    /// Nothing is.
    DryRun,
}

/// What one run over a file remembers from batch to batch: for each line a few bytes, by which a second line for the same
/// address or id is found, and in a dry run the organisations that it would have made.
pub struct ImportRun {
    mode: ImportMode,
    seen: HashMap<u64, u64>,
    planned: HashSet<Slug>,
}

impl ImportRun {
    /// How many lines are best handed over at once.
    pub const BATCH: usize = 500;

    /// The start of a run.
    pub fn new(mode: ImportMode) -> Self {
        Self { mode, seen: HashMap::new(), planned: HashSet::new() }
    }

    /// Refuses what an earlier line has said. Of a line that is refused nothing is remembered.
    fn claim(&mut self, line: &Checked) -> Result<(), String> {
        let email = digest(&("email", line.email.key().as_str()));
        let id = line.id.map(|id| digest(&("id", id)));
        if let Some(earlier) = self.seen.get(&email) {
            return Err(format!("email is that of line {earlier}, when compared as addresses are"));
        }
        if let Some(earlier) = id.and_then(|id| self.seen.get(&id)) {
            return Err(format!("id is that of line {earlier}"));
        }
        self.seen.extend(id.into_iter().chain([email]).map(|key| (key, line.number)));
        Ok(())
    }
}

/// A line whose every value is valid by itself.
#[derive(Clone)]
struct Checked {
    number: u64,
    id: Option<UserId>,
    email: Email,
    email_verified: bool,
    display_name: Option<DisplayName>,
    status: UserStatus,
    created_at: Timestamp,
    password_hash: Option<PasswordHash>,
    home: Home,
}

impl Checked {
    fn shared_home(&self) -> Option<&Slug> {
        match &self.home {
            Home::Shared(slug, ..) => Some(slug),
            Home::Own(_) => None,
        }
    }
}

/// Where a user is to be at home.
#[derive(Clone)]
enum Home {
    /// In an organisation of their own.
    Own(OrganizationName),
    /// In the organisation with this slug, which is made when it is not there and a name is given.
    Shared(Slug, Option<OrganizationName>, Role),
}

/// What a line makes.
struct NewAccount {
    organization: Option<Organization>,
    user: User,
    membership: Membership,
    password_hash: Option<PasswordHash>,
}

/// What is there already.
struct Known {
    emails: HashSet<EmailKey>,
    ids: HashSet<UserId>,
    organizations: HashMap<Slug, OrganizationId>,
}

impl IdentSphere {
    /// Brings the users of these lines along; what became of each, in the order given.
    ///
    /// # Errors
    /// [`Error::Overloaded`] when the store is away, [`Error::Internal`] when it refuses for no known reason: of these lines
    /// some may have been written. Repeating the run finds them unchanged.
    pub async fn import_users(
        &self,
        run: &mut ImportRun,
        lines: Vec<ImportLine>,
    ) -> Result<Vec<ImportReport>, Error> {
        let mut reports = Vec::with_capacity(lines.len());
        let mut good = Vec::new();
        for ImportLine { number, record } in lines {
            let email = record.as_ref().ok().and_then(|record| record.get(Column::Email)).map(str::to_owned);
            let checked = record.and_then(|record| self.check(number, &record));
            let outcome = match checked.and_then(|line| run.claim(&line).map(|()| line)) {
                Ok(line) => {
                    good.push(line);
                    // Until it is known better.
                    ImportOutcome::Unchanged
                }
                Err(reason) => ImportOutcome::Refused(reason),
            };
            reports.push(ImportReport { number, email, outcome });
        }
        let mut outcomes: HashMap<u64, ImportOutcome> =
            self.import_checked(run, good).await?.into_iter().collect();
        for report in &mut reports {
            if let Some(outcome) = outcomes.remove(&report.number) {
                report.outcome = outcome;
            }
        }
        Ok(reports)
    }

    /// All lines at once; when others write the same at the same moment, one by one.
    async fn import_checked(
        &self,
        run: &mut ImportRun,
        lines: Vec<Checked>,
    ) -> Result<Vec<(u64, ImportOutcome)>, Error> {
        if lines.is_empty() {
            return Ok(Vec::new());
        }
        match self.import_together(run, &lines).await {
            Ok(outcomes) => return Ok(outcomes),
            Err(StoreError::Conflict { .. } | StoreError::Retry(_)) => {}
            Err(error) => return Err(error.into()),
        }
        let mut outcomes = Vec::with_capacity(lines.len());
        for line in lines {
            outcomes.push(self.import_alone(run, line).await?);
        }
        Ok(outcomes)
    }

    async fn import_alone(&self, run: &mut ImportRun, line: Checked) -> Result<(u64, ImportOutcome), Error> {
        let line = [line];
        let mut attempt = 1;
        loop {
            match self.import_together(run, &line).await {
                Ok(outcomes) => {
                    let outcome = outcomes.into_iter().next();
                    return outcome.ok_or_else(|| Error::internal("a line came to nothing"));
                }
                Err(StoreError::Conflict { .. } | StoreError::Retry(_)) if attempt < ATTEMPTS => attempt += 1,
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// All lines, or none, after a look at what is there.
    async fn import_together(
        &self,
        run: &mut ImportRun,
        lines: &[Checked],
    ) -> Result<Vec<(u64, ImportOutcome)>, StoreError> {
        let mut known = self.known(lines).await?;
        let planned =
            lines.iter().filter_map(Checked::shared_home).filter(|slug| run.planned.contains(*slug));
        known.organizations.extend(planned.map(|slug| (slug.clone(), self.new_organization_id())));
        let mut outcomes = Vec::with_capacity(lines.len());
        let mut accounts = Vec::new();
        for line in lines {
            let outcome = if known.emails.contains(line.email.key()) {
                ImportOutcome::Unchanged
            } else if line.id.is_some_and(|id| known.ids.contains(&id)) {
                ImportOutcome::Refused("id belongs to a user with another address".to_owned())
            } else {
                match self.account(line, &mut known) {
                    Ok(account) => {
                        accounts.push(account);
                        ImportOutcome::Created
                    }
                    Err(reason) => ImportOutcome::Refused(reason),
                }
            };
            outcomes.push((line.number, outcome));
        }
        match run.mode {
            ImportMode::DryRun => {
                let shared = lines.iter().filter_map(Checked::shared_home);
                run.planned.extend(shared.filter(|slug| known.organizations.contains_key(slug)).cloned());
            }
            ImportMode::Write if accounts.is_empty() => {}
            ImportMode::Write => self.write_accounts(&accounts, lines).await?,
        }
        Ok(outcomes)
    }

    async fn known(&self, lines: &[Checked]) -> Result<Known, StoreError> {
        let emails: Vec<EmailKey> = lines.iter().map(|line| line.email.key().clone()).collect();
        let ids: Vec<UserId> = lines.iter().filter_map(|line| line.id).collect();
        let slugs: HashSet<Slug> = lines.iter().filter_map(Checked::shared_home).cloned().collect();
        let store = self.store();
        let emails = store.known_emails(&emails).await?.into_iter().collect();
        let ids = if ids.is_empty() { Vec::new() } else { store.known_users(&ids).await? };
        let slugs: Vec<Slug> = slugs.into_iter().collect();
        let found = if slugs.is_empty() { Vec::new() } else { store.organizations_by_slug(&slugs).await? };
        let organizations =
            found.into_iter().map(|organization| (organization.slug, organization.id)).collect();
        Ok(Known { emails, ids: ids.into_iter().collect(), organizations })
    }

    /// What a line makes, given what is there and what the lines before it make.
    fn account(&self, line: &Checked, known: &mut Known) -> Result<NewAccount, String> {
        let now = self.now();
        let make = |name: &OrganizationName, slug: &Slug| Organization {
            id: self.new_organization_id(),
            name: name.clone(),
            slug: slug.clone(),
            created_at: now,
            updated_at: now,
        };
        let (home, organization, role) = match &line.home {
            Home::Own(name) => {
                // Always with a suffix: a name that a user once chose must not take a slug that a later line means.
                let made = make(name, &Slug::derive(name).with_suffix(self.random().bytes()));
                (made.id, Some(made), Role::OWNER)
            }
            Home::Shared(slug, name, role) => match (known.organizations.get(slug), name) {
                (Some(id), _) => (*id, None, role.clone()),
                (None, Some(name)) => {
                    let made = make(name, slug);
                    known.organizations.insert(slug.clone(), made.id);
                    (made.id, Some(made), role.clone())
                }
                (None, None) => {
                    return Err(
                        "organization_slug is not known; give organization_name too to make it".to_owned()
                    );
                }
            },
        };
        let id = line.id.unwrap_or_else(|| UserId::new(self.clock(), self.random()));
        let user = User {
            id,
            email: line.email.clone(),
            email_verified: line.email_verified,
            last_password_change: None,
            home_organization: home,
            status: line.status,
            display_name: line.display_name.clone(),
            mfa_enabled: false,
            passkey_enabled: false,
            created_at: line.created_at,
            updated_at: now,
        };
        let membership = Membership { user: id, organization: home, role, joined_at: now };
        Ok(NewAccount { organization, user, membership, password_hash: line.password_hash.clone() })
    }

    async fn write_accounts(&self, accounts: &[NewAccount], lines: &[Checked]) -> Result<(), StoreError> {
        let organizations = accounts.iter().filter(|account| account.organization.is_some()).count();
        let event = self
            .event(AuditAction::UsersImported, Actor::System, &Resource::User(None), &ClientInfo::default())
            .with("created", accounts.len())
            .with("organizations_created", organizations)
            .with("first_line", lines.first().map_or(0, |line| line.number))
            .with("last_line", lines.last().map_or(0, |line| line.number));
        let mut tx = self.store().begin().await?;
        for NewAccount { organization, user, membership, password_hash } in accounts {
            if let Some(organization) = organization {
                tx.organizations().insert(organization).await?;
            }
            tx.users().insert(user, password_hash.as_ref()).await?;
            tx.organizations().insert_membership(membership).await?;
        }
        tx.audit().append(&event).await?;
        tx.commit().await
    }

    /// Every value by itself; all faults at once.
    fn check(&self, number: u64, record: &ImportRecord) -> Result<Checked, String> {
        let mut faults = Faults::default();
        let email = match record.get(Column::Email) {
            Some(text) => faults.keep(Column::Email, Email::parse(text)),
            None => faults.keep(Column::Email, Err("is missing")),
        };
        let email_verified =
            faults.read(record, Column::EmailVerified, |text| match text.to_ascii_lowercase().as_str() {
                "true" => Ok(true),
                "false" => Ok(false),
                _ => Err("must be true or false"),
            });
        let display_name = faults.read(record, Column::DisplayName, DisplayName::parse);
        let status = faults.read(record, Column::Status, |text| match UserStatus::from_name(text) {
            Some(status @ (UserStatus::Active | UserStatus::Disabled)) => Ok(status),
            Some(UserStatus::Invited | UserStatus::Deleted) | None => Err("must be active or disabled"),
        });
        let now = self.now();
        let created_at = faults.read(record, Column::CreatedAt, |text| {
            let at = Timestamp::parse_rfc3339(text).filter(|at| (Timestamp::EPOCH..=now).contains(at));
            at.ok_or("must be a time in the past, such as 2024-05-21T09:30:00Z")
        });
        let id = faults.read(record, Column::Id, str::parse::<UserId>);
        let password_hash = faults.read(record, Column::PasswordHash, |text| {
            let hash = PasswordHash::new(text);
            let judged = self.hasher.judge(&hash);
            judged.map(|()| hash).map_err(|why| format!("cannot be verified: {why}"))
        });
        if record.get(Column::PasswordSalt).is_some() {
            faults.add(Column::PasswordSalt, "is for hashes of Firebase, whose parameters are not given");
        }
        let home = self.check_home(record, email.as_ref(), display_name.as_ref(), &mut faults);
        match (email, home, faults.0.is_empty()) {
            (Some(email), Some(home), true) => Ok(Checked {
                number,
                id,
                email,
                email_verified: email_verified.unwrap_or(false),
                display_name,
                status: status.unwrap_or(UserStatus::Active),
                created_at: created_at.unwrap_or(now),
                password_hash,
                home,
            }),
            _ => Err(faults.into_reason()),
        }
    }

    fn check_home(
        &self,
        record: &ImportRecord,
        email: Option<&Email>,
        display_name: Option<&DisplayName>,
        faults: &mut Faults,
    ) -> Option<Home> {
        let name = faults.read(record, Column::OrganizationName, OrganizationName::parse);
        let slug = faults.read(record, Column::OrganizationSlug, Slug::parse);
        let role = faults.read(record, Column::Role, |text| {
            let role = Role::new(text.to_owned());
            self.policy.rbac.knows(&role).then_some(role).ok_or("is not a role")
        });
        match slug {
            Some(slug) => Some(Home::Shared(slug, name, role.unwrap_or(Role::MEMBER))),
            None if record.get(Column::OrganizationSlug).is_some() => None,
            None if record.get(Column::Role).is_some() => {
                faults.add(
                    Column::Role,
                    "needs organization_slug: whoever has an organisation of their own owns it",
                );
                None
            }
            None => {
                let fallback =
                    display_name.map(DisplayName::as_str).or(email.map(|email| email.key().local_part()));
                let own = name.or_else(|| {
                    let short: String = fallback?.chars().take(OrganizationName::MAX_CHARS).collect();
                    OrganizationName::parse(&short).ok()
                });
                own.map(Home::Own)
            }
        }
    }

    fn new_organization_id(&self) -> OrganizationId {
        OrganizationId::new(self.clock(), self.random())
    }
}

/// What is wrong with a line.
#[derive(Default)]
struct Faults(Vec<FieldFault>);

impl Faults {
    fn add(&mut self, column: Column, message: impl ToString) {
        self.0.push(FieldFault::new(column.name(), message));
    }

    fn keep<T, E: ToString>(&mut self, column: Column, read: Result<T, E>) -> Option<T> {
        read.map_err(|error| self.add(column, error)).ok()
    }

    /// The value of a column, if it has one that is valid.
    fn read<T, E: ToString>(
        &mut self,
        record: &ImportRecord,
        column: Column,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let read = parse(record.get(column)?);
        self.keep(column, read)
    }

    fn into_reason(self) -> String {
        let faults = self.0.into_iter().map(|FieldFault { field, message }| format!("{field} {message}"));
        faults.collect::<Vec<_>>().join("; ")
    }
}

/// Eight bytes for a value. Two values of a file have the same by chance in one of a million files of a million lines.
fn digest(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}
