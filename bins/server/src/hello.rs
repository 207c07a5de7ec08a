//! What a newcomer pastes. `scripts/quickstart --check` runs these very lines.

/// A greeting with an exchange that works as it stands. `outbox` is where mail is read that is not sent.
pub(crate) fn hello(base_url: &str, outbox: Option<&str>) -> String {
    let mail =
        outbox.map(|path| format!("\nThe mail that it would send: {base_url}{path}")).unwrap_or_default();
    format!(
        r#"
IdentSphere is running at {base_url}. Ctrl-C stops it.

Sign up in a browser: {base_url}/account{mail}

Or paste this into another terminal:

# Register, sign in, ask who you are.
curl -sS {base_url}/v1/auth/register -H 'content-type: application/json' \
    -d '{{"email":"ada@example.com","password":"the engine weaves patterns","organization_name":"Analytical Engines"}}'; echo
TOKEN=$(curl -sS {base_url}/v1/auth/login -H 'content-type: application/json' \
    -d '{{"email":"ada@example.com","password":"the engine weaves patterns","token_transport":"bearer"}}' \
    | sed -E 's/.*"access_token":"([^"]+)".*/\1/')
curl -sS {base_url}/v1/auth/session -H "authorization: Bearer $TOKEN"; echo

# Any program can check that token by itself. In Python, where python-jose[cryptography] is installed:
python3 - "$TOKEN" <<'PYTHON'
import json, sys, urllib.request
from jose import jwt
jwks = json.load(urllib.request.urlopen("{base_url}/.well-known/jwks.json"))
print(jwt.decode(sys.argv[1], jwks, algorithms=["RS256"], options={{"verify_aud": False}}))
PYTHON

The interface is described at {base_url}/docs.
"#
    )
}
