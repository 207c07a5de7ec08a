//! A guard for the routes of a host application.

use std::future::{Future, Ready, ready};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use actix_web::dev::{Service, ServiceRequest, ServiceResponse, Transform};
use actix_web::{Error, HttpMessage as _};
use identsphere_http::Permission;

use crate::extract::{AuthSession, admit};

/// Middleware that lets those pass whose present role holds a permission; [`AuthSession`] in the handler behind it asks
/// the store no second time.
///
/// ```
/// use actix_web::web;
/// use identsphere_actix::RequirePermission;
/// use identsphere_http::Permission;
///
/// let billing = web::scope("/billing").wrap(RequirePermission(Permission::BILLING_READ));
/// ```
#[derive(Debug, Clone)]
pub struct RequirePermission(pub Permission);

impl<S, B> Transform<S, ServiceRequest> for RequirePermission
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
{
    type Response = ServiceResponse<B>;
    type Error = Error;
    type Transform = Guarded<S>;
    type InitError = ();
    type Future = Ready<Result<Self::Transform, ()>>;

    fn new_transform(&self, service: S) -> Self::Future {
        ready(Ok(Guarded { service: Rc::new(service), permission: self.0.clone() }))
    }
}

/// A service behind [`RequirePermission`].
#[derive(Debug)]
pub struct Guarded<S> {
    service: Rc<S>,
    permission: Permission,
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
        let (service, permission) = (self.service.clone(), self.permission.clone());
        Box::pin(async move {
            let principal = admit(request.request(), Some(&permission)).await?;
            request.extensions_mut().insert(AuthSession(principal));
            service.call(request).await
        })
    }
}
