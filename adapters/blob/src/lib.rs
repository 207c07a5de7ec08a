//! Uploaded pictures: made harmless, and kept.
//!
//! [`PictureWorkshop`] reads whatever somebody sent, by its content, and writes a new picture that has nothing of the old
//! file but its look. [`ObjectBlobs`] keeps bytes under names: in a folder, in memory, or, with the feature `s3`, in a
//! bucket. This crate must never know whose picture it is, nor HTTP.
//!
//! To take another format: its feature of the `image` crate and a line in `FORMATS`. To keep bytes in another place: a
//! scheme in [`ObjectBlobs::open`].

mod blobs;
mod pictures;

pub use blobs::{ObjectBlobs, OpenError};
pub use pictures::PictureWorkshop;
