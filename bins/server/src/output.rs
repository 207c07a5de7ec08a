//! Words for the person at the terminal. A reader who has gone away (`| head`) is no fault.

use std::io::Write as _;

/// Prints to standard output.
pub(crate) fn say(text: &str) {
    let _ = writeln!(std::io::stdout(), "{}", text.trim_end_matches('\n'));
}

/// Prints to standard error.
pub(crate) fn complain(text: &str) {
    let _ = writeln!(std::io::stderr(), "{}", text.trim_end_matches('\n'));
}
