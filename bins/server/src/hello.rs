//! What a newcomer pastes.

/// A greeting with an exchange that works as it stands.
pub(crate) fn hello(base_url: &str) -> String {
    format!(
        r#"
IdentSphere is running at {base_url}. Ctrl-C stops it. Paste this into another terminal:

# Register, sign in, ask who you are.
curl -sS {base_url}/v1/auth/register -H 'content-type: application/json' \
    -d '{{"email":"ada@example.com","password":"the engine weaves patterns","organization_name":"Analytical Engines"}}'; echo
TOKEN=$(curl -sS {base_url}/v1/auth/login -H 'content-type: application/json' \
    -d '{{"email":"ada@example.com","password":"the engine weaves patterns","token_transport":"bearer"}}' \
    | sed -E 's/.*"access_token":"([^"]+)".*/\1/')
curl -sS {base_url}/v1/auth/session -H "authorization: Bearer $TOKEN"; echo

The key set is {base_url}/.well-known/jwks.json, the interface is described at {base_url}/docs.
"#
    )
}
