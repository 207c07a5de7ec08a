//! The route table: every path of this service. What is not in here is not served, and what is in here is guarded,
//! documented and tested by what its line says.

mod email;
mod mfa;
mod pages;
mod passkeys;

use identsphere_core::StepUpRule;
use identsphere_kernel::ErrorCode;

use crate::handlers::{avatar, development, documents, operations, profile, sessions, sign_in};
use crate::table::{
    AuthRule, BodyRule, CacheRule, Content, CsrfRule, Endpoint, Limit, MAX_BODY, MAX_PICTURE_FORM, Method,
    Pace, QueryParameter, RateClass, Route, Shape, Success,
};
use crate::wire::mfa::SignInAnswerView;
use crate::wire::{
    CurrentSessionView, DiscoveryView, HealthView, JwkSetView, LoginBody, RefreshBody, RegisterBody,
    SessionView, SignInView, TokensView,
};

use crate::wire_export::ExportView;
use crate::wire_profile::{
    AvatarForm, AvatarView, DeletionBody, OrganizationMembershipView, PasswordBody, ProfileBody, ProfileView,
};

const SIGN_IN: &str = "Sign-in";
const SESSIONS: &str = "Sessions";
const ACCOUNT: &str = "Own account";
const KEYS: &str = "Keys";
const OPERATIONS: &str = "Operations";
const DEVELOPMENT: &str = "Development";

/// Everything that is served.
pub static ENDPOINTS: &[Endpoint] = &[
    Endpoint { path: "/v1/auth/register", routes: &[REGISTER] },
    Endpoint { path: "/v1/auth/login", routes: &[LOGIN] },
    Endpoint { path: "/v1/auth/refresh", routes: &[REFRESH] },
    Endpoint { path: "/v1/auth/logout", routes: &[LOGOUT] },
    Endpoint { path: "/v1/auth/session", routes: &[SESSION] },
    Endpoint { path: "/v1/auth/sessions", routes: &[LIST_SESSIONS, END_SESSIONS] },
    Endpoint { path: "/v1/auth/sessions/{id}", routes: &[END_SESSION] },
    Endpoint { path: "/v1/auth/session/disown", routes: &[email::DISOWN_SESSION] },
    Endpoint { path: "/v1/auth/email/send-verification", routes: &[email::SEND_VERIFICATION] },
    Endpoint { path: "/v1/auth/email/verify", routes: &[email::VERIFY] },
    Endpoint { path: "/v1/auth/email-otp/request", routes: &[email::REQUEST_CODE] },
    Endpoint { path: "/v1/auth/email-otp/verify", routes: &[email::SIGN_IN_WITH_CODE] },
    Endpoint { path: "/v1/auth/password/forgot", routes: &[email::FORGOT_PASSWORD] },
    Endpoint { path: "/v1/auth/password/reset", routes: &[email::RESET_PASSWORD] },
    Endpoint { path: "/v1/auth/mfa/status", routes: &[mfa::STATUS] },
    Endpoint { path: "/v1/auth/mfa/setup", routes: &[mfa::SET_UP] },
    Endpoint { path: "/v1/auth/mfa/enable", routes: &[mfa::ENABLE] },
    Endpoint { path: "/v1/auth/mfa/disable", routes: &[mfa::DISABLE] },
    Endpoint { path: "/v1/auth/mfa/recovery-codes", routes: &[mfa::REPLACE_RECOVERY_CODES] },
    Endpoint { path: "/v1/auth/mfa/challenge", routes: &[mfa::CHALLENGE] },
    Endpoint { path: "/v1/auth/mfa/verify", routes: &[mfa::VERIFY] },
    Endpoint { path: "/v1/auth/trusted-browsers", routes: &[mfa::LIST_TRUSTED_BROWSERS, mfa::TRUST_BROWSER] },
    Endpoint { path: "/v1/auth/trusted-browsers/{id}", routes: &[mfa::DISTRUST_BROWSER] },
    Endpoint { path: "/v1/auth/passkey/login/begin", routes: &[passkeys::BEGIN_SIGN_IN] },
    Endpoint { path: "/v1/auth/passkey/login/complete", routes: &[passkeys::COMPLETE_SIGN_IN] },
    Endpoint { path: "/v1/auth/passkey/verify/begin", routes: &[passkeys::BEGIN_STEP_UP] },
    Endpoint { path: "/v1/auth/passkey/verify/complete", routes: &[passkeys::COMPLETE_STEP_UP] },
    Endpoint { path: "/v1/users/me/passkeys", routes: &[passkeys::LIST] },
    Endpoint { path: "/v1/users/me/passkeys/register/begin", routes: &[passkeys::BEGIN_REGISTRATION] },
    Endpoint { path: "/v1/users/me/passkeys/register/complete", routes: &[passkeys::COMPLETE_REGISTRATION] },
    Endpoint { path: "/v1/users/me/passkeys/{id}", routes: &[passkeys::RENAME, passkeys::REMOVE] },
    Endpoint { path: "/v1/users/me/email", routes: &[email::CHANGE_EMAIL] },
    Endpoint { path: "/v1/users/me", routes: &[GET_PROFILE, UPDATE_PROFILE, DELETE_ACCOUNT] },
    Endpoint { path: "/v1/users/me/organizations", routes: &[LIST_ORGANIZATIONS] },
    Endpoint { path: "/v1/users/me/password", routes: &[CHANGE_PASSWORD] },
    Endpoint { path: "/v1/users/me/avatar", routes: &[SET_AVATAR, REMOVE_AVATAR] },
    Endpoint { path: "/v1/users/me/export", routes: &[EXPORT] },
    Endpoint { path: "/v1/avatars/{name}", routes: &[SHOW_AVATAR] },
    Endpoint { path: "/.well-known/jwks.json", routes: &[JWKS] },
    Endpoint { path: "/.well-known/openid-configuration", routes: &[DISCOVERY] },
    Endpoint { path: "/healthz", routes: &[HEALTHZ] },
    Endpoint { path: "/readyz", routes: &[READYZ] },
    Endpoint { path: "/openapi.json", routes: &[OPENAPI] },
    Endpoint { path: "/docs", routes: &[DOCS] },
    Endpoint { path: "/account", routes: &[pages::ACCOUNT] },
    Endpoint { path: "/verify-email", routes: &[pages::VERIFY_EMAIL] },
    Endpoint { path: "/reset-password", routes: &[pages::RESET_PASSWORD] },
    Endpoint { path: "/not-me", routes: &[pages::NOT_ME] },
    Endpoint { path: "/dev/mail", routes: &[LIST_DEVELOPMENT_MAIL] },
    Endpoint { path: "/dev/mail/{id}", routes: &[READ_DEVELOPMENT_MAIL] },
];

