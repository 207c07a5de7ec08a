"""Validates an access token with python-jose and nothing but the published key set.

    pip install 'python-jose[cryptography]'
    python validate_jose.py TOKEN [BASE_URL]
"""

import json
import sys
from urllib.request import urlopen

from jose import jwt


def validate(token: str, base_url: str) -> dict:
    with urlopen(f"{base_url}/.well-known/jwks.json") as response:
        jwks = json.load(response)  # keep it: it changes a few times a year
    return jwt.decode(token, jwks, algorithms=["RS256"], options={"verify_aud": False})


if __name__ == "__main__":
    base_url = sys.argv[2] if len(sys.argv) > 2 else "http://localhost:4000"
    try:
        print(json.dumps(validate(sys.argv[1], base_url), indent=2))
    except Exception as refusal:
        sys.exit(f"refused: {refusal}")
