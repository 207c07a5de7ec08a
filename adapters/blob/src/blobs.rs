//! Bytes under names, in a folder, in memory or in a bucket.

use std::path::Path as FilePath;

use async_trait::async_trait;
use bytes::Bytes;
use identsphere_core::{BlobError, BlobStore};
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{Error, ObjectStore, ObjectStoreExt as _, PutPayload};
use url::Url;

/// Why a place for blobs cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The URL has a scheme that this program does not know, or was built without.
    #[error("no blobs can be kept under `{0}:`; known are `file:`, `memory:` and, when built with it, `s3:`")]
    Scheme(String),
    /// The URL does not name a folder or a bucket.
    #[error("the place for blobs cannot be used")]
    Place(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Where blobs are kept.
pub struct ObjectBlobs {
    store: Box<dyn ObjectStore>,
    /// What every name begins with.
    root: Path,
}

impl ObjectBlobs {
    /// Blobs in memory, gone with the process.
    pub fn memory() -> Self {
        Self { store: Box::new(InMemory::new()), root: Path::default() }
    }

    /// Blobs in a folder, which is made when the first one is kept.
    ///
    /// # Errors
    /// [`OpenError::Place`] when the path cannot be one of a folder.
    pub fn folder(folder: &FilePath) -> Result<Self, OpenError> {
        let place = |error: Box<dyn std::error::Error + Send + Sync>| OpenError::Place(error);
        let folder = std::path::absolute(folder).map_err(|error| place(error.into()))?;
        let root = Path::from_absolute_path(folder).map_err(|error| place(error.into()))?;
        Ok(Self { store: Box::new(LocalFileSystem::new().with_fsync(true)), root })
    }

    /// Blobs at `file:`, `memory:` or `s3:`. A path of `file:` may be relative (`file://./folder`).
    ///
    /// # Errors
    /// [`OpenError`] when nothing can be kept there.
    pub fn open(location: &str) -> Result<Self, OpenError> {
        let (scheme, rest) = location.split_once(':').unwrap_or((location, ""));
        match scheme {
            "memory" => Ok(Self::memory()),
            "file" => Self::folder(FilePath::new(rest.strip_prefix("//").unwrap_or(rest))),
            "s3" => {
                let url = Url::parse(location).map_err(|error| OpenError::Place(error.into()))?;
                bucket(&url)
            }
            other => Err(OpenError::Scheme(other.to_owned())),
        }
    }

    fn path(&self, name: &str) -> Path {
        self.root.clone().join("avatars").join(name)
    }
}

/// A bucket; keys, region and endpoint are in the customary `AWS_` variables.
#[cfg(feature = "s3")]
fn bucket(url: &Url) -> Result<ObjectBlobs, OpenError> {
    let root = Path::from_url_path(url.path()).map_err(|error| OpenError::Place(error.into()))?;
    let store = object_store::aws::AmazonS3Builder::from_env().with_url(url.as_str()).build();
    let store = store.map_err(|error| OpenError::Place(error.into()))?;
    Ok(ObjectBlobs { store: Box::new(store), root })
}

#[cfg(not(feature = "s3"))]
fn bucket(url: &Url) -> Result<ObjectBlobs, OpenError> {
    Err(OpenError::Scheme(url.scheme().to_owned()))
}

#[async_trait]
impl BlobStore for ObjectBlobs {
    async fn put(&self, name: &str, bytes: Bytes) -> Result<(), BlobError> {
        self.store.put(&self.path(name), PutPayload::from_bytes(bytes)).await.map(drop).map_err(unavailable)
    }

    async fn get(&self, name: &str) -> Result<Option<Bytes>, BlobError> {
        let found = match self.store.get(&self.path(name)).await {
            Err(Error::NotFound { .. }) => return Ok(None),
            found => found.map_err(unavailable)?,
        };
        found.bytes().await.map(Some).map_err(unavailable)
    }

    async fn delete(&self, name: &str) -> Result<(), BlobError> {
        match self.store.delete(&self.path(name)).await {
            Ok(()) | Err(Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(unavailable(error)),
        }
    }
}

fn unavailable(error: Error) -> BlobError {
    BlobError(error.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn keeps_what_it_is_given(blobs: &ObjectBlobs) {
        assert_eq!(blobs.get("a.png").await.unwrap(), None);
        blobs.delete("a.png").await.unwrap();
        for bytes in [Bytes::from_static(b"one"), Bytes::new(), Bytes::from(vec![7; 600_000])] {
            blobs.put("a.png", bytes.clone()).await.unwrap();
            assert_eq!(blobs.get("a.png").await.unwrap(), Some(bytes));
        }
        blobs.put("b.png", Bytes::from_static(b"other")).await.unwrap();
        blobs.delete("a.png").await.unwrap();
        assert_eq!(blobs.get("a.png").await.unwrap(), None);
        assert!(blobs.get("b.png").await.unwrap().is_some());
    }

    #[tokio::test]
    async fn memory_keeps_what_it_is_given() {
        keeps_what_it_is_given(&ObjectBlobs::open("memory:").unwrap()).await;
    }

    #[tokio::test]
    async fn a_folder_is_made_when_it_is_needed_and_outlives_its_handle() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("with space").join("ümlaut");
        let location = format!("file://{}", folder.display());
        let blobs = ObjectBlobs::open(&location).unwrap();
        assert!(!folder.exists());
        keeps_what_it_is_given(&blobs).await;
        assert!(ObjectBlobs::open(&location).unwrap().get("b.png").await.unwrap().is_some());
        assert!(folder.join("avatars").join("b.png").exists());
    }

    #[test]
    fn other_places_are_refused() {
        for location in ["", "gs://bucket", "http://host/", "data"] {
            assert!(matches!(ObjectBlobs::open(location), Err(OpenError::Scheme(_))), "{location}");
        }
    }
}
