//! Passkeys (contract §4.4).

use identsphere_core::StepUpRule;
use identsphere_kernel::ErrorCode;

use super::READ;
use crate::handlers::passkeys;
use crate::table::{
    AuthRule, BodyRule, Content, CsrfRule, Limit, MAX_BODY, Method, Pace, RateClass, Route, Shape, Success,
};
use crate::wire::mfa::{SignInAnswerView, SteppedUpView};
use crate::wire::passkeys::{
    CreationView, LabelBody, NewPasskeyBody, PasskeySignInBody, PasskeyView, RequestView, ShownPasskeyBody,
    UsedPasskeyBody,
};

const PASSKEYS: &str = "Passkeys";

/// The most common columns of this chapter: a user changes something of theirs.
const WRITE: Route = Route {
    method: Method::Post,
    chapter: PASSKEYS,
    auth: AuthRule::User,
    step_up: StepUpRule::IfEnrolled,
    csrf: CsrfRule::CookieWrite,
    success: Success {
        status: 200,
        description: "The passkey",
        content: Content::Object(Shape::of::<PasskeyView<'static>>()),
    },
    ..READ
};

pub(super) const BEGIN_REGISTRATION: Route = Route {
    operation: "beginPasskeyRegistration",
    summary: "Begin to make a passkey",
    description: "Pass `publicKey` to `PublicKeyCredential.parseCreationOptionsFromJSON()` and on to \
                  `navigator.credentials.create()`, within five minutes.",
    success: Success {
        status: 200,
        description: "The options",
        content: Content::Object(Shape::of::<CreationView>()),
    },
    rate: RateClass::Passkey,
    refusals: &[ErrorCode::Conflict],
    handler: |app, call| Box::pin(passkeys::begin_registration(app, call)),
    ..WRITE
};

pub(super) const COMPLETE_REGISTRATION: Route = Route {
    operation: "completePasskeyRegistration",
    summary: "Keep the passkey that was made",
    description: "An answer is good for one ceremony of this session, once.",
    body: BodyRule::Required(Shape::of::<NewPasskeyBody>(), Limit(MAX_BODY)),
    refusals: &[ErrorCode::Conflict],
    handler: |app, call| Box::pin(passkeys::complete_registration(app, call)),
    ..WRITE
};

pub(super) const LIST: Route = Route {
    operation: "listPasskeys",
    summary: "List the user's passkeys",
    description: "Newest first.",
    chapter: PASSKEYS,
    auth: AuthRule::User,
    success: Success {
        status: 200,
        description: "The passkeys",
        content: Content::List(Shape::of::<PasskeyView<'static>>()),
    },
    handler: |app, call| Box::pin(passkeys::list(app, call)),
    ..READ
};

pub(super) const RENAME: Route = Route {
    method: Method::Patch,
    operation: "renamePasskey",
    summary: "Call a passkey something else",
    description: "A passkey of somebody else answers like one that does not exist.",
    step_up: StepUpRule::Never,
    body: BodyRule::Required(Shape::of::<LabelBody>(), Limit(MAX_BODY)),
    refusals: &[ErrorCode::NotFound],
    handler: |app, call| Box::pin(passkeys::rename(app, call)),
    ..WRITE
};

pub(super) const REMOVE: Route = Route {
    method: Method::Delete,
    operation: "removePasskey",
    summary: "Remove a passkey",
    description: "Sessions that rest on it end, but for this one. A passkey of somebody else answers like one that does not \
                  exist.",
    success: Success { status: 204, description: "Removed", content: Content::Empty },
    refusals: &[ErrorCode::NotFound],
    handler: |app, call| Box::pin(passkeys::remove(app, call)),
    ..WRITE
};

pub(super) const BEGIN_SIGN_IN: Route = Route {
    method: Method::Post,
    operation: "beginPasskeySignIn",
    summary: "Begin to sign in with a passkey",
    description: "Pass `publicKey` to `PublicKeyCredential.parseRequestOptionsFromJSON()` and on to \
                  `navigator.credentials.get()`, within five minutes. Without an address the authenticator offers what it \
                  holds; an address without an account is answered like one with an account.",
    chapter: PASSKEYS,
    csrf: CsrfRule::OriginOnly,
    rate: RateClass::Passkey,
    pace: Pace::OnTheBeat,
    body: BodyRule::Optional(Shape::of::<PasskeySignInBody>(), Limit(MAX_BODY)),
    success: Success {
        status: 200,
        description: "The options",
        content: Content::Object(Shape::of::<RequestView>()),
    },
    handler: |app, call| Box::pin(passkeys::begin_sign_in(app, call)),
    ..READ
};

pub(super) const COMPLETE_SIGN_IN: Route = Route {
    operation: "completePasskeySignIn",
    summary: "Sign in with a passkey",
    description: "An answer is good for one ceremony, once. A passkey that verified its user signs in with two factors \
                  (`aal2`); after any other, users with a second factor are asked for it.",
    body: BodyRule::Required(Shape::of::<UsedPasskeyBody>(), Limit(MAX_BODY)),
    success: Success {
        status: 200,
        description: "Signed in, or a second factor is due",
        content: Content::Object(Shape::of::<SignInAnswerView<'static>>()),
    },
    refusals: &[ErrorCode::AuthenticationRequired],
    handler: |app, call| Box::pin(passkeys::complete_sign_in(app, call)),
    ..BEGIN_SIGN_IN
};

pub(super) const BEGIN_STEP_UP: Route = Route {
    operation: "beginPasskeyStepUp",
    summary: "Begin to show a passkey in a session",
    step_up: StepUpRule::Never,
    rate: RateClass::Passkey,
    success: Success {
        status: 200,
        description: "The options",
        content: Content::Object(Shape::of::<RequestView>()),
    },
    handler: |app, call| Box::pin(passkeys::begin_step_up(app, call)),
    ..WRITE
};

pub(super) const COMPLETE_STEP_UP: Route = Route {
    operation: "completePasskeyStepUp",
    summary: "Show a passkey in a session",
    description: "What asks for a fresh second factor lets this session through for a while.",
    step_up: StepUpRule::Never,
    body: BodyRule::Required(Shape::of::<ShownPasskeyBody>(), Limit(MAX_BODY)),
    success: Success {
        status: 200,
        description: "Shown",
        content: Content::Object(Shape::of::<SteppedUpView>()),
    },
    handler: |app, call| Box::pin(passkeys::complete_step_up(app, call)),
    ..WRITE
};
