//! Pictures, read with suspicion and written anew.

use std::io::Cursor;
use std::num::NonZeroUsize;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use identsphere_accounts::PictureFormat;
use identsphere_core::{Picture, PictureError, PictureMaker};
use identsphere_kernel::Duration;
use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::PngEncoder;
use image::{DynamicImage, ImageDecoder as _, ImageError, ImageFormat, ImageReader, Limits, Rgba};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

/// What is read, told by its first bytes alone: neither a name nor a declared type says what a file is.
const FORMATS: [ImageFormat; 4] = [ImageFormat::Jpeg, ImageFormat::Png, ImageFormat::Gif, ImageFormat::WebP];
/// The longest side that is read.
const MAX_SIDE: u32 = 4_096;
/// The most memory that one picture may take while it is read.
const MAX_BYTES: u64 = 128 * 1_024 * 1_024;
/// The longest side that is written.
const SIDE: u32 = 512;
/// How good a JPEG is.
const QUALITY: u8 = 88;
/// How long a picture waits for its turn.
const PATIENCE: Duration = Duration::from_secs(5);

/// Makes pictures, on blocking threads, a bounded number at a time.
pub struct PictureWorkshop {
    benches: Arc<Semaphore>,
}

impl PictureWorkshop {
    /// A workshop that makes so many pictures at a time, each in at most 128 MiB and about a second.
    pub fn new(at_a_time: NonZeroUsize) -> Self {
        Self { benches: Arc::new(Semaphore::new(at_a_time.get())) }
    }
}

#[async_trait]
impl PictureMaker for PictureWorkshop {
    async fn make(&self, upload: Bytes) -> Result<Picture, PictureError> {
        let bench = timeout(PATIENCE, Arc::clone(&self.benches).acquire_owned());
        let bench = bench.await.map_err(|_| PictureError::Overloaded)?;
        let bench = bench.map_err(|error| PictureError::Failed(error.into()))?;
        let work = move || {
            let _bench = bench;
            make(&upload)
        };
        spawn_blocking(work).await.map_err(|error| PictureError::Failed(error.into()))?
    }
}

fn make(upload: &[u8]) -> Result<Picture, PictureError> {
    let mut picture = read(upload)?;
    if picture.width() > SIDE || picture.height() > SIDE {
        picture = picture.thumbnail(SIDE, SIDE);
    }
    write(&picture).map_err(|error| PictureError::Failed(error.into()))
}

/// The first frame, as upright as its camera says.
fn read(upload: &[u8]) -> Result<DynamicImage, PictureError> {
    let format = image::guess_format(upload).ok().filter(|format| FORMATS.contains(format));
    let mut reader = ImageReader::with_format(Cursor::new(upload), format.ok_or(PictureError::NotAPicture)?);
    let mut limits = Limits::no_limits();
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    limits.max_alloc = Some(MAX_BYTES);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(refusal)?;
    let (width, height) = decoder.dimensions();
    if width > MAX_SIDE || height > MAX_SIDE || decoder.total_bytes() > MAX_BYTES {
        return Err(PictureError::TooLarge);
    }
    let orientation = decoder.orientation().map_err(refusal)?;
    let mut picture = DynamicImage::from_decoder(decoder).map_err(refusal)?;
    picture.apply_orientation(orientation);
    Ok(picture)
}

fn refusal(error: ImageError) -> PictureError {
    match error {
        ImageError::Limits(_) => PictureError::TooLarge,
        ImageError::Decoding(_)
        | ImageError::Encoding(_)
        | ImageError::Parameter(_)
        | ImageError::Unsupported(_)
        | ImageError::IoError(_) => PictureError::NotAPicture,
    }
}

/// Pixels and nothing else: no metadata of the upload is written.
fn write(picture: &DynamicImage) -> Result<Picture, ImageError> {
    let mut bytes = Vec::new();
    let pixels = picture.to_rgba8();
    let format = if pixels.pixels().all(|Rgba([.., alpha])| *alpha == u8::MAX) {
        picture.to_rgb8().write_with_encoder(JpegEncoder::new_with_quality(&mut bytes, QUALITY))?;
        PictureFormat::Jpeg
    } else {
        pixels.write_with_encoder(PngEncoder::new(&mut bytes))?;
        PictureFormat::Png
    };
    Ok(Picture { format, bytes: Bytes::from(bytes) })
}

