//! The log, on standard error.

use std::io::IsTerminal;

use identsphere_settings::{LogFormat, Settings};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;

/// Reads a filter as an operator writes it.
pub(crate) fn filter(text: &str) -> Result<EnvFilter, ParseError> {
    EnvFilter::builder().parse(text)
}

/// Starts the log. A filter that does not read has been refused with the settings.
pub(crate) fn start(settings: &Settings) {
    let filter = filter(&settings.log_filter).unwrap_or_default();
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match settings.log_format {
        LogFormat::Text => log.with_ansi(std::io::stderr().is_terminal()).init(),
        LogFormat::Json => log.json().flatten_event(true).with_span_list(false).init(),
    }
}
