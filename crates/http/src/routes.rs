//! The route table: every path of this service. What is not in here is not served, and what is in here is guarded,
//! documented and tested by what its line says.

use identsphere_kernel::ErrorCode;

use crate::handlers::{development, documents, operations, sessions, sign_in};
use crate::table::{
    AuthRule, BodyRule, CacheRule, Content, CsrfRule, Endpoint, Limit, MAX_BODY, Method, QueryParameter,
    RateClass, Route, Shape, Success,
};
use crate::wire::{
    CurrentSessionView, DiscoveryView, HealthView, JwkSetView, LoginBody, RefreshBody, RegisterBody,
    SessionView, SignInView, TokensView,
};

const SIGN_IN: &str = "Sign-in";
const SESSIONS: &str = "Sessions";
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
    Endpoint { path: "/.well-known/jwks.json", routes: &[JWKS] },
    Endpoint { path: "/.well-known/openid-configuration", routes: &[DISCOVERY] },
    Endpoint { path: "/healthz", routes: &[HEALTHZ] },
    Endpoint { path: "/readyz", routes: &[READYZ] },
    Endpoint { path: "/openapi.json", routes: &[OPENAPI] },
    Endpoint { path: "/docs", routes: &[DOCS] },
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
    csrf: CsrfRule::ReadOnly,
    rate: RateClass::Unlimited,
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
        description: "Signed in",
        content: Content::Object(Shape::of::<SignInView<'static>>()),
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
