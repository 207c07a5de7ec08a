//! What sends mail, chosen by the settings.

use std::sync::Arc;

use identsphere_core::{MailReader, Mailer};
use identsphere_kernel::{SecretString, SystemClock};
use identsphere_mail::{DevelopmentOutbox, LogMailer, Renderer, Sender, SmtpMailer, SmtpUrl, Templates};
use identsphere_settings::{MailSettings, Settings};

use crate::failure::Failure;

/// What sends mail, and what shows it when nothing is sent.
pub(crate) type Mailing = (Arc<dyn Mailer>, Option<Arc<dyn MailReader>>);

/// What sends mail. Without a mail server: on this machine alone an outbox that can be read, anywhere else a log that
/// says nothing of what a mail said. Templates are tried in every case.
pub(crate) fn mailer(settings: &Settings) -> Result<Mailing, Failure> {
    let renderer = renderer(&settings.mail)?;
    if let Some(server) = &settings.mail.server {
        return Ok((Arc::new(smtp(server, &settings.mail, renderer)?), None));
    }
    if !is_for_this_machine(settings) {
        return Ok((Arc::new(LogMailer), None));
    }
    let outbox = Arc::new(DevelopmentOutbox::new(renderer, Arc::new(SystemClock)));
    Ok((outbox.clone(), Some(outbox)))
}

/// What an operator should know of mail before the first one is due.
pub(crate) fn warning(settings: &Settings) -> Option<&'static str> {
    const LOST: &str =
        "mail is NOT delivered: set IDENTSPHERE_SMTP_URL. Nobody can confirm an address or reset a password";
    const SENDER: &str =
        "mail comes from no-reply@example.com, which servers refuse: set IDENTSPHERE_FROM_EMAIL";
    match &settings.mail.server {
        None if !is_for_this_machine(settings) => Some(LOST),
        Some(_) if settings.mail.from.as_str().ends_with("@example.com") => Some(SENDER),
        None | Some(_) => None,
    }
}

/// The mail server's mailer, for the doctor; `None`: there is no server.
pub(crate) fn smtp_mailer(settings: &Settings) -> Result<Option<SmtpMailer>, Failure> {
    let renderer = renderer(&settings.mail)?;
    settings.mail.server.as_ref().map(|server| smtp(server, &settings.mail, renderer)).transpose()
}

/// Whether mail would cross a network in the clear.
pub(crate) fn is_exposed(server: &SecretString) -> bool {
    SmtpUrl::parse(server.expose()).is_ok_and(|server| server.is_exposed())
}

fn is_for_this_machine(settings: &Settings) -> bool {
    settings.public_base_url.is_loopback()
}

fn smtp(server: &SecretString, mail: &MailSettings, renderer: Renderer) -> Result<SmtpMailer, Failure> {
    let server = SmtpUrl::parse(server.expose()).map_err(|error| Failure::Compose(error.into()))?;
    let shown = server.to_string();
    SmtpMailer::new(server, &mail.from, renderer)
        .map_err(|error| Failure::MailServer { server: shown, source: error.into() })
}

fn renderer(mail: &MailSettings) -> Result<Renderer, Failure> {
    let templates = match &mail.templates {
        None => Templates::built_in().map_err(|error| Failure::Compose(error.into()))?,
        Some(folder) => Templates::with_overrides(folder)
            .map_err(|source| Failure::Templates { folder: folder.clone(), source })?,
    };
    let sender = Sender { app_name: mail.app_name.clone(), site: mail.site().to_owned() };
    Ok(Renderer::new(templates, sender))
}
