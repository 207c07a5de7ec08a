//! The vocabulary of the route table: everything that guards, documentation and tests need to know of a route.

use std::borrow::Cow;
use std::future::Future;
use std::pin::Pin;

use identsphere_core::StepUpRule;
use identsphere_kernel::{Duration, ErrorCode};
use utoipa::ToSchema;
use utoipa::openapi::{RefOr, Schema};

use crate::app::App;
use crate::call::Call;
use crate::failure::Failure;
use crate::outbox;
use crate::reply::Reply;

/// The chapter of the pages for people.
pub(crate) const PAGES: &str = "Pages";

/// Largest body in bytes (contract §1).
pub(crate) const MAX_BODY: usize = 64 * 1_024;
/// Largest picture in bytes.
pub(crate) const MAX_PICTURE: usize = 5 * 1_024 * 1_024;
/// Largest form around one.
pub(crate) const MAX_PICTURE_FORM: usize = MAX_PICTURE + 16 * 1_024;

/// A path and what it answers.
#[derive(Debug)]
pub struct Endpoint {
    /// The path, with `{name}` for a segment that varies: the spelling of actix-web and axum alike.
    pub path: &'static str,
    /// One route a method.
    pub routes: &'static [Route],
}

/// One method of one path.
pub struct Route {
    /// The method. GET answers HEAD too.
    pub method: Method,
    /// A stable, unique name, for the API document, metrics and logs.
    pub operation: &'static str,
    /// One line about it.
    pub summary: &'static str,
    /// What a user of the interface should know beyond that.
    pub description: &'static str,
    /// The chapter of the documentation.
    pub chapter: &'static str,
    /// Who may call.
    pub auth: AuthRule,
    /// Whether a second factor must have been shown in the session.
    pub step_up: StepUpRule,
    /// How a browser is kept from calling in its user's name.
    pub csrf: CsrfRule,
    /// Which rate limits apply.
    pub rate: RateClass,
    /// When answers leave.
    pub pace: Pace,
    /// What body is due.
    pub body: BodyRule,
    /// Query parameters.
    pub query: &'static [QueryParameter],
    /// Whether answers may be kept.
    pub cache: CacheRule,
    /// The answer when all is well.
    pub success: Success,
    /// Errors beyond those that [`Route::errors`] derives from the other columns.
    pub refusals: &'static [ErrorCode],
    pub(crate) handler: Handler,
}

/// Decodes, calls one use case, encodes.
pub(crate) type Handler = for<'a> fn(&'a App, &'a Call<'a>) -> HandlerFuture<'a>;
/// What a handler is doing.
pub(crate) type HandlerFuture<'a> = Pin<Box<dyn Future<Output = Result<Reply, Failure>> + Send + 'a>>;

/// The methods in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Method {
    Get,
    Post,
    Patch,
    Delete,
}

impl Method {
    /// The name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}

/// Who may call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthRule {
    /// Everybody. Credentials are not looked at.
    Public,
    /// Everybody. A valid access token is passed on; without one the request counts as anonymous.
    Optional,
    /// A user with a live session.
    User,
}

/// How a browser is kept from calling in its user's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CsrfRule {
    /// Not at all: nothing changes.
    ReadOnly,
    /// Requests of foreign origins are refused: the call itself signs somebody in.
    OriginOnly,
    /// As `OriginOnly`, and a request authenticated by cookie needs the CSRF header. Bearer requests are exempt.
    CookieWrite,
}

/// When answers leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// When they are ready, but for refusals with a `Retry-After`.
    AtOnce,
    /// At the next multiple of [`BEAT`] after their question: the time that it takes to find an account, or to find none,
    /// is not to be seen in them. For what strangers may ask about an address, where no password hash hides that time.
    OnTheBeat,
}

/// The beat of [`Pace::OnTheBeat`], and of every refusal that has a `Retry-After`: much longer than a store takes, and too
/// short to be felt.
pub const BEAT: Duration = Duration::from_millis(20);

/// Which rate limits apply. They are counted by the use case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RateClass {
    /// None.
    Unlimited,
    /// Sign-ups.
    Register,
    /// Sign-ins.
    Login,
    /// Questions for mail.
    Mail,
    /// Links that are redeemed.
    Redeem,
    /// Checks of the caller's own password.
    Password,
    /// Second factors that are tried.
    SecondFactor,
    /// Ceremonies with passkeys.
    Passkey,
    /// Pictures that are sent.
    Upload,
}

/// What body is due. Bodies of routes that take none are not read.
#[derive(Debug, Clone, Copy)]
pub enum BodyRule {
    /// None.
    None,
    /// JSON.
    Required(Shape, Limit),
    /// JSON, or nothing at all.
    Optional(Shape, Limit),
    /// A form with one file (`multipart/form-data`).
    Multipart(Shape, Limit),
}

/// The most bytes of a body.
#[derive(Debug, Clone, Copy)]
pub struct Limit(pub usize);

impl BodyRule {
    /// What the body looks like, and how large it may be.
    pub(crate) const fn expected(&self) -> Option<(&Shape, usize)> {
        match self {
            Self::None => None,
            Self::Required(shape, limit) | Self::Optional(shape, limit) | Self::Multipart(shape, limit) => {
                Some((shape, limit.0))
            }
        }
    }
}

