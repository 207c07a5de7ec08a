//! What users say about themselves, and where they belong.

use identsphere_accounts::{
    Bio, DisplayName, Edit, FieldError, JobTitle, PhoneNumber, Preferences, ProfileChange,
};
use identsphere_audit::AuditAction;
use identsphere_sessions::ClientInfo;
use serde_json::{Map, Value};

use crate::events::Resource;
use crate::{Error, FieldFault, IdentSphere, Principal, ProfileRecord, UserOrganization};

/// What somebody changes about themselves. `None` stays, empty text clears.
#[derive(Clone, Default)]
pub struct UpdateProfile<'a> {
    /// The name to show to people.
    pub display_name: Option<&'a str>,
    /// What they do.
    pub job_title: Option<&'a str>,
    /// How to call them.
    pub phone_number: Option<&'a str>,
    /// What they tell about themselves.
    pub bio: Option<&'a str>,
    /// What a host application keeps with them, replaced as a whole.
    pub preferences: Option<Map<String, Value>>,
}

impl IdentSphere {
    /// This principal's user and what they say about themselves.
    ///
    /// # Errors
    /// [`Error::AuthenticationRequired`] when the user is gone by now.
    pub async fn profile(&self, who: &Principal) -> Result<ProfileRecord, Error> {
        self.store().find_profile(who.user.id).await?.ok_or(Error::AuthenticationRequired)
    }

    /// Changes what this principal's user says about themselves; what it is from now on.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] with every fault; [`Error::AuthenticationRequired`] when the user is gone by now.
    pub async fn update_profile(
        &self,
        who: &Principal,
        input: UpdateProfile<'_>,
        client: &ClientInfo,
    ) -> Result<ProfileRecord, Error> {
        let change = input.check()?;
        let fields = change.fields();
        if !fields.is_empty() {
            let user = Resource::User(Some(who.user.id));
            let event = self.event_by(who, AuditAction::ProfileUpdated, &user, client).with("fields", fields);
            let mut tx = self.store().begin().await?;
            if !tx.users().update_profile(who.user.id, &change, self.now()).await? {
                return Err(Error::AuthenticationRequired);
            }
            tx.audit().append(&event).await?;
            tx.commit().await?;
        }
        self.profile(who).await
    }

    /// The organisations that this principal's user belongs to, in the order of joining.
    ///
    /// # Errors
    /// [`Error::Overloaded`] when the store is away.
    pub async fn list_organizations(&self, who: &Principal) -> Result<Vec<UserOrganization>, Error> {
        Ok(self.store().list_organizations(who.user.id).await?)
    }
}

impl UpdateProfile<'_> {
    fn check(self) -> Result<ProfileChange, Error> {
        let mut faults = Vec::new();
        let preferences = self.preferences.map(Preferences::new).transpose();
        let change = ProfileChange {
            display_name: edit("display_name", self.display_name, DisplayName::parse, &mut faults),
            job_title: edit("job_title", self.job_title, JobTitle::parse, &mut faults),
            phone_number: edit("phone_number", self.phone_number, PhoneNumber::parse, &mut faults),
            bio: edit("bio", self.bio, Bio::parse, &mut faults),
            preferences: preferences.unwrap_or_else(|error| {
                faults.push(FieldFault::new("preferences", error));
                None
            }),
        };
        if faults.is_empty() { Ok(change) } else { Err(Error::InvalidInput(faults)) }
    }
}

/// What becomes of a field.
fn edit<T>(
    field: &'static str,
    text: Option<&str>,
    parse: impl Fn(&str) -> Result<T, FieldError>,
    faults: &mut Vec<FieldFault>,
) -> Edit<T> {
    match text.map(&parse) {
        None => Edit::Keep,
        Some(Ok(value)) => Edit::Set(value),
        Some(Err(FieldError::Empty)) => Edit::Clear,
        Some(Err(error)) => {
            faults.push(FieldFault::new(field, error));
            Edit::Keep
        }
    }
}
