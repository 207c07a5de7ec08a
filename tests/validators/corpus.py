"""Tokens with the outcome that every recipe owes them.

Two kinds must be refused: forged ones, which anybody can make, and well signed ones with wrong claims. For those the
test has a key of its own, which it adds to the published ones; see `OwnKey`.
"""

import base64
import hashlib
import hmac
import json
import time
from dataclasses import dataclass

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

NOBODY = "018f0000-0000-7000-8000-000000000000"


@dataclass(frozen=True)
class Case:
    name: str
    token: str
    expected: str = "refused"

    def line(self) -> str:
        return json.dumps({"name": self.name, "token": self.token, "expected": self.expected})


class OwnKey:
    """A key of the test's own, in the form of a published one when it goes by a `kid`."""

    def __init__(self, kid: str) -> None:
        self.kid = kid
        self.private = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    def jwk(self) -> dict:
        numbers = self.private.public_key().public_numbers()
        n, e = (b64(value.to_bytes((value.bit_length() + 7) // 8)) for value in (numbers.n, numbers.e))
        return {"kty": "RSA", "use": "sig", "alg": "RS256", "kid": self.kid, "n": n, "e": e}

    def sign(self, claims: dict, **header: object) -> str:
        content = joined({"alg": "RS256", "typ": "JWT", "kid": self.kid} | header, claims)
        return f"{content}.{b64(self.private.sign(content.encode(), padding.PKCS1v15(), hashes.SHA256()))}"


def flood(count: int) -> list[Case]:
    """Tokens under invented kids, as somebody sends who wants the key set fetched for each."""
    stranger = OwnKey("stranger")
    claims = {"sub": NOBODY, "exp": int(time.time()) + 600}
    return [Case(f"an invented kid ({n})", stranger.sign(claims, kid=f"invented-{n}")) for n in range(count)]


def corpus(access: str, refresh: str, key: dict, own: OwnKey, trap: str) -> list[Case]:
    """Everything. `key` is the published one that signed `access`; nobody may ever fetch the URL `trap`."""
    return [
        Case("the access token", access, "accepted"),
        Case("a refresh token", refresh),
        *other_algorithms(access, key),
        *other_keys(access, key, trap),
        *tampered(access),
        *malformed(access),
        *wrong_claims(access, own),
    ]


def other_algorithms(access: str, key: dict) -> list[Case]:
    header, claims, signature = parts(access)
    elevated = claims | {"sub": NOBODY}
    cases = []
    for alg in ("none", "None", "NONE", "nOnE", "", None, ["RS256"], {"RS256": True}, 256, True):
        content = joined(header | {"alg": alg}, elevated)
        cases += [Case(f"alg {alg!r} unsigned", f"{content}."), Case(f"alg {alg!r}", f"{content}.{signature}")]
    content = joined({name: value for name, value in header.items() if name != "alg"}, elevated)
    cases.append(Case("no alg", f"{content}.{signature}"))
    for alg in ("rs256", "RS256 ", "RS384", "RS512", "PS256", "ES256", "EdDSA", "HS384", "HS512", "RSA-OAEP", "dir"):
        content = joined(header | {"alg": alg}, claims)
        cases.append(Case(f"alg {alg!r} over the signature of RS256", f"{content}.{signature}"))
    for form, secret in public_forms(key).items():
        for alg in ("HS256", "hs256"):
            content = joined(header | {"alg": alg}, elevated)
            mac = hmac.new(secret, content.encode(), hashlib.sha256).digest()
            cases.append(Case(f"{alg} under the public key as {form}", f"{content}.{b64(mac)}"))
    curve = ec.generate_private_key(ec.SECP256R1())
    content = joined(header | {"alg": "ES256"}, elevated)
    signed = curve.sign(content.encode(), ec.ECDSA(hashes.SHA256()))
    cases.append(Case("ES256 of another key", f"{content}.{b64(signed)}"))
    cases.append(Case("ES256 with a signature of zeroes", f"{content}.{b64(bytes(64))}"))
    return cases


def public_forms(key: dict) -> dict[str, bytes]:
    """The public key in every form that a careless library might take for a secret."""
    n, e = (int.from_bytes(unb64(key[name])) for name in ("n", "e"))
    public = rsa.RSAPublicNumbers(e, n).public_key()
    pem, der = serialization.Encoding.PEM, serialization.Encoding.DER
    spki, pkcs1 = serialization.PublicFormat.SubjectPublicKeyInfo, serialization.PublicFormat.PKCS1
    return {
        "PEM": public.public_bytes(pem, spki),
        "PEM without the last line break": public.public_bytes(pem, spki).rstrip(),
        "PKCS 1 PEM": public.public_bytes(pem, pkcs1),
        "DER": public.public_bytes(der, spki),
        "JSON": json.dumps(key).encode(),
        "compact JSON": json.dumps(key, separators=(",", ":")).encode(),
        "its modulus": unb64(key["n"]),
        "nothing": b"",
    }


def other_keys(access: str, key: dict, trap: str) -> list[Case]:
    header, claims, _ = parts(access)
    stranger = OwnKey(header["kid"])
    own_jwk = stranger.jwk()
    headers = {
        "another key under our kid": {},
        "an unknown kid": {"kid": "unknown"},
        "an empty kid": {"kid": ""},
        "a kid that is a path": {"kid": "../../../../dev/null"},
        "a kid that is SQL": {"kid": "' OR 1=1 --"},
        "a kid that is a URL": {"kid": trap},
        "a kid that is a number": {"kid": 0},
        "a kid that is a list": {"kid": [header["kid"]]},
        "a kid that is an object": {"kid": {"kid": header["kid"]}},
        "a kid that is null": {"kid": None},
        "a kid of 10,000 characters": {"kid": "k" * 10_000},
        "its key in the header": {"jwk": own_jwk},
        "its key in the header under a kid of its own": {"jwk": own_jwk | {"kid": "mine"}, "kid": "mine"},
        "a jku": {"jku": trap},
        "a jku under a kid of its own": {"jku": trap, "kid": "mine"},
        "an x5u": {"x5u": trap},
        "an x5c": {"x5c": [b64(b"not a certificate")]},
        "an unknown crit": {"crit": ["https://example.com/unknown"], "https://example.com/unknown": True},
        "an unencoded payload": {"crit": ["b64"], "b64": False},
        "a compressed payload": {"zip": "DEF"},
    }
    cases = [Case(name, stranger.sign(claims, **changed)) for name, changed in headers.items()]
    return [*cases, Case("the published key in the header", stranger.sign(claims, jwk=key))]


def tampered(access: str) -> list[Case]:
    header, claims, signature = parts(access)
    raw_header, raw_claims, _ = access.split(".")
    later = claims["exp"] + 86_400
    changes = {"sub": NOBODY, "org": NOBODY, "role": "superuser", "aal": "aal2", "exp": later, "iss": ""}
    flipped = ("A" if signature[0] != "A" else "B") + signature[1:]
    size = len(unb64(signature))
    return [
        *(
            Case(f"{name} changed", f"{raw_header}.{enc(claims | {name: to})}.{signature}")
            for name, to in changes.items()
        ),
        Case("a member added to the header", f"{enc(header | {'x': 1})}.{raw_claims}.{signature}"),
        Case("a changed signature", f"{raw_header}.{raw_claims}.{flipped}"),
        Case("a signature of zeroes", f"{raw_header}.{raw_claims}.{b64(bytes(size))}"),
        Case("a signature of ones", f"{raw_header}.{raw_claims}.{b64(bytes([255]) * size)}"),
        Case("half a signature", f"{raw_header}.{raw_claims}.{signature[:len(signature) // 2]}"),
        Case("a longer signature", f"{raw_header}.{raw_claims}.{b64(unb64(signature) + bytes(1))}"),
        Case("a signature behind a zero", f"{raw_header}.{raw_claims}.{b64(bytes(1) + unb64(signature))}"),
        Case("no signature", f"{raw_header}.{raw_claims}."),
    ]


def malformed(access: str) -> list[Case]:
    header, claims, signature = access.split(".")
    document = b64(json.dumps(parts(access)[0])[:-1].encode() + b',"alg":"none"}')
    return [
        Case("nothing", ""),
        Case("a word", "token"),
        Case("dots alone", ".."),
        Case("a hundred thousand dots", "." * 100_000),
        Case("the header alone", header),
        Case("two parts", f"{header}.{claims}"),
        Case("four parts", f"{access}.{signature}"),
        Case("five parts", f"{access}.{signature}.{signature}"),
        Case("no header", f".{claims}.{signature}"),
        Case("no claims", f"{header}..{signature}"),
        Case("cut short", access[:-1]),
        Case("cut in its claims", access[: len(header) + 20]),
        Case("the scheme before it", f"Bearer {access}"),
        Case("no Base64", f"{header}.{claims}.*{signature[1:]}"),
        Case("claims that are no Base64", f"{header}.*{claims[1:]}.{signature}"),
        Case("a header that is no Base64", f"*{header[1:]}.{claims}.{signature}"),
        Case("letters beyond ASCII", f"{header}.{claims}.\u00e9\u4e16{signature[2:]}"),
        Case("a header with two algs", f"{document}.{claims}.{signature}"),
        *(
            Case(f"{part} that is {what}", f"{changed[0]}.{changed[1]}.{signature}")
            for what, raw in NO_OBJECTS.items()
            for part, changed in {"a header": (b64(raw), claims), "a claims set": (header, b64(raw))}.items()
        ),
    ]


NO_OBJECTS = {
    "a list": b"[]",
    "a string": b'"RS256"',
    "a number": b"1",
    "null": b"null",
    "true": b"true",
    "an empty object": b"{}",
    "no JSON": b"{",
    "no UTF-8": b"\xff\xfe\xfd",
    "a byte of zero": b"\0",
    "ten thousand lists in each other": b"[" * 10_000 + b"]" * 10_000,
}


def wrong_claims(access: str, own: OwnKey) -> list[Case]:
    """Nobody but the server can sign these; only what a recipe promises to check is here."""
    _, claims, _ = parts(access)
    now, issuer = int(time.time()), claims["iss"]
    changes = {
        "expired an hour ago": {"exp": now - 3_600},
        "expired 45 seconds ago": {"exp": now - 45},
        "not valid yet": {"nbf": now + 3_600},
        "of another issuer": {"iss": "https://example.com"},
        "of an issuer that ours begins with": {"iss": issuer[:-1]},
        "of an issuer that begins with ours": {"iss": f"{issuer}.example.com"},
        "of an issuer that is ours and a slash": {"iss": f"{issuer}/"},
        "of our issuer in capitals": {"iss": issuer.upper()},
        "of no issuer": {"iss": None},
        "that never expires": {"exp": None},
        "of nobody": {"sub": None},
    }
    cases = [Case("a token of the added key", own.sign(claims), "accepted")]
    for name, changed in changes.items():
        kept = {name: value for name, value in (claims | changed).items() if value is not None}
        cases.append(Case(f"a token {name}", own.sign(kept)))
    return cases


def parts(token: str) -> tuple[dict, dict, str]:
    header, claims, signature = token.split(".")
    return json.loads(unb64(header)), json.loads(unb64(claims)), signature


def joined(header: dict, claims: dict) -> str:
    return f"{enc(header)}.{enc(claims)}"


def enc(value: object) -> str:
    return b64(json.dumps(value).encode())


def b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def unb64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
