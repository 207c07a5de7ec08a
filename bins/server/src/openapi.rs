//! `openapi`: the description of the HTTP interface, as `/openapi.json` serves it.

use identsphere_crypto::MasterKey;
use identsphere_http::{Drain, openapi_document};
use identsphere_kernel::OsRandom;
use identsphere_settings::Loaded;

use crate::compose;
use crate::failure::Failure;
use crate::output::say;

/// Prints the document. It holds no secret, so any key does.
pub(crate) fn openapi(loaded: &Loaded) -> Result<(), Failure> {
    let config =
        compose::http_config(&loaded.settings, &MasterKey::generate(&OsRandom), Drain::default(), None)?;
    say(&openapi_document(&config).map_err(|error| Failure::Compose(error.into()))?);
    Ok(())
}
