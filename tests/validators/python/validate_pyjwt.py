"""Validates access tokens with PyJWT: validate_pyjwt.py ISSUER KEY_SET_URL"""

import sys

from lines import answer

# recipe begins
import jwt


def key_set(url: str) -> jwt.PyJWKClient:
    """Keeps the keys for five minutes. An unknown kid asks for them anew, every 30 seconds at most."""
    return jwt.PyJWKClient(url, lifespan=300, cooldown_duration=30, timeout=5)


def validate(token: str, keys: jwt.PyJWKClient, issuer: str) -> dict:
    return jwt.decode(
        token,
        keys.get_signing_key_from_jwt(token),
        algorithms=["RS256"],
        issuer=issuer,
        options={"verify_aud": False, "require": ["exp", "iss", "sub"]},
    )
# recipe ends


issuer, keys = sys.argv[1], key_set(sys.argv[2])
answer(lambda token: validate(token, keys, issuer), jwt.PyJWTError)
