//! Typed settings from file, environment and flags.
