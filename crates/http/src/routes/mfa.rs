//! Second factors, step-ups and trusted browsers (contract §4.3, §4.5).

use identsphere_core::StepUpRule;
use identsphere_kernel::ErrorCode;

use super::READ;
use crate::handlers::mfa;
use crate::table::{
    AuthRule, BodyRule, Content, CsrfRule, Limit, MAX_BODY, Method, RateClass, Route, Shape, Success,
};
use crate::wire::SignInView;
use crate::wire::mfa::{
    ChallengeBody, CodeBody, MfaSetupView, MfaStatusView, NewlyTrustedView, OwnPasswordBody,
    RecoveryCodesView, SteppedUpView, TrustBody, TrustedBrowserView,
};

const MFA: &str = "Second factor";

/// The most common columns of this chapter: a user changes something of theirs.
const WRITE: Route =
    Route { method: Method::Post, chapter: MFA, auth: AuthRule::User, csrf: CsrfRule::CookieWrite, ..READ };

pub(super) const STATUS: Route = Route {
    operation: "getMfaStatus",
    summary: "Whether there is a second factor",
    chapter: MFA,
    auth: AuthRule::User,
    success: Success {
        status: 200,
        description: "Whether it is on, and how many recovery codes are left",
        content: Content::Object(Shape::of::<MfaStatusView>()),
    },
    handler: |app, call| Box::pin(mfa::status(app, call)),
    ..READ
};

pub(super) const SET_UP: Route = Route {
    operation: "setUpMfa",
    summary: "Set up an authenticator",
    description: "Nothing is asked for before a code confirms it (`enableMfa`); until then it can be set up anew.",
    success: Success {
        status: 200,
        description: "What to enter into an authenticator app",
        content: Content::Object(Shape::of::<MfaSetupView<'static>>()),
    },
    refusals: &[ErrorCode::Conflict],
    handler: |app, call| Box::pin(mfa::set_up(app, call)),
    ..WRITE
};

pub(super) const ENABLE: Route = Route {
    operation: "enableMfa",
    summary: "Confirm the authenticator",
    description: "From now on sign-ins ask for its codes. Each code is accepted once. The recovery codes are shown here \
                  and never again.",
    rate: RateClass::SecondFactor,
    body: BodyRule::Required(Shape::of::<CodeBody>(), Limit(MAX_BODY)),
    success: Success {
        status: 200,
        description: "The second factor is on",
        content: Content::Object(Shape::of::<RecoveryCodesView<'static>>()),
    },
    refusals: &[ErrorCode::Conflict],
    handler: |app, call| Box::pin(mfa::enable(app, call)),
    ..WRITE
};

pub(super) const DISABLE: Route = Route {
    operation: "disableMfa",
    summary: "Remove the authenticator",
    description: "Recovery codes and trusted browsers go with it, and sessions that it was shown in end, but for this one.",
    step_up: StepUpRule::IfEnrolled,
    rate: RateClass::Password,
    body: BodyRule::Required(Shape::of::<OwnPasswordBody>(), Limit(MAX_BODY)),
    success: Success { status: 204, description: "The second factor is off", content: Content::Empty },
    refusals: &[ErrorCode::InvalidCredentials, ErrorCode::Conflict],
    handler: |app, call| Box::pin(mfa::disable(app, call)),
    ..WRITE
};

pub(super) const REPLACE_RECOVERY_CODES: Route = Route {
    operation: "replaceRecoveryCodes",
    summary: "Get other recovery codes",
    description: "Those before are worth nothing from now on.",
    step_up: StepUpRule::IfEnrolled,
    rate: RateClass::Password,
    body: BodyRule::Required(Shape::of::<OwnPasswordBody>(), Limit(MAX_BODY)),
    success: Success {
        status: 200,
        description: "The codes",
        content: Content::Object(Shape::of::<RecoveryCodesView<'static>>()),
    },
    refusals: &[ErrorCode::InvalidCredentials, ErrorCode::Conflict],
    handler: |app, call| Box::pin(mfa::replace_recovery_codes(app, call)),
    ..WRITE
};

pub(super) const CHALLENGE: Route = Route {
    method: Method::Post,
    operation: "answerMfaChallenge",
    summary: "Show the second factor of a sign-in",
    description: "Takes the `mfa_token` that a sign-in was answered with, within five minutes, in the same browser, and \
                  with at most five attempts.",
    chapter: MFA,
    csrf: CsrfRule::OriginOnly,
    rate: RateClass::SecondFactor,
    body: BodyRule::Required(Shape::of::<ChallengeBody>(), Limit(MAX_BODY)),
    success: Success {
        status: 200,
        description: "Signed in",
        content: Content::Object(Shape::of::<SignInView<'static>>()),
    },
    refusals: &[ErrorCode::AuthenticationRequired],
    handler: |app, call| Box::pin(mfa::challenge(app, call)),
    ..READ
};

pub(super) const VERIFY: Route = Route {
    operation: "stepUp",
    summary: "Show the second factor in a session",
    description: "What asks for a fresh second factor lets this session through for a while.",
    rate: RateClass::SecondFactor,
    body: BodyRule::Required(Shape::of::<CodeBody>(), Limit(MAX_BODY)),
    success: Success {
        status: 200,
        description: "Shown",
        content: Content::Object(Shape::of::<SteppedUpView>()),
    },
    handler: |app, call| Box::pin(mfa::step_up(app, call)),
    ..WRITE
};

pub(super) const TRUST_BROWSER: Route = Route {
    operation: "trustBrowser",
    summary: "Trust this browser",
    description: "For thirty days its cookie stands for the second factor of a sign-in with the password, never for a \
                  step-up. A change of the password, removing the authenticator and signing out everywhere end that.",
    step_up: StepUpRule::Shown,
    body: BodyRule::Optional(Shape::of::<TrustBody>(), Limit(MAX_BODY)),
    success: Success {
        status: 200,
        description: "Trusted; the cookie is set",
        content: Content::Object(Shape::of::<NewlyTrustedView<'static>>()),
    },
    handler: |app, call| Box::pin(mfa::trust_browser(app, call)),
    ..WRITE
};

pub(super) const LIST_TRUSTED_BROWSERS: Route = Route {
    operation: "listTrustedBrowsers",
    summary: "List trusted browsers",
    description: "Newest first.",
    chapter: MFA,
    auth: AuthRule::User,
    success: Success {
        status: 200,
        description: "The browsers",
        content: Content::List(Shape::of::<TrustedBrowserView<'static>>()),
    },
    handler: |app, call| Box::pin(mfa::list_trusted_browsers(app, call)),
    ..READ
};

pub(super) const DISTRUST_BROWSER: Route = Route {
    method: Method::Delete,
    operation: "distrustBrowser",
    summary: "Trust a browser no more",
    description: "A browser of somebody else answers like one that does not exist.",
    success: Success { status: 204, description: "Not trusted any more", content: Content::Empty },
    refusals: &[ErrorCode::NotFound],
    handler: |app, call| Box::pin(mfa::distrust_browser(app, call)),
    ..WRITE
};
