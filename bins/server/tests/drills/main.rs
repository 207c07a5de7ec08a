//! Drills: the real binary through what happens to processes, machines and databases. Whatever was acknowledged is
//! there afterwards, and whoever asks meanwhile is told quickly.
//!
//! They run small with the other tests. With `IDENTSPHERE_DRILLS=full` in the environment (`just proof-nodes`,
//! `just proof-faults`) they run at their full size, and what they measure is kept in `docs/drills.md`.
//!
//! To add one: a test that wraps itself in [`node::drill`], which lets one drill run at a time, takes its sizes from
//! [`node::sized`] and reports what it measures with [`node::figure`].

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails"
)]

mod clocks;
mod disk;
mod load;
mod mail;
mod migrations;
mod node;
mod nodes;
mod overload;
mod postgres;
mod survival;
