//! AU-09: every way to a session, in every state that must close it; and what each way is worth.
//!
//! Services were broken into where one way of many skipped a check that the others make. So the ways are one list, the
//! list is held against the route table, and each way is tried in each state. On every framework and store.

mod closed;
mod levels;
mod meanwhile;
mod paths;
mod table;