#[cfg(test)]
mod tests {
    use image::{RgbImage, RgbaImage};

    use super::*;

    fn encode(picture: &DynamicImage, format: ImageFormat) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        picture.write_to(&mut bytes, format).unwrap();
        bytes.into_inner()
    }

    fn opaque(width: u32, height: u32) -> DynamicImage {
        RgbImage::from_fn(width, height, |x, y| image::Rgb([x as u8, y as u8, 7])).into()
    }

    fn size(picture: &Picture) -> (u32, u32) {
        let read = image::load_from_memory(&picture.bytes).unwrap();
        (read.width(), read.height())
    }

    #[test]
    fn every_format_is_read_by_its_content() {
        for format in FORMATS {
            let made = make(&encode(&opaque(100, 40), format)).unwrap();
            assert_eq!((made.format, size(&made)), (PictureFormat::Jpeg, (100, 40)), "{format:?}");
            assert_eq!(image::guess_format(&made.bytes).unwrap(), ImageFormat::Jpeg);
        }
    }

    #[test]
    fn transparency_is_kept() {
        let clear: DynamicImage = RgbaImage::from_pixel(8, 8, Rgba([1, 2, 3, 0])).into();
        let made = make(&encode(&clear, ImageFormat::Png)).unwrap();
        assert_eq!(made.format, PictureFormat::Png);
        assert_eq!(image::load_from_memory(&made.bytes).unwrap().to_rgba8().get_pixel(0, 0).0[3], 0);
    }

    #[test]
    fn large_pictures_shrink_and_small_ones_stay() {
        assert_eq!(size(&make(&encode(&opaque(2_000, 1_000), ImageFormat::Jpeg)).unwrap()), (512, 256));
        assert_eq!(size(&make(&encode(&opaque(1, 1), ImageFormat::Png)).unwrap()), (1, 1));
    }

    /// A PNG of a few kilobytes that would unfold to gigabytes.
    #[test]
    fn a_picture_that_unfolds_without_end_is_refused() {
        for (width, height) in [(60_000, 60_000), (4_097, 1), (1, 1_000_000)] {
            let mut bomb = encode(&opaque(1, 1), ImageFormat::Png);
            bomb[16..20].copy_from_slice(&u32::to_be_bytes(width));
            bomb[20..24].copy_from_slice(&u32::to_be_bytes(height));
            let checksum = crc32(&bomb[12..29]);
            bomb[29..33].copy_from_slice(&checksum.to_be_bytes());
            assert!(matches!(make(&bomb), Err(PictureError::TooLarge)), "{width}x{height}");
        }
    }

    #[test]
    fn what_is_no_picture_is_refused() {
        let mut cut = encode(&opaque(50, 50), ImageFormat::Png);
        cut.truncate(60);
        let svg = b"<svg xmlns=\"http://www.w3.org/2000/svg\"><script>alert(1)</script></svg>";
        for bytes in [&b""[..], b"x", svg, b"<html>", b"\x89PNG\r\n\x1a\n<html>", b"GIF89a", b"BM", &cut] {
            assert!(matches!(make(bytes), Err(PictureError::NotAPicture)), "{bytes:?}");
        }
    }

    #[test]
    fn nothing_of_the_file_survives_but_its_look() {
        let mut upload = encode(&opaque(20, 20), ImageFormat::Jpeg);
        upload.splice(2..2, *b"\xff\xfe\x00\x12<script>secret-");
        upload.extend_from_slice(b"<?php secret ?>");
        let made = make(&upload).unwrap();
        let text = String::from_utf8_lossy(&made.bytes).into_owned();
        assert!(!text.contains("secret"));
    }

    fn crc32(bytes: &[u8]) -> u32 {
        !bytes.iter().fold(u32::MAX, |crc, byte| {
            (0..8)
                .fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg()))
        })
    }
}
