//! The development outbox. Requests that may not see it never come here.

use identsphere_core::MailReader;
use identsphere_kernel::{ErrorCode, MailId};

use crate::app::App;
use crate::call::Call;
use crate::failure::Failure;
use crate::outbox;
use crate::reply::Reply;

pub(crate) async fn list(app: &App, _: &Call<'_>) -> Result<Reply, Failure> {
    let mails = reader(app)?.list();
    Ok(page(outbox::list(mails.iter().map(|mail| &**mail))))
}

pub(crate) async fn read(app: &App, call: &Call<'_>) -> Result<Reply, Failure> {
    let mail = reader(app)?.get(call.id::<MailId>("id")?).ok_or(ErrorCode::NotFound)?;
    Ok(page(outbox::message(&mail)))
}

fn reader(app: &App) -> Result<&dyn MailReader, Failure> {
    app.development_mail().ok_or_else(|| ErrorCode::NotFound.into())
}

fn page(html: String) -> Reply {
    let reply = Reply::document(200, "text/html; charset=utf-8", html);
    reply.with("content-security-policy", outbox::POLICY).with("cross-origin-opener-policy", "same-origin")
}
