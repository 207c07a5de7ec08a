//! The caller's sessions.

use identsphere_core::EndScope;

use crate::app::App;
use crate::call::Call;
use crate::decode;
use crate::failure::Failure;
use crate::reply::Reply;
use crate::wire::{CurrentSessionView, SessionView};

pub(crate) async fn current(app: &App, call: &Call<'_>) -> Result<Reply, Failure> {
    let view = CurrentSessionView::of(call.principal()?, app.core().authorizer());
    Ok(Reply::json(200, &view)?)
}

pub(crate) async fn list(app: &App, call: &Call<'_>) -> Result<Reply, Failure> {
    let who = call.principal()?;
    let sessions = app.core().list_sessions(who).await?;
    let views: Vec<_> = sessions.iter().map(|session| SessionView::of(session, who.session.id)).collect();
    Ok(Reply::json(200, &views)?)
}

pub(crate) async fn end(app: &App, call: &Call<'_>) -> Result<Reply, Failure> {
    app.core().end_session(call.principal()?, call.id("id")?, &call.client).await?;
    Ok(Reply::empty(204))
}

pub(crate) async fn end_all(app: &App, call: &Call<'_>) -> Result<Reply, Failure> {
    let parameter = "except_current";
    let scope = match decode::query(call.head.query, parameter)?.as_deref() {
        None | Some("false") => EndScope::All,
        Some("true") => EndScope::Others,
        Some(_) => return Err(Failure::invalid_field(parameter, "must be `true` or `false`")),
    };
    app.core().end_sessions(call.principal()?, scope, &call.client).await?;
    Ok(Reply::empty(204))
}
