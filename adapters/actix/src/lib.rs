//! IdentSphere's routes, extractors and guards for actix-web.
