"""Validates access tokens with python-jose: validate_jose.py ISSUER KEY_SET_URL"""

import sys

from lines import answer

# recipe begins
import json
import threading
import time
from urllib.request import urlopen

from jose import JWTError, jwt


class KeySet:
    """The published keys, kept for five minutes. An unknown kid asks for them anew, every 30 seconds at most."""

    def __init__(self, url: str) -> None:
        self.url, self.keys, self.asked, self.lock = url, {}, float("-inf"), threading.Lock()

    def key(self, kid: object) -> dict:
        if not isinstance(kid, str):
            raise JWTError("names no key")
        with self.lock:
            age = time.monotonic() - self.asked
            if age > 300 or (age > 30 and kid not in self.keys):
                self.asked = time.monotonic()
                with urlopen(self.url, timeout=5) as answer:
                    self.keys = {key["kid"]: key for key in json.load(answer)["keys"]}
            if kid not in self.keys:
                raise JWTError("signed by no published key")
            return self.keys[kid]


def validate(token: str, keys: KeySet, issuer: str) -> dict:
    key = keys.key(jwt.get_unverified_header(token).get("kid"))
    options = {"verify_aud": False, "require_exp": True, "require_iss": True, "require_sub": True}
    return jwt.decode(token, key, algorithms=["RS256"], issuer=issuer, options=options)
# recipe ends


issuer, keys = sys.argv[1], KeySet(sys.argv[2])
answer(lambda token: validate(token, keys, issuer), JWTError)
