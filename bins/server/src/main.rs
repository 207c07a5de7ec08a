//! The IdentSphere server.
fn main() {}
