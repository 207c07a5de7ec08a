//! The pictures of users.

use identsphere_accounts::AvatarName;
use identsphere_kernel::ErrorCode;

use crate::app::App;
use crate::call::Call;
use crate::failure::Failure;
use crate::multipart;
use crate::reply::Reply;
use crate::table::MAX_PICTURE;
use crate::wire_profile::AvatarView;

pub(crate) async fn set(app: &App, call: &Call<'_>) -> Result<Reply, Failure> {
    let who = call.principal()?;
    let names = &["avatar", "file"];
    let upload = multipart::file(call.head.content_type, call.body.clone(), names, MAX_PICTURE).await?;
    let avatar = app.core().set_avatar(who, upload, &call.client).await?;
    Ok(Reply::json(200, &AvatarView { avatar_url: format!("{}{}", app.base(), avatar.path()) })?)
}

pub(crate) async fn remove(app: &App, call: &Call<'_>) -> Result<Reply, Failure> {
    app.core().remove_avatar(call.principal()?, &call.client).await?;
    Ok(Reply::empty(204))
}

/// A picture of ours, written anew from what was sent, and yet a file that strangers had a hand in: it is declared as what
/// it is, never guessed, and cannot run anything where it is opened by itself. It is shown on pages of other origins; under
/// its name it never changes, and a day is how long a deleted one may be shown by whoever keeps it.
pub(crate) async fn show(app: &App, call: &Call<'_>) -> Result<Reply, Failure> {
    let name = call.endpoint.variable("name", call.head.path).and_then(AvatarName::parse);
    let name = name.ok_or_else(|| Failure::new(ErrorCode::NotFound))?;
    let picture = app.core().avatar(&name).await?;
    let etag = format!("\"{}\"", name.as_str());
    let reply = if call.has_current(&etag) {
        Reply::empty(304)
    } else {
        Reply::document(200, name.format().media_type(), picture).with("content-disposition", "inline")
    };
    Ok(reply
        .with_value("etag", etag)
        .with("cache-control", "public, max-age=86400, immutable")
        .with("content-security-policy", "default-src 'none'; sandbox")
        .with("cross-origin-resource-policy", "cross-origin"))
}
