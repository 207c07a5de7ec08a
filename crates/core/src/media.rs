//! The ports to uploaded pictures: making them harmless, and keeping them.

use async_trait::async_trait;
use bytes::Bytes;
use identsphere_accounts::PictureFormat;

/// The place where blobs are kept cannot be reached.
#[derive(Debug, thiserror::Error)]
#[error("the blob store is unavailable")]
pub struct BlobError(#[source] pub Box<dyn std::error::Error + Send + Sync>);

/// Keeps bytes under names, which are letters, digits and dots. Every node sees the same ones.
#[async_trait]
pub trait BlobStore: Send + Sync + 'static {
    /// Keeps these bytes, in the place of those that were kept under the name before. Nobody sees half of them.
    async fn put(&self, name: &str, bytes: Bytes) -> Result<(), BlobError>;

    /// The bytes under a name, if there are any.
    async fn get(&self, name: &str) -> Result<Option<Bytes>, BlobError>;

    /// Deletes what is under a name. Nothing there is no error.
    async fn delete(&self, name: &str) -> Result<(), BlobError>;
}

/// A picture that may be shown.
#[derive(Debug, Clone)]
pub struct Picture {
    /// How it is written.
    pub format: PictureFormat,
    /// The file.
    pub bytes: Bytes,
}

/// Why no picture was made.
#[derive(Debug, thiserror::Error)]
pub enum PictureError {
    /// Not a picture of a format that is taken, or a broken one.
    #[error("must be a JPEG, PNG, GIF or WebP picture")]
    NotAPicture,
    /// More pixels than are taken, or it would take too much memory.
    #[error("must be at most 4096 pixels wide and high")]
    TooLarge,
    /// All makers were busy for longer than a request may wait.
    #[error("too many pictures are being made")]
    Overloaded,
    /// The maker broke.
    #[error("making a picture failed")]
    Failed(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Makes a picture that may be shown out of what somebody sent: told by its content, bounded in size, with nothing of the
/// file but its look.
#[async_trait]
pub trait PictureMaker: Send + Sync + 'static {
    /// Makes the picture, off the asynchronous threads and within a bound of memory.
    async fn make(&self, upload: Bytes) -> Result<Picture, PictureError>;
}
