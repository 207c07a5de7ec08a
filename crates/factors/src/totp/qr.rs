//! The picture that an app scans.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use identsphere_kernel::SecretString;
use png::{BitDepth, ColorType, Encoder};
use qrcode::{Color, EcLevel, QrCode};
use zeroize::Zeroizing;

/// Pixels along one side of a module.
const SCALE: usize = 6;
/// Modules of white around the symbol (ISO/IEC 18004 §6.3.8).
const QUIET: usize = 4;

/// Why there is no picture of a text.
#[derive(Debug, thiserror::Error)]
pub enum QrError {
    /// It does not fit into a symbol: about 2,300 bytes.
    #[error("the text is too long for a QR code")]
    TooLong,
    /// The picture could not be written.
    #[error("the picture could not be encoded")]
    Encoding(#[source] png::EncodingError),
}

/// A QR code of `text` as a PNG file in base64 with padding: what follows `data:image/png;base64,`.
///
/// # Errors
/// [`QrError`]; the names in a URI of ours would have to be hundreds of characters long.
pub fn qr_png_base64(text: &SecretString) -> Result<SecretString, QrError> {
    let code =
        QrCode::with_error_correction_level(text.expose(), EcLevel::M).map_err(|_| QrError::TooLong)?;
    let modules = code.width();
    let pixels = (modules + 2 * QUIET) * SCALE;
    let is_dark = |x: usize, y: usize| match (place(x, modules), place(y, modules)) {
        (Some(x), Some(y)) => code[(x, y)] == Color::Dark,
        _ => false,
    };
    // One bit a pixel, rows padded to whole bytes, 1 is white (PNG §7.2).
    let mut rows = Zeroizing::new(vec![0u8; pixels.div_ceil(8) * pixels]);
    for (y, row) in rows.chunks_mut(pixels.div_ceil(8)).enumerate() {
        for (byte, eight) in row.iter_mut().enumerate() {
            let white = |bit: &usize| !is_dark(byte * 8 + bit, y);
            *eight = (0..8).filter(white).fold(0, |bits, bit| bits | 0x80 >> bit);
        }
    }
    let mut file = Zeroizing::new(Vec::new());
    let side = u32::try_from(pixels).map_err(|_| QrError::TooLong)?;
    let mut encoder = Encoder::new(&mut *file, side, side);
    encoder.set_color(ColorType::Grayscale);
    encoder.set_depth(BitDepth::One);
    let write = |encoder: Encoder<'_, _>| {
        let mut writer = encoder.write_header()?;
        writer.write_image_data(&rows)?;
        writer.finish()
    };
    write(encoder).map_err(QrError::Encoding)?;
    Ok(SecretString::new(STANDARD.encode(&*file)))
}

/// Which module a pixel shows; `None` in the quiet zone.
fn place(pixel: usize, modules: usize) -> Option<usize> {
    (pixel / SCALE).checked_sub(QUIET).filter(|module| *module < modules)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Width, and whether each pixel is dark.
    fn decoded(picture: &SecretString) -> (usize, Vec<bool>) {
        let file = STANDARD.decode(picture.expose()).unwrap();
        let mut decoder = png::Decoder::new(std::io::Cursor::new(file));
        decoder.set_transformations(png::Transformations::EXPAND);
        let mut reader = decoder.read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut pixels).unwrap();
        assert_eq!(info.width, info.height);
        (info.width as usize, pixels.iter().map(|pixel| *pixel == 0).collect())
    }

    #[test]
    fn the_picture_shows_every_module_of_the_code() {
        let text =
            SecretString::new("otpauth://totp/Acme:a%40example.com?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
        let (side, dark) = decoded(&qr_png_base64(&text).unwrap());
        let code = QrCode::with_error_correction_level(text.expose(), EcLevel::M).unwrap();
        assert_eq!(side, (code.width() + 8) * SCALE);
        for (at, dark) in dark.iter().enumerate() {
            let (x, y) = (at % side / SCALE, at / side / SCALE);
            let inside = (4..code.width() + 4).contains(&x) && (4..code.width() + 4).contains(&y);
            assert_eq!(*dark, inside && code[(x - 4, y - 4)] == Color::Dark, "at {x}, {y}");
        }
    }

    #[test]
    fn a_text_that_fits_no_symbol_is_an_error() {
        assert!(matches!(qr_png_base64(&SecretString::new("x".repeat(3_000))), Err(QrError::TooLong)));
        assert!(qr_png_base64(&SecretString::new("x".repeat(2_000))).is_ok());
    }
}
