//! Everything that goes through the mailbox.

use identsphere_core::{ChangeEmail, EmailCode, ResetPassword};

use crate::app::App;
use crate::call::Call;
use crate::decode::Faults;
use crate::failure::Failure;
use crate::handlers::sign_in::sign_in_answer;
use crate::reply::Reply;
use crate::wire::TokenTransport;
use crate::wire::email::{ChangeEmailBody, EmailBody, EmailCodeBody, ResetPasswordBody, TokenBody};

pub(crate) async fn send_verification(app: &App, call: &Call<'_>) -> Result<Reply, Failure> {
    app.core().send_verification(call.principal()?, &call.visitor(None)).await?;
    Ok(Reply::empty(204))
}

pub(crate) async fn verify(app: &App, call: &Call<'_>) -> Result<Reply, Failure> {
    app.core().verify_email(&token(call)?, &call.visitor(None)).await?;
    Ok(Reply::empty(204))
}

pub(crate) async fn request_code(app: &App, call: &Call<'_>) -> Result<Reply, Failure> {
    app.core().request_code(&email(call)?, &call.visitor(None)).await?;
    Ok(Reply::empty(204))
}

pub(crate) async fn sign_in_with_code(app: &App, call: &Call<'_>) -> Result<Reply, Failure> {
    let body: EmailCodeBody = call.json()?;
    let mut faults = Faults::default();
    let input = EmailCode {
        email: body.email.required("email", &mut faults),
        code: body.code.required("code", &mut faults),
    };
    let transport = TokenTransport::read(&body.token_transport, &mut faults);
    faults.check()?;
    let device = call.device(app, transport);
    let answer = app.core().sign_in_with_code(input, &call.visitor(device.as_ref())).await?;
    sign_in_answer(app, &answer, transport, device.as_ref())
}

pub(crate) async fn forgot_password(app: &App, call: &Call<'_>) -> Result<Reply, Failure> {
    app.core().forgot_password(&email(call)?, &call.visitor(None)).await?;
    Ok(Reply::empty(204))
}

pub(crate) async fn reset_password(app: &App, call: &Call<'_>) -> Result<Reply, Failure> {
    let body: ResetPasswordBody = call.json()?;
    let mut faults = Faults::default();
    let input = ResetPassword {
        token: body.token.required("token", &mut faults),
        new_password: body.new_password.required("new_password", &mut faults),
    };
    faults.check()?;
    app.core().reset_password(input, &call.visitor(None)).await?;
    Ok(Reply::empty(204))
}

pub(crate) async fn change_email(app: &App, call: &Call<'_>) -> Result<Reply, Failure> {
    let body: ChangeEmailBody = call.json()?;
    let mut faults = Faults::default();
    let input = ChangeEmail {
        new_email: body.new_email.required("new_email", &mut faults),
        password: body.password.required("password", &mut faults),
    };
    faults.check()?;
    app.core().change_email(call.principal()?, input, &call.visitor(None)).await?;
    Ok(Reply::empty(204))
}

pub(crate) async fn disown_session(app: &App, call: &Call<'_>) -> Result<Reply, Failure> {
    app.core().disown_session(&token(call)?, &call.visitor(None)).await?;
    Ok(Reply::empty(204))
}

fn email(call: &Call<'_>) -> Result<String, Failure> {
    let body: EmailBody = call.json()?;
    let mut faults = Faults::default();
    let email = body.email.required("email", &mut faults).to_owned();
    faults.check().map(|()| email)
}

fn token(call: &Call<'_>) -> Result<String, Failure> {
    let body: TokenBody = call.json()?;
    let mut faults = Faults::default();
    let token = body.token.required("token", &mut faults).to_owned();
    faults.check().map(|()| token)
}
