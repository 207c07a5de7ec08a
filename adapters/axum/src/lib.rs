//! IdentSphere's routes, extractors and guards for axum.
