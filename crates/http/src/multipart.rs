//! Bodies of forms that carry a file.

use bytes::Bytes;
use futures::stream;
use identsphere_kernel::ErrorCode;
use multer::Multipart;

use crate::failure::Failure;

/// Whether a content type is that of a form with files, with the boundary that it needs (RFC 7578 §4.1).
pub(crate) fn is_multipart(content_type: &str) -> bool {
    multer::parse_boundary(content_type).is_ok()
}

/// The one file of a form, in a part of one of these names. What the part says about its name and type is not looked at.
///
/// # Errors
/// The body is no such form, has other parts or more than one, or the file is larger than `limit` bytes.
pub(crate) async fn file(
    content_type: Option<&str>,
    body: Bytes,
    names: &[&'static str],
    limit: usize,
) -> Result<Bytes, Failure> {
    let boundary = content_type.and_then(|content_type| multer::parse_boundary(content_type).ok());
    let boundary = boundary.ok_or_else(|| Failure::new(ErrorCode::UnsupportedMediaType))?;
    let whole = stream::iter([Ok::<_, std::convert::Infallible>(body)]);
    let mut form = Multipart::new(whole, boundary);
    let mut file = None;
    while let Some(part) = form.next_field().await.map_err(broken)? {
        let is_known = part.name().is_some_and(|name| names.contains(&name));
        if !is_known || file.is_some() {
            return Err(Failure::invalid_field("body", "must have one part, named `avatar` or `file`"));
        }
        let content = part.bytes().await.map_err(broken)?;
        if content.len() > limit {
            return Err(ErrorCode::PayloadTooLarge.into());
        }
        file = Some(content);
    }
    file.ok_or_else(|| Failure::invalid_field("avatar", "is required"))
}

fn broken(_: multer::Error) -> Failure {
    Failure::invalid_field("body", "must be valid multipart/form-data")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TYPE: &str = "multipart/form-data; boundary=X";

    async fn read(body: &str) -> Result<Bytes, u16> {
        let body = Bytes::from(body.replace('\n', "\r\n"));
        file(Some(TYPE), body, &["avatar", "file"], 8).await.map_err(|failure| failure.code.status())
    }

    fn part(disposition: &str, content: &str) -> String {
        format!("--X\nContent-Disposition: {disposition}\n\n{content}\n")
    }

    #[tokio::test]
    async fn one_file_is_read_from_a_part_of_either_name() {
        for name in ["avatar", "file"] {
            let body =
                part(&format!("form-data; name=\"{name}\"; filename=\"../../x.php\""), "bytes") + "--X--\n";
            assert_eq!(read(&body).await, Ok(Bytes::from_static(b"bytes")));
        }
    }

    #[tokio::test]
    async fn everything_else_is_refused() {
        let good = part("form-data; name=\"avatar\"", "bytes");
        for (body, status) in [
            (String::new(), 400),
            ("--X--\n".to_owned(), 400),
            (good.clone(), 400),
            (good.clone() + &good + "--X--\n", 400),
            (part("form-data; name=\"picture\"", "bytes") + "--X--\n", 400),
            (part("form-data", "bytes") + "--X--\n", 400),
            (good.clone() + &part("form-data; name=\"role\"", "owner") + "--X--\n", 400),
            (part("form-data; name=\"avatar\"", "ninebytes") + "--X--\n", 413),
            ("nonsense".to_owned(), 400),
        ] {
            assert_eq!(read(&body).await, Err(status), "{body}");
        }
    }

    #[test]
    fn a_form_names_its_boundary() {
        assert!(is_multipart("multipart/form-data; boundary=abc"));
        for other in
            ["multipart/form-data", "multipart/mixed; boundary=abc", "application/json", "", "x; boundary=a"]
        {
            assert!(!is_multipart(other), "{other}");
        }
    }

    proptest! {
        #[test]
        fn no_body_makes_the_reader_panic(body in prop::collection::vec(any::<u8>(), 0..200)) {
            let whole = [b"--X\r\nContent-Disposition: form-data; name=\"file\"\r\n".to_vec(), body].concat();
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let _ = runtime.block_on(file(Some(TYPE), whole.into(), &["file"], 100));
        }
    }
}