/// A query parameter. All of them are optional.
#[derive(Debug)]
pub struct QueryParameter {
    /// Its name.
    pub name: &'static str,
    /// What it does.
    pub description: &'static str,
    /// The values it takes.
    pub values: &'static [&'static str],
}

/// Whether answers may be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CacheRule {
    /// Never.
    NoStore,
    /// By everybody, for a while, and asked for again under their entity tag.
    Public,
}

/// The answer when all is well.
#[derive(Debug)]
pub struct Success {
    /// The HTTP status.
    pub status: u16,
    /// What it means.
    pub description: &'static str,
    /// What it carries.
    pub content: Content,
}

/// What an answer carries.
#[derive(Debug)]
pub enum Content {
    /// Nothing.
    Empty,
    /// One JSON object.
    Object(Shape),
    /// A JSON array.
    List(Shape),
    /// A page for people.
    Html,
    /// A picture.
    Picture,
    /// A JSON document that describes itself.
    Document,
}

/// The schema of a wire type.
#[derive(Clone, Copy)]
pub struct Shape {
    pub(crate) name: fn() -> Cow<'static, str>,
    pub(crate) schema: fn() -> RefOr<Schema>,
    pub(crate) parts: fn(&mut Vec<(String, RefOr<Schema>)>),
}

impl Shape {
    pub(crate) const fn of<T: ToSchema>() -> Self {
        Self { name: T::name, schema: T::schema, parts: T::schemas }
    }
}

impl std::fmt::Debug for Shape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Shape({})", (self.name)())
    }
}

impl std::fmt::Debug for Route {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Route").field("operation", &self.operation).finish_non_exhaustive()
    }
}

impl Endpoint {
    /// Whether this raw path is one of ours. Spelled exactly: no second spelling of a path reaches a handler (WB-06).
    pub fn matches(&self, path: &str) -> bool {
        let mut segments = path.split('/');
        let fits = self.path.split('/').all(|pattern| match segments.next() {
            Some(segment) if is_variable(pattern) => !segment.is_empty(),
            Some(segment) => segment == pattern,
            None => false,
        });
        fits && segments.next().is_none()
    }

    /// Whether it exists only where mail is kept instead of sent, and only for whoever sits at that machine. For everybody
    /// else it is a path that nobody serves.
    pub fn is_for_development(&self) -> bool {
        self.path.starts_with(outbox::PREFIX)
    }

    /// Whether it is a page for people. A host application has pages of its own, so it gets these when it asks for them.
    pub fn is_page(&self) -> bool {
        self.routes.iter().any(|route| route.chapter == PAGES)
    }

    /// The varying segment of this name in a path that [`matches`](Self::matches).
    pub(crate) fn variable<'p>(&self, name: &str, path: &'p str) -> Option<&'p str> {
        let named = |pattern: &str| is_variable(pattern) && pattern.trim_matches(['{', '}']) == name;
        let (_, segment) = self.path.split('/').zip(path.split('/')).find(|(pattern, _)| named(pattern))?;
        Some(segment)
    }

    /// The names of the varying segments.
    pub(crate) fn variables(&self) -> impl Iterator<Item = &'static str> {
        self.path.split('/').filter(|part| is_variable(part)).map(|part| part.trim_matches(['{', '}']))
    }

    /// The route of a method.
    pub(crate) fn route(&self, method: &str) -> Option<&'static Route> {
        let method = if method == "HEAD" { "GET" } else { method };
        self.routes.iter().find(|route| route.method.name() == method)
    }

    /// The methods that are answered, as `Allow` lists them.
    pub(crate) fn allow(&self) -> String {
        let names = self.routes.iter().map(|route| match route.method {
            Method::Get => "GET, HEAD",
            Method::Post | Method::Patch | Method::Delete => route.method.name(),
        });
        names.collect::<Vec<_>>().join(", ")
    }
}

impl Route {
    /// Every error that this route may answer, in the order of the catalogue.
    pub fn errors(&self) -> Vec<ErrorCode> {
        let applies = |code: ErrorCode| match code {
            ErrorCode::InvalidInput | ErrorCode::Overloaded | ErrorCode::InternalError => true,
            ErrorCode::AuthenticationRequired => self.auth == AuthRule::User,
            ErrorCode::MfaRequired => self.step_up != StepUpRule::Never,
            ErrorCode::Forbidden => self.csrf != CsrfRule::ReadOnly,
            ErrorCode::CsrfFailed => self.csrf == CsrfRule::CookieWrite,
            ErrorCode::UnsupportedMediaType | ErrorCode::PayloadTooLarge => self.body.expected().is_some(),
            ErrorCode::RateLimited => self.rate != RateClass::Unlimited,
            ErrorCode::InvalidCredentials
            | ErrorCode::NotFound
            | ErrorCode::MethodNotAllowed
            | ErrorCode::Conflict
            | ErrorCode::LicenseRequired => false,
        };
        let listed = |code: &ErrorCode| applies(*code) || self.refusals.contains(code);
        ErrorCode::ALL.iter().copied().filter(listed).collect()
    }
}

fn is_variable(pattern: &str) -> bool {
    pattern.starts_with('{')
}
