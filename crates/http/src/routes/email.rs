//! Everything that goes through the mailbox (contract §4.2).

use identsphere_core::StepUpRule;
use identsphere_kernel::ErrorCode;

use super::READ;
use crate::handlers::email;
use crate::table::{
    AuthRule, BodyRule, Content, CsrfRule, Limit, MAX_BODY, Method, Pace, RateClass, Route, Shape, Success,
};
use crate::wire::email::{ChangeEmailBody, EmailBody, EmailCodeBody, ResetPasswordBody, TokenBody};
use crate::wire::mfa::SignInAnswerView;

const EMAIL: &str = "E-mail";

/// The most common columns of this chapter: anybody may call, and is told nothing.
const ASK: Route = Route {
    method: Method::Post,
    chapter: EMAIL,
    csrf: CsrfRule::OriginOnly,
    rate: RateClass::Mail,
    body: BodyRule::Required(Shape::of::<EmailBody>(), Limit(MAX_BODY)),
    success: Success {
        status: 204,
        description: "Taken; a mail goes out if an active account has this address",
        content: Content::Empty,
    },
    ..READ
};

/// The same for what redeems a link.
const REDEEM: Route = Route {
    rate: RateClass::Redeem,
    body: BodyRule::Required(Shape::of::<TokenBody>(), Limit(MAX_BODY)),
    refusals: &[ErrorCode::AuthenticationRequired],
    ..ASK
};

pub(super) const SEND_VERIFICATION: Route = Route {
    operation: "sendVerification",
    summary: "Send a link to confirm the user's address",
    description: "Nothing is sent when it is confirmed already. A newer link voids the older one.",
    auth: AuthRule::User,
    csrf: CsrfRule::CookieWrite,
    body: BodyRule::None,
    success: Success { status: 204, description: "Sent, or not needed", content: Content::Empty },
    handler: |app, call| Box::pin(email::send_verification(app, call)),
    ..ASK
};

pub(super) const VERIFY: Route = Route {
    operation: "verifyEmail",
    summary: "Confirm an address",
    description: "Redeems the link of a mail: the address counts as verified or, after a change, becomes that of the \
                  account. Signs nobody in. Every other link that is pending for the account is void afterwards.",
    success: Success { status: 204, description: "Confirmed", content: Content::Empty },
    refusals: &[ErrorCode::AuthenticationRequired, ErrorCode::Conflict],
    handler: |app, call| Box::pin(email::verify(app, call)),
    ..REDEEM
};

pub(super) const REQUEST_CODE: Route = Route {
    operation: "requestEmailCode",
    summary: "Send a sign-in code",
    description: "Answers alike, and as quickly, whether or not there is such an account. The code has six digits and \
                  works for ten minutes; a newer one voids it.",
    pace: Pace::OnTheBeat,
    handler: |app, call| Box::pin(email::request_code(app, call)),
    ..ASK
};

pub(super) const SIGN_IN_WITH_CODE: Route = Route {
    operation: "signInWithEmailCode",
    summary: "Sign in with a code",
    description: "Five codes may be tried. Signing in proves the mailbox: if the address was not verified before, the \
                  password, every other factor, the sessions and everything pending on the account are removed first, as somebody else may \
                  have registered it.",
    rate: RateClass::Login,
    pace: Pace::OnTheBeat,
    body: BodyRule::Required(Shape::of::<EmailCodeBody>(), Limit(MAX_BODY)),
    success: Success {
        status: 200,
        description: "Signed in, or a second factor is due",
        content: Content::Object(Shape::of::<SignInAnswerView<'static>>()),
    },
    handler: |app, call| Box::pin(email::sign_in_with_code(app, call)),
    ..REDEEM
};

pub(super) const FORGOT_PASSWORD: Route = Route {
    operation: "forgotPassword",
    summary: "Send a link to choose another password",
    description: "Answers alike, and as quickly, whether or not there is such an account.",
    pace: Pace::OnTheBeat,
    handler: |app, call| Box::pin(email::forgot_password(app, call)),
    ..ASK
};

pub(super) const RESET_PASSWORD: Route = Route {
    operation: "resetPassword",
    summary: "Choose another password",
    description: "Redeems the link of a mail. Ends every session of the user and begins none.",
    body: BodyRule::Required(Shape::of::<ResetPasswordBody>(), Limit(MAX_BODY)),
    success: Success { status: 204, description: "The password is changed", content: Content::Empty },
    handler: |app, call| Box::pin(email::reset_password(app, call)),
    ..REDEEM
};

pub(super) const CHANGE_EMAIL: Route = Route {
    operation: "changeEmail",
    summary: "Ask for another address",
    description: "Sends a link to the new address and a notice to the old one. The address changes when the link is \
                  redeemed.",
    auth: AuthRule::User,
    step_up: StepUpRule::IfEnrolled,
    csrf: CsrfRule::CookieWrite,
    body: BodyRule::Required(Shape::of::<ChangeEmailBody>(), Limit(MAX_BODY)),
    success: Success { status: 204, description: "The link is on its way", content: Content::Empty },
    refusals: &[ErrorCode::InvalidCredentials],
    handler: |app, call| Box::pin(email::change_email(app, call)),
    ..ASK
};

pub(super) const DISOWN_SESSION: Route = Route {
    operation: "disownSession",
    summary: "End a session that a mail told of",
    description: "For whoever gets a mail about a sign-in that was not theirs. Redeeming the link again is no error.",
    rate: RateClass::Unlimited,
    success: Success { status: 204, description: "The session has ended", content: Content::Empty },
    handler: |app, call| Box::pin(email::disown_session(app, call)),
    ..REDEEM
};
