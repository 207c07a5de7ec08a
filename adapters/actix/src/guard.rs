//! Guards for the routes of a host application.

use std::future::{Future, Ready, ready};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use actix_web::dev::{Service, ServiceRequest, ServiceResponse, Transform};
use actix_web::{Error, HttpMessage as _};
use identsphere_http::{Permission, Requirement, StepUpRule};

use crate::extract::{AuthSession, admit};

/// Middleware that lets those pass who meet a requirement; [`AuthSession`] in the handler behind it asks the store no second
/// time.
///
/// ```
/// use actix_web::web;
/// use identsphere_actix::Require;
/// use identsphere_http::Permission;
///
/// let billing = web::scope("/billing").wrap(Require::permission(Permission::BILLING_READ));
/// let payouts = web::scope("/payouts").wrap(Require::step_up());
/// ```
#[derive(Debug, Clone)]
pub struct Require(Requirement);

impl Require {
    /// Lets those pass whose present role holds a permission.
    pub fn permission(permission: Permission) -> Self {
        Self(Requirement::Permission(permission))
    }

    /// Lets those pass who have lately shown a second factor in their session; others are told `mfa_required`.
    pub fn step_up() -> Self {
        Self(Requirement::StepUp(StepUpRule::Always))
    }

    /// As [`step_up`](Self::step_up), and those who have set up no second factor.
    pub fn step_up_if_enrolled() -> Self {
        Self(Requirement::StepUp(StepUpRule::IfEnrolled))
    }
}

impl<S, B> Transform<S, ServiceRequest> for Require
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
{
    type Response = ServiceResponse<B>;
    type Error = Error;
    type Transform = Guarded<S>;
    type InitError = ();
    type Future = Ready<Result<Self::Transform, ()>>;

    fn new_transform(&self, service: S) -> Self::Future {
        ready(Ok(Guarded { service: Rc::new(service), requirement: self.0.clone() }))
    }
}

/// A service behind [`Require`].
#[derive(Debug)]
pub struct Guarded<S> {
    service: Rc<S>,
    requirement: Requirement,
}

impl<S, B> Service<ServiceRequest> for Guarded<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
{
    type Response = ServiceResponse<B>;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Error>>>>;

    fn poll_ready(&self, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.service.poll_ready(context)
    }

    fn call(&self, request: ServiceRequest) -> Self::Future {
        let (service, requirement) = (self.service.clone(), self.requirement.clone());
        Box::pin(async move {
            let principal = admit(request.request(), Some(&requirement)).await?;
            request.extensions_mut().insert(AuthSession(principal));
            service.call(request).await
        })
    }
}
