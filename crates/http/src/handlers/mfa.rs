//! Second factors, step-ups and trusted browsers.

use identsphere_core::{ChallengeAnswer, ShownFactor};

use crate::app::App;
use crate::call::Call;
use crate::decode::Faults;
use crate::failure::Failure;
use crate::handlers::sign_in::sign_in_reply;
use crate::reply::Reply;
use crate::wire::TokenTransport;
use crate::wire::mfa::{
    ChallengeBody, CodeBody, MfaSetupView, MfaStatusView, NewlyTrustedView, OwnPasswordBody,
    RecoveryCodesView, SteppedUpView, TrustBody, TrustedBrowserView,
};

pub(crate) async fn status(app: &App, call: &Call<'_>) -> Result<Reply, Failure> {
    let status = app.core().mfa_status(call.principal()?).await?;
    Ok(Reply::json(200, &MfaStatusView::from(status))?)
}

pub(crate) async fn set_up(app: &App, call: &Call<'_>) -> Result<Reply, Failure> {
    let setup = app.core().set_up_mfa(call.principal()?).await?;
    Ok(Reply::json(200, &MfaSetupView::of(&setup))?)
}

pub(crate) async fn enable(app: &App, call: &Call<'_>) -> Result<Reply, Failure> {
    let codes = app.core().enable_mfa(call.principal()?, &code(call)?, &call.visitor(None)).await?;
    Ok(Reply::json(200, &RecoveryCodesView::of(&codes))?)
}

pub(crate) async fn disable(app: &App, call: &Call<'_>) -> Result<Reply, Failure> {
    app.core().disable_mfa(call.principal()?, &password(call)?, &call.visitor(None)).await?;
    Ok(Reply::empty(204))
}

pub(crate) async fn replace_recovery_codes(app: &App, call: &Call<'_>) -> Result<Reply, Failure> {
    let (who, visitor) = (call.principal()?, call.visitor(None));
    let codes = app.core().replace_recovery_codes(who, &password(call)?, &visitor).await?;
    Ok(Reply::json(200, &RecoveryCodesView::of(&codes))?)
}

pub(crate) async fn challenge(app: &App, call: &Call<'_>) -> Result<Reply, Failure> {
    let body: ChallengeBody = call.json()?;
    let mut faults = Faults::default();
    let mfa_token = body.mfa_token.required("mfa_token", &mut faults);
    let code = body.code.optional("code", &mut faults);
    let recovery_code = body.recovery_code.optional("recovery_code", &mut faults);
    let shown = match (code, recovery_code) {
        (Some(code), None) => ShownFactor::Code(code),
        (None, Some(code)) => ShownFactor::RecoveryCode(code),
        (None, None) => {
            ShownFactor::Code(faults.note("code", "is required, or `recovery_code` instead of it"))
        }
        (Some(_), Some(_)) => {
            ShownFactor::Code(faults.note("recovery_code", "cannot stand beside `code`: one of them is due"))
        }
    };
    let transport = TokenTransport::read(&body.token_transport, &mut faults);
    faults.check()?;
    let device = call.device(app, transport);
    let answer = ChallengeAnswer { mfa_token, shown };
    let signed_in = app.core().answer_challenge(answer, &call.visitor(device.as_ref())).await?;
    sign_in_reply(app, 200, &signed_in, transport, device.as_ref())
}

pub(crate) async fn step_up(app: &App, call: &Call<'_>) -> Result<Reply, Failure> {
    let step_up = app.core().step_up(call.principal()?, &code(call)?, &call.visitor(None)).await?;
    Ok(Reply::json(200, &SteppedUpView::from(step_up))?)
}

pub(crate) async fn trust_browser(app: &App, call: &Call<'_>) -> Result<Reply, Failure> {
    let body: TrustBody = if call.body.is_empty() { TrustBody::default() } else { call.json()? };
    let mut faults = Faults::default();
    let label = body.label.optional("label", &mut faults);
    faults.check()?;
    let trusted = app.core().trust_browser(call.principal()?, label, &call.client).await?;
    let view = NewlyTrustedView { trusted_browser: TrustedBrowserView::of(&trusted.browser) };
    Ok(app.cookies().set_trust(Reply::json(200, &view)?, &trusted.token, app.core().clock().now()))
}

pub(crate) async fn list_trusted_browsers(app: &App, call: &Call<'_>) -> Result<Reply, Failure> {
    let browsers = app.core().list_trusted_browsers(call.principal()?).await?;
    let views: Vec<_> = browsers.iter().map(TrustedBrowserView::of).collect();
    Ok(Reply::json(200, &views)?)
}

pub(crate) async fn distrust_browser(app: &App, call: &Call<'_>) -> Result<Reply, Failure> {
    app.core().distrust_browser(call.principal()?, call.id("id")?, &call.client).await?;
    Ok(Reply::empty(204))
}

fn code(call: &Call<'_>) -> Result<String, Failure> {
    let body: CodeBody = call.json()?;
    let mut faults = Faults::default();
    let code = body.code.required("code", &mut faults).to_owned();
    faults.check().map(|()| code)
}

fn password(call: &Call<'_>) -> Result<String, Failure> {
    let body: OwnPasswordBody = call.json()?;
    let mut faults = Faults::default();
    let password = body.password.required("password", &mut faults).to_owned();
    faults.check().map(|()| password)
}
