//! The caller's own account.

use identsphere_core::{ChangeEnds, ChangePassword, ProfileRecord, UpdateProfile};

use crate::app::App;
use crate::call::Call;
use crate::decode::Faults;
use crate::failure::Failure;
use crate::reply::Reply;
use crate::wire_export::ExportView;
use crate::wire_profile::{DeletionBody, OrganizationMembershipView, PasswordBody, ProfileBody, ProfileView};

pub(crate) async fn get(app: &App, call: &Call<'_>) -> Result<Reply, Failure> {
    let record = app.core().profile(call.principal()?).await?;
    reply(app, call, &record)
}

pub(crate) async fn update(app: &App, call: &Call<'_>) -> Result<Reply, Failure> {
    let who = call.principal()?;
    let ProfileBody { display_name, job_title, phone_number, bio, preferences } = call.json()?;
    let mut faults = Faults::default();
    let input = UpdateProfile {
        display_name: display_name.optional("display_name", &mut faults),
        job_title: job_title.optional("job_title", &mut faults),
        phone_number: phone_number.optional("phone_number", &mut faults),
        bio: bio.optional("bio", &mut faults),
        preferences: preferences.object("preferences", &mut faults),
    };
    faults.check()?;
    let record = app.core().update_profile(who, input, &call.client).await?;
    reply(app, call, &record)
}

pub(crate) async fn organizations(app: &App, call: &Call<'_>) -> Result<Reply, Failure> {
    let found = app.core().list_organizations(call.principal()?).await?;
    let views: Vec<_> = found.iter().map(OrganizationMembershipView::of).collect();
    Ok(Reply::json(200, &views)?)
}

pub(crate) async fn change_password(app: &App, call: &Call<'_>) -> Result<Reply, Failure> {
    let who = call.principal()?;
    let body: PasswordBody = call.json()?;
    let mut faults = Faults::default();
    let ends = body.sign_out_other_sessions.flag("sign_out_other_sessions", &mut faults);
    let input = ChangePassword {
        current_password: body.current_password.required("current_password", &mut faults),
        new_password: body.new_password.required("new_password", &mut faults),
        end: if ends == Some(false) { ChangeEnds::Nothing } else { ChangeEnds::OtherSessions },
    };
    faults.check()?;
    app.core().change_password(who, input, &call.visitor(None)).await?;
    Ok(Reply::empty(204))
}

/// The cookies of the session go with it, unless an `Authorization` field spoke for the request.
pub(crate) async fn delete(app: &App, call: &Call<'_>) -> Result<Reply, Failure> {
    let who = call.principal()?;
    let body: DeletionBody = call.json()?;
    let mut faults = Faults::default();
    let password = body.password.required("password", &mut faults);
    faults.check()?;
    app.core().delete_account(who, password, &call.visitor(None)).await?;
    let reply = Reply::empty(204);
    Ok(if call.identity.has_authorization { reply } else { app.cookies().clear(reply) })
}

pub(crate) async fn export(app: &App, call: &Call<'_>) -> Result<Reply, Failure> {
    let who = call.principal()?;
    let export = app.core().export(who).await?;
    let reply = Reply::json(200, &ExportView::of(&export, who, app.base()))?;
    Ok(reply.with("content-disposition", "attachment; filename=\"identsphere-export.json\""))
}

fn reply(app: &App, call: &Call<'_>, record: &ProfileRecord) -> Result<Reply, Failure> {
    Ok(Reply::json(200, &ProfileView::of(record, call.principal()?, app.base()))?)
}
