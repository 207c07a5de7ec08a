"""Validates an access token with PyJWT, which fetches and caches the published key set itself.

    pip install 'PyJWT[crypto]'
    python validate_pyjwt.py TOKEN [BASE_URL]
"""

import json
import sys

import jwt


def validate(token: str, base_url: str) -> dict:
    keys = jwt.PyJWKClient(f"{base_url}/.well-known/jwks.json", cache_jwk_set=True, lifespan=300)
    return jwt.decode(
        token,
        keys.get_signing_key_from_jwt(token),
        algorithms=["RS256"],
        issuer=base_url,
        options={"verify_aud": False, "require": ["exp", "iat", "iss", "sub", "jti", "sid"]},
    )


if __name__ == "__main__":
    base_url = sys.argv[2] if len(sys.argv) > 2 else "http://localhost:4000"
    try:
        print(json.dumps(validate(sys.argv[1], base_url), indent=2))
    except Exception as refusal:
        sys.exit(f"refused: {refusal}")
