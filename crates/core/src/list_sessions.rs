//! The sessions of a user.

use identsphere_sessions::Session;

use crate::{Error, IdentSphere, Principal};

impl IdentSphere {
    /// The live sessions of this principal's user, newest activity first.
    ///
    /// # Errors
    /// [`Error::Overloaded`] when the store is away.
    pub async fn list_sessions(&self, who: &Principal) -> Result<Vec<Session>, Error> {
        Ok(self.store().list_live_sessions(who.user.id, self.now()).await?)
    }
}
