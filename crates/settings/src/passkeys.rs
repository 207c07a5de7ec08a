//! How the settings of passkeys follow from others and fit together.

use crate::load::Reader;
use crate::origin::Origin;
use crate::passkey_origin::PasskeyOrigin;
use crate::registry::Values;
use crate::resolve::Derived;
use crate::rules::is_host_name;

/// Fills in what is not set.
pub(crate) fn derive(values: &mut Values, derived: &mut Derived) {
    let Some(base) = &values.public_base_url else { return };
    if values.rp_id.is_none() {
        let id = home(base).to_owned();
        derived.insert("rp_id", id.clone());
        values.rp_id = Some(id);
    }
    if values.rp_origin.is_none() {
        derived.insert("rp_origin", base.to_string());
        values.rp_origin = Some(vec![PasskeyOrigin::Web(base.clone())]);
    }
    if values.rp_name.is_none()
        && let Some(app_name) = &values.app_name
    {
        derived.insert("rp_name", app_name.clone());
        values.rp_name = Some(app_name.clone());
    }
}

/// Refuses what no browser would do.
pub(crate) fn judge(values: &Values, derived: &Derived, reader: &mut Reader<'_>) {
    let (Some(id), Some(origins)) = (&values.rp_id, &values.rp_origin) else { return };
    // What was refused before has been replaced, and what stands in its place says nothing of the others.
    let was_refused = |key| reader.is_given(key) && derived.contains_key(key);
    if ["public_base_url", "rp_id", "rp_origin"].into_iter().any(was_refused) {
        return;
    }
    judge_transport(values.allow_insecure_cookies, origins, reader);
    let web: Vec<_> = origins.iter().filter_map(PasskeyOrigin::web).collect();
    let Some(first) = web.first().map(|origin| home(origin)) else { return };
    let (gives_id, gives_origin) = (reader.is_given("rp_id"), reader.is_given("rp_origin"));
    let is_top_level = first.strip_suffix(id.as_str()).is_some_and(|rest| rest.ends_with('.'));
    if !holds(id, first) && (is_top_level || !(gives_id && gives_origin)) {
        let rule = format!(
            "must be the host of the pages that use passkeys ({first}) or a domain above it, and not a top-level one; \
             pages of other hosts are named by IDENTSPHERE_RP_ORIGIN"
        );
        return reader.refuse("rp_id", rule, Some(first.to_owned()));
    }
    let related: Vec<_> = web.iter().filter(|origin| !holds(id, home(origin))).collect();
    if !related.is_empty() {
        let related = related.into_iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        reader.warn(format!(
            "browsers let the pages of {related} use passkeys of {id} only if https://{id}/.well-known/webauthn lists them"
        ));
    }
}

/// Browsers have passkeys in secure contexts alone.
fn judge_transport(insecure_is_fine: Option<bool>, origins: &[PasskeyOrigin], reader: &mut Reader<'_>) {
    let is_exposed = |origin: &Origin| !origin.is_https() && !origin.is_loopback();
    let any = origins.iter().filter_map(PasskeyOrigin::web).any(is_exposed);
    if !reader.is_given("rp_origin") || insecure_is_fine != Some(false) || !any {
        return;
    }
    let mended = origins.iter().map(|origin| match origin.web() {
        Some(web) if is_exposed(web) => format!("https://{}", web.host()),
        _ => origin.to_string(),
    });
    let rule = "is plain http on a host other than this machine, where browsers have no passkeys: use https";
    reader.refuse("rp_origin", rule, Some(mended.collect::<Vec<_>>().join(",")));
}

/// The id of passkeys that are for this origin alone. Browsers have none on addresses and on names that are not of DNS;
/// there it is one that does no harm.
fn home(origin: &Origin) -> &str {
    let host = origin.host();
    if !origin.is_address() && is_host_name(host) { host } else { "localhost" }
}

/// Whether passkeys bound to this id can be used on this host: it is the host's own or above it, and not a top-level one
/// (WebAuthn §5.1.3, step 8).
fn holds(id: &str, host: &str) -> bool {
    let above = || id.contains('.') && host.strip_suffix(id).is_some_and(|rest| rest.ends_with('.'));
    id == host || above()
}
