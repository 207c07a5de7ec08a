//! Passkeys: made, listed, used.

use identsphere_core::NewPasskey;

use crate::app::App;
use crate::call::Call;
use crate::decode::Faults;
use crate::failure::Failure;
use crate::handlers::sign_in::sign_in_answer;
use crate::reply::Reply;
use crate::wire::TokenTransport;
use crate::wire::mfa::SteppedUpView;
use crate::wire::passkeys::{
    CreationView, LabelBody, NewPasskeyBody, PasskeySignInBody, PasskeyView, RequestView, ShownPasskeyBody,
    UsedPasskeyBody,
};

pub(crate) async fn begin_registration(app: &App, call: &Call<'_>) -> Result<Reply, Failure> {
    let public_key = app.core().begin_passkey(call.principal()?, &call.visitor(None)).await?;
    Ok(Reply::json(200, &CreationView { public_key })?)
}

pub(crate) async fn complete_registration(app: &App, call: &Call<'_>) -> Result<Reply, Failure> {
    let body: NewPasskeyBody = call.json()?;
    let mut faults = Faults::default();
    let input = NewPasskey {
        credential: body.credential.required(&mut faults),
        label: body.label.optional("label", &mut faults),
    };
    faults.check()?;
    let passkey = app.core().add_passkey(call.principal()?, input, &call.visitor(None)).await?;
    Ok(Reply::json(200, &PasskeyView::of(&passkey))?)
}

pub(crate) async fn list(app: &App, call: &Call<'_>) -> Result<Reply, Failure> {
    let passkeys = app.core().list_passkeys(call.principal()?).await?;
    let views: Vec<_> = passkeys.iter().map(PasskeyView::of).collect();
    Ok(Reply::json(200, &views)?)
}

pub(crate) async fn rename(app: &App, call: &Call<'_>) -> Result<Reply, Failure> {
    let id = call.id("id")?;
    let body: LabelBody = call.json()?;
    let mut faults = Faults::default();
    let label = body.label.required("label", &mut faults);
    faults.check()?;
    let passkey = app.core().rename_passkey(call.principal()?, id, label, &call.client).await?;
    Ok(Reply::json(200, &PasskeyView::of(&passkey))?)
}

pub(crate) async fn remove(app: &App, call: &Call<'_>) -> Result<Reply, Failure> {
    app.core().remove_passkey(call.principal()?, call.id("id")?, &call.visitor(None)).await?;
    Ok(Reply::empty(204))
}

pub(crate) async fn begin_sign_in(app: &App, call: &Call<'_>) -> Result<Reply, Failure> {
    let body: PasskeySignInBody =
        if call.body.is_empty() { PasskeySignInBody::default() } else { call.json()? };
    let mut faults = Faults::default();
    let email = body.email.optional("email", &mut faults);
    faults.check()?;
    let public_key = app.core().begin_passkey_sign_in(email, &call.visitor(None)).await?;
    Ok(Reply::json(200, &RequestView { public_key })?)
}

pub(crate) async fn complete_sign_in(app: &App, call: &Call<'_>) -> Result<Reply, Failure> {
    let body: UsedPasskeyBody = call.json()?;
    let mut faults = Faults::default();
    let credential = body.credential.required(&mut faults);
    let transport = TokenTransport::read(&body.token_transport, &mut faults);
    faults.check()?;
    let device = call.device(app, transport);
    let answer = app.core().sign_in_with_passkey(credential, &call.visitor(device.as_ref())).await?;
    sign_in_answer(app, &answer, transport, device.as_ref())
}

pub(crate) async fn begin_step_up(app: &App, call: &Call<'_>) -> Result<Reply, Failure> {
    let public_key = app.core().begin_passkey_step_up(call.principal()?, &call.visitor(None)).await?;
    Ok(Reply::json(200, &RequestView { public_key })?)
}

pub(crate) async fn complete_step_up(app: &App, call: &Call<'_>) -> Result<Reply, Failure> {
    let body: ShownPasskeyBody = call.json()?;
    let mut faults = Faults::default();
    let credential = body.credential.required(&mut faults);
    faults.check()?;
    let (who, visitor) = (call.principal()?, call.visitor(None));
    let step_up = app.core().step_up_with_passkey(who, credential, &visitor).await?;
    Ok(Reply::json(200, &SteppedUpView::from(step_up))?)
}