/// The most common columns; a route names where it differs.
const READ: Route = Route {
    method: Method::Get,
    operation: "",
    summary: "",
    description: "",
    chapter: OPERATIONS,
    auth: AuthRule::Public,
    step_up: StepUpRule::Never,
    csrf: CsrfRule::ReadOnly,
    rate: RateClass::Unlimited,
    pace: Pace::AtOnce,
    body: BodyRule::None,
    query: &[],
    cache: CacheRule::NoStore,
    success: Success { status: 200, description: "", content: Content::Document },
    refusals: &[],
    handler: |app, call| Box::pin(operations::healthz(app, call)),
};

const REGISTER: Route = Route {
    method: Method::Post,
    operation: "register",
    summary: "Sign up",
    description: "Makes a user, an organisation that they own, and a session, all or nothing.",
    chapter: SIGN_IN,
    csrf: CsrfRule::OriginOnly,
    rate: RateClass::Register,
    body: BodyRule::Required(Shape::of::<RegisterBody>(), Limit(MAX_BODY)),
    success: Success {
        status: 201,
        description: "Signed up and signed in",
        content: Content::Object(Shape::of::<SignInView<'static>>()),
    },
    refusals: &[ErrorCode::Conflict],
    handler: |app, call| Box::pin(sign_in::register(app, call)),
    ..READ
};

const LOGIN: Route = Route {
    method: Method::Post,
    operation: "login",
    summary: "Sign in with a password",
    description: "Unknown address, wrong password and closed account are one answer, after the same work.",
    chapter: SIGN_IN,
    csrf: CsrfRule::OriginOnly,
    rate: RateClass::Login,
    body: BodyRule::Required(Shape::of::<LoginBody>(), Limit(MAX_BODY)),
    success: Success {
        status: 200,
        description: "Signed in, or a second factor is due",
        content: Content::Object(Shape::of::<SignInAnswerView<'static>>()),
    },
    refusals: &[ErrorCode::InvalidCredentials],
    handler: |app, call| Box::pin(sign_in::login(app, call)),
    ..READ
};

const REFRESH: Route = Route {
    method: Method::Post,
    operation: "refresh",
    summary: "Exchange the refresh token",
    description: "Takes the token from the cookie and answers with cookies, or from the body and answers in the body. \
                  Every refresh replaces the token. The token before it, presented again within a few seconds, gets the \
                  same successor; an older one ends the session.",
    chapter: SIGN_IN,
    csrf: CsrfRule::OriginOnly,
    body: BodyRule::Optional(Shape::of::<RefreshBody>(), Limit(MAX_BODY)),
    success: Success {
        status: 200,
        description: "Fresh tokens",
        content: Content::Object(Shape::of::<TokensView<'static>>()),
    },
    refusals: &[ErrorCode::AuthenticationRequired],
    handler: |app, call| Box::pin(sign_in::refresh(app, call)),
    ..READ
};

const LOGOUT: Route = Route {
    method: Method::Post,
    operation: "logout",
    summary: "Sign out",
    description: "Ends the session and clears its cookies. Signing out twice, or without a session, is no error.",
    chapter: SIGN_IN,
    auth: AuthRule::Optional,
    csrf: CsrfRule::CookieWrite,
    success: Success { status: 204, description: "Signed out", content: Content::Empty },
    handler: |app, call| Box::pin(sign_in::logout(app, call)),
    ..READ
};

const SESSION: Route = Route {
    operation: "getSession",
    summary: "Who is signed in",
    description: "The user, and what their role may do in the organisation of the session. Read now, not from the token.",
    chapter: SESSIONS,
    auth: AuthRule::User,
    success: Success {
        status: 200,
        description: "The session",
        content: Content::Object(Shape::of::<CurrentSessionView<'static>>()),
    },
    handler: |app, call| Box::pin(sessions::current(app, call)),
    ..READ
};

const LIST_SESSIONS: Route = Route {
    operation: "listSessions",
    summary: "List the user's live sessions",
    description: "Newest activity first.",
    chapter: SESSIONS,
    auth: AuthRule::User,
    success: Success {
        status: 200,
        description: "The live sessions",
        content: Content::List(Shape::of::<SessionView<'static>>()),
    },
    handler: |app, call| Box::pin(sessions::list(app, call)),
    ..READ
};

const END_SESSION: Route = Route {
    method: Method::Delete,
    operation: "endSession",
    summary: "End one session",
    description: "A session of somebody else answers like one that does not exist.",
    chapter: SESSIONS,
    auth: AuthRule::User,
    csrf: CsrfRule::CookieWrite,
    success: Success { status: 204, description: "The session has ended", content: Content::Empty },
    refusals: &[ErrorCode::NotFound],
    handler: |app, call| Box::pin(sessions::end(app, call)),
    ..READ
};

const END_SESSIONS: Route = Route {
    method: Method::Delete,
    operation: "endSessions",
    summary: "End all sessions",
    description: "Signs the user out everywhere, here too unless `except_current` is `true`.",
    chapter: SESSIONS,
    auth: AuthRule::User,
    csrf: CsrfRule::CookieWrite,
    query: &[QueryParameter {
        name: "except_current",
        description: "`true` keeps the session that asks.",
        values: &["true", "false"],
    }],
    success: Success { status: 204, description: "The sessions have ended", content: Content::Empty },
    handler: |app, call| Box::pin(sessions::end_all(app, call)),
    ..READ
};

const GET_PROFILE: Route = Route {
    operation: "getProfile",
    summary: "The caller's profile",
    chapter: ACCOUNT,
    auth: AuthRule::User,
    success: Success {
        status: 200,
        description: "The profile",
        content: Content::Object(Shape::of::<ProfileView<'static>>()),
    },
    handler: |app, call| Box::pin(profile::get(app, call)),
    ..READ
};

const UPDATE_PROFILE: Route = Route {
    method: Method::Patch,
    operation: "updateProfile",
    summary: "Change the caller's profile",
    description: "A field that is absent or null stays; empty text clears it; `preferences` are replaced as a whole.",
    chapter: ACCOUNT,
    auth: AuthRule::User,
    csrf: CsrfRule::CookieWrite,
    body: BodyRule::Required(Shape::of::<ProfileBody>(), Limit(MAX_BODY)),
    success: Success {
        status: 200,
        description: "The profile as it is now",
        content: Content::Object(Shape::of::<ProfileView<'static>>()),
    },
    handler: |app, call| Box::pin(profile::update(app, call)),
    ..READ
};

const LIST_ORGANIZATIONS: Route = Route {
    operation: "listOwnOrganizations",
    summary: "List the organisations that the caller belongs to",
    description: "In the order of joining.",
    chapter: ACCOUNT,
    auth: AuthRule::User,
    success: Success {
        status: 200,
        description: "The organisations",
        content: Content::List(Shape::of::<OrganizationMembershipView<'static>>()),
    },
    handler: |app, call| Box::pin(profile::organizations(app, call)),
    ..READ
};

const CHANGE_PASSWORD: Route = Route {
    method: Method::Post,
    operation: "changePassword",
    summary: "Change the password",
    description: "Ends every other session of the user, unless `sign_out_other_sessions` is `false`.",
    chapter: ACCOUNT,
    auth: AuthRule::User,
    step_up: StepUpRule::IfEnrolled,
    csrf: CsrfRule::CookieWrite,
    rate: RateClass::Password,
    body: BodyRule::Required(Shape::of::<PasswordBody>(), Limit(MAX_BODY)),
    success: Success { status: 204, description: "The password is changed", content: Content::Empty },
    refusals: &[ErrorCode::InvalidCredentials, ErrorCode::Conflict],
    handler: |app, call| Box::pin(profile::change_password(app, call)),
    ..READ
};

const SET_AVATAR: Route = Route {
    method: Method::Post,
    operation: "setAvatar",
    summary: "Show a picture",
    description: "What was sent is told by its content, made at most 512 pixels wide and high, and written anew without \
                  anything that is not seen. The old picture is deleted.",
    chapter: ACCOUNT,
    auth: AuthRule::User,
    csrf: CsrfRule::CookieWrite,
    rate: RateClass::Upload,
    body: BodyRule::Multipart(Shape::of::<AvatarForm>(), Limit(MAX_PICTURE_FORM)),
    success: Success {
        status: 200,
        description: "The picture is shown",
        content: Content::Object(Shape::of::<AvatarView>()),
    },
    handler: |app, call| Box::pin(avatar::set(app, call)),
    ..READ
};

const REMOVE_AVATAR: Route = Route {
    method: Method::Delete,
    operation: "removeAvatar",
    summary: "Show no picture",
    description: "Without one it is no error.",
    chapter: ACCOUNT,
    auth: AuthRule::User,
    csrf: CsrfRule::CookieWrite,
    success: Success { status: 204, description: "No picture is shown", content: Content::Empty },
    handler: |app, call| Box::pin(avatar::remove(app, call)),
    ..READ
};

const SHOW_AVATAR: Route = Route {
    operation: "getAvatar",
    summary: "A user's picture",
    description: "Pages of every origin may show it.",
    chapter: ACCOUNT,
    cache: CacheRule::Public,
    success: Success { status: 200, description: "The picture", content: Content::Picture },
    refusals: &[ErrorCode::NotFound],
    handler: |app, call| Box::pin(avatar::show(app, call)),
    ..READ
};

const DELETE_ACCOUNT: Route = Route {
    method: Method::Delete,
    operation: "deleteAccount",
    summary: "Delete the account",
    description: "Sessions and credentials are gone at once, and nothing personal remains; the address is free. \
                  Organisations without other members are deleted too. Refused to the only owner of an organisation with \
                  other members.",
    chapter: ACCOUNT,
    auth: AuthRule::User,
    step_up: StepUpRule::IfEnrolled,
    csrf: CsrfRule::CookieWrite,
    rate: RateClass::Password,
    body: BodyRule::Required(Shape::of::<DeletionBody>(), Limit(MAX_BODY)),
    success: Success { status: 204, description: "The account is deleted", content: Content::Empty },
    refusals: &[ErrorCode::InvalidCredentials, ErrorCode::Conflict],
    handler: |app, call| Box::pin(profile::delete(app, call)),
    ..READ
};

const EXPORT: Route = Route {
    operation: "exportAccount",
    summary: "Everything that is held about the caller",
    description: "For people to read and to take with them. Never secrets, not even hashed.",
    chapter: ACCOUNT,
    auth: AuthRule::User,
    success: Success {
        status: 200,
        description: "Everything",
        content: Content::Object(Shape::of::<ExportView<'static>>()),
    },
    handler: |app, call| Box::pin(profile::export(app, call)),
    ..READ
};

const JWKS: Route = Route {
    operation: "getJwks",
    summary: "The public keys of access tokens",
    description: "An RFC 7517 key set. The next key stands in it long before it signs, an old one until its last token \
                  has expired.",
    chapter: KEYS,
    cache: CacheRule::Public,
    success: Success {
        status: 200,
        description: "The key set",
        content: Content::Object(Shape::of::<JwkSetView>()),
    },
    handler: |app, call| Box::pin(documents::jwks(app, call)),
    ..READ
};

const DISCOVERY: Route = Route {
    operation: "getDiscovery",
    summary: "Discovery by issuer",
    description: "For resource servers that find the keys by the issuer of a token.",
    chapter: KEYS,
    cache: CacheRule::Public,
    success: Success {
        status: 200,
        description: "Issuer, key set and algorithms",
        content: Content::Object(Shape::of::<DiscoveryView<'static>>()),
    },
    handler: |app, call| Box::pin(documents::discovery(app, call)),
    ..READ
};

const HEALTHZ: Route = Route {
    operation: "healthz",
    summary: "Whether the process lives",
    description: "Asks nothing of the store.",
    success: Success {
        status: 200,
        description: "It lives",
        content: Content::Object(Shape::of::<HealthView>()),
    },
    handler: |app, call| Box::pin(operations::healthz(app, call)),
    ..READ
};

const READYZ: Route = Route {
    operation: "readyz",
    summary: "Whether this node takes requests",
    description: "The store takes writes, its migrations are applied, a key signs, and the node is not shutting down.",
    success: Success {
        status: 200,
        description: "It does",
        content: Content::Object(Shape::of::<HealthView>()),
    },
    handler: |app, call| Box::pin(operations::readyz(app, call)),
    ..READ
};

const OPENAPI: Route = Route {
    operation: "getOpenApi",
    summary: "This interface as OpenAPI 3.1",
    cache: CacheRule::Public,
    success: Success { status: 200, description: "The document", content: Content::Document },
    handler: |app, call| Box::pin(documents::openapi(app, call)),
    ..READ
};

const DOCS: Route = Route {
    operation: "getDocs",
    summary: "This interface as a page for people",
    cache: CacheRule::Public,
    success: Success { status: 200, description: "The page", content: Content::Html },
    handler: |app, call| Box::pin(documents::docs(app, call)),
    ..READ
};

const LIST_DEVELOPMENT_MAIL: Route = Route {
    operation: "listDevelopmentMail",
    summary: "Mail that was not sent",
    description: "Exists while no mail server is set, for whoever sits at the machine of the server: for everybody else \
                  404. The latest 200 mails, the newest first.",
    chapter: DEVELOPMENT,
    success: Success { status: 200, description: "The page", content: Content::Html },
    refusals: &[ErrorCode::NotFound],
    handler: |app, call| Box::pin(development::list(app, call)),
    ..READ
};

const READ_DEVELOPMENT_MAIL: Route = Route {
    operation: "readDevelopmentMail",
    summary: "One mail that was not sent",
    description: "As HTML and as plain text.",
    chapter: DEVELOPMENT,
    success: Success { status: 200, description: "The page", content: Content::Html },
    refusals: &[ErrorCode::NotFound],
    handler: |app, call| Box::pin(development::read(app, call)),
    ..READ
};
