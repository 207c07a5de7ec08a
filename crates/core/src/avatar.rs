//! The picture of a user. The file is kept before the row names it and deleted after no row does; a crash in between
//! leaves a file under a name that nobody knows.

use bytes::Bytes;
use identsphere_accounts::{AvatarName, ReplacedAvatar};
use identsphere_audit::AuditAction;
use identsphere_kernel::Duration;
use identsphere_sessions::ClientInfo;

use crate::events::Resource;
use crate::{BlobError, BucketKey, Error, FieldFault, IdentSphere, PictureError, Principal, Take};

/// How long a client is asked to wait when pictures cannot be made or kept now.
const BACK_OFF: Duration = Duration::from_secs(5);

impl IdentSphere {
    /// Makes a picture out of what was sent and shows it as this principal's user from now on.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] for what is no picture or too large a one; [`Error::AuthenticationRequired`] when the user
    /// is gone by now; [`Error::RateLimited`]; [`Error::Overloaded`].
    pub async fn set_avatar(
        &self,
        who: &Principal,
        upload: Bytes,
        client: &ClientInfo,
    ) -> Result<AvatarName, Error> {
        if let Some(limits) = self.policy.limits {
            let bucket = BucketKey::of_account("upload", who.user.email.key());
            self.take(&[Take { bucket, quota: limits.upload_account }]).await?;
        }
        let picture = self.pictures.make(upload).await?;
        let name = AvatarName::new(self.random().bytes(), picture.format);
        self.blobs.put(name.as_str(), picture.bytes).await?;
        match self.write_avatar(who, Some(&name), client).await {
            Ok(()) => Ok(name),
            Err(error @ Error::AuthenticationRequired) => {
                self.discard_picture(Some(name)).await;
                Err(error)
            }
            // The commit may have been made although its answer was lost: the file stays.
            Err(error) => Err(error),
        }
    }

    /// Shows no picture as this principal's user any more.
    ///
    /// # Errors
    /// [`Error::AuthenticationRequired`] when the user is gone by now; [`Error::Overloaded`].
    pub async fn remove_avatar(&self, who: &Principal, client: &ClientInfo) -> Result<(), Error> {
        self.write_avatar(who, None, client).await
    }

    /// The file of a picture.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Overloaded`].
    pub async fn avatar(&self, name: &AvatarName) -> Result<Bytes, Error> {
        self.blobs.get(name.as_str()).await?.ok_or(Error::NotFound)
    }

    async fn write_avatar(
        &self,
        who: &Principal,
        avatar: Option<&AvatarName>,
        client: &ClientInfo,
    ) -> Result<(), Error> {
        let user = Resource::User(Some(who.user.id));
        let event =
            self.event_by(who, AuditAction::ProfileUpdated, &user, client).with("fields", vec!["avatar"]);
        let mut tx = self.store().begin().await?;
        let replaced = tx.users().replace_avatar(who.user.id, avatar, self.now()).await?;
        let Some(ReplacedAvatar(replaced)) = replaced else { return Err(Error::AuthenticationRequired) };
        tx.audit().append(&event).await?;
        tx.commit().await?;
        self.discard_picture(replaced).await;
        Ok(())
    }

    /// Deletes a picture that no row names any more. What fails is logged: the change it follows from is made.
    pub(crate) async fn discard_picture(&self, picture: Option<AvatarName>) {
        let Some(name) = picture else { return };
        if let Err(error) = self.blobs.delete(name.as_str()).await {
            let cause = &error as &dyn std::error::Error;
            tracing::warn!(error = cause, picture = name.as_str(), "a picture was not deleted");
        }
    }
}

impl From<PictureError> for Error {
    fn from(error: PictureError) -> Self {
        match error {
            PictureError::NotAPicture | PictureError::TooLarge => {
                Self::InvalidInput(vec![FieldFault::new("avatar", error)])
            }
            PictureError::Overloaded => Self::Overloaded { retry_after: BACK_OFF, source: error.into() },
            PictureError::Failed(_) => Self::Internal(error.into()),
        }
    }
}

impl From<BlobError> for Error {
    fn from(error: BlobError) -> Self {
        Self::Overloaded { retry_after: BACK_OFF, source: error.into() }
    }
}
