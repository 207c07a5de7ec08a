//! Sign-up, sign-in, refresh, sign-out.

use identsphere_core::{Login, Register, SignIn, SignedIn};
use identsphere_kernel::ErrorCode;

use crate::app::App;
use crate::call::Call;
use crate::cookies::{CookieValues, Device};
use crate::decode::Faults;
use crate::failure::Failure;
use crate::reply::Reply;
use crate::wire::mfa::SecondFactorDueView;
use crate::wire::{
    AuthUserView, CapabilitiesView, LoginBody, RefreshBody, RegisterBody, SignInView, TokenTransport,
    TokensView,
};

/// The kind of an access token (RFC 6750).
const BEARER: &str = "Bearer";

pub(crate) async fn register(app: &App, call: &Call<'_>) -> Result<Reply, Failure> {
    let body: RegisterBody = call.json()?;
    let mut faults = Faults::default();
    let input = Register {
        email: body.email.required("email", &mut faults),
        password: body.password.required("password", &mut faults),
        organization_name: body.organization_name.required("organization_name", &mut faults),
        organization_slug: body.organization_slug.optional("organization_slug", &mut faults),
        display_name: body.display_name.optional("display_name", &mut faults),
    };
    let transport = TokenTransport::read(&body.token_transport, &mut faults);
    faults.check()?;
    let device = call.device(app, transport);
    let signed_in = app.core().register(input, &call.visitor(device.as_ref())).await?;
    sign_in_reply(app, 201, &signed_in, transport, device.as_ref())
}

pub(crate) async fn login(app: &App, call: &Call<'_>) -> Result<Reply, Failure> {
    let body: LoginBody = call.json()?;
    let mut faults = Faults::default();
    let input = Login {
        email: body.email.required("email", &mut faults),
        password: body.password.required("password", &mut faults),
    };
    let transport = TokenTransport::read(&body.token_transport, &mut faults);
    faults.check()?;
    let device = call.device(app, transport);
    let answer = app.core().login(input, &call.visitor(device.as_ref())).await?;
    sign_in_answer(app, &answer, transport, device.as_ref())
}

/// A token in the body is answered in the body, one in the cookie by cookies. Two different ones are refused, for it
/// cannot be known which is meant (RF-06).
pub(crate) async fn refresh(app: &App, call: &Call<'_>) -> Result<Reply, Failure> {
    let body: RefreshBody = if call.body.is_empty() { RefreshBody::default() } else { call.json()? };
    let mut faults = Faults::default();
    let in_body = body.refresh_token.optional("refresh_token", &mut faults);
    faults.check()?;
    let (token, transport) = match (in_body, call.identity.cookies.refresh) {
        (Some(body), Some(cookie)) if body != cookie => {
            return Err(Failure::invalid_field("refresh_token", "differs from the token in the cookie"));
        }
        (Some(body), _) => (body, TokenTransport::Bearer),
        (None, Some(cookie)) => (cookie, TokenTransport::Cookie),
        (None, None) => return Err(ErrorCode::AuthenticationRequired.into()),
    };
    let signed_in = app.core().refresh(token, &call.client).await?;
    let (refresh_token, refresh_expires_in) = in_the_body(&signed_in, transport);
    let view = TokensView {
        access_token: signed_in.access_token.expose(),
        token_type: BEARER,
        expires_in: signed_in.access_expires_in.as_secs(),
        refresh_token,
        refresh_expires_in,
    };
    Ok(with_cookies(app, Reply::json(200, &view)?, &signed_in, transport))
}

/// Signs out whoever the credentials belong to. An `Authorization` field speaks for the request alone: cookies beside
/// it are neither used nor cleared.
pub(crate) async fn logout(app: &App, call: &Call<'_>) -> Result<Reply, Failure> {
    let identity = &call.identity;
    let by_cookie = !identity.has_authorization;
    let refresh_token = identity.cookies.refresh.filter(|_| by_cookie);
    app.core().logout(identity.claims.as_deref(), refresh_token, &call.client).await?;
    let reply = Reply::empty(204);
    Ok(if by_cookie { app.cookies().clear(reply) } else { reply })
}

/// The answer to whoever showed a first factor: a session, or the question for a second factor, without any cookie.
pub(crate) fn sign_in_answer(
    app: &App,
    answer: &SignIn,
    transport: TokenTransport,
    device: Option<&Device>,
) -> Result<Reply, Failure> {
    match answer {
        SignIn::Done(signed_in) => sign_in_reply(app, 200, signed_in, transport, device),
        SignIn::SecondFactorDue(due) => Ok(Reply::json(200, &SecondFactorDueView::of(due))?),
    }
}

/// The answer to whoever has signed in, with the cookie of their browser.
pub(crate) fn sign_in_reply(
    app: &App,
    status: u16,
    signed_in: &SignedIn,
    transport: TokenTransport,
    device: Option<&Device>,
) -> Result<Reply, Failure> {
    let (refresh_token, refresh_expires_in) = in_the_body(signed_in, transport);
    let view = SignInView {
        status: "success",
        user: AuthUserView::of(&signed_in.principal),
        capabilities: CapabilitiesView::of(&signed_in.principal, app.core().authorizer()),
        access_token: signed_in.access_token.expose(),
        token_type: BEARER,
        expires_in: signed_in.access_expires_in.as_secs(),
        refresh_token,
        refresh_expires_in,
    };
    let reply = with_cookies(app, Reply::json(status, &view)?, signed_in, transport);
    let reply = match device {
        Some(device) => app.cookies().set_device(reply, device),
        None => reply,
    };
    Ok(match &signed_in.trust {
        Some(trust) => app.cookies().set_trust(reply, trust, app.core().clock().now()),
        None => reply,
    })
}

fn in_the_body(signed_in: &SignedIn, transport: TokenTransport) -> (Option<&str>, Option<u64>) {
    match transport {
        TokenTransport::Cookie => (None, None),
        TokenTransport::Bearer => {
            (Some(signed_in.refresh_token.expose()), Some(signed_in.refresh_expires_in.as_secs()))
        }
    }
}

fn with_cookies(app: &App, reply: Reply, signed_in: &SignedIn, transport: TokenTransport) -> Reply {
    if transport == TokenTransport::Bearer {
        return reply;
    }
    let csrf = app.csrf().issue(signed_in.principal.session.id, app.core().random());
    let values = CookieValues {
        access: &signed_in.access_token,
        access_ttl: signed_in.access_expires_in,
        refresh: &signed_in.refresh_token,
        refresh_ttl: signed_in.refresh_expires_in,
        csrf: &csrf,
    };
    app.cookies().set(reply, &values)
}
