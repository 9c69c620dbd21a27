"""Making credentials: what is secret leaves here once, what is kept is a hash or a public key."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass, field

import bcrypt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.conf import settings

from accounts_app.natsconf import names, nkeys

# A generated password has 192 bits of chance, so a slow hash adds nothing but the server's work at each
# login and reload. What a person chose can be guessed, so trying must be dear.
GENERATED_COST, CHOSEN_COST = 4, 11


@dataclass(frozen=True, slots=True)
class NewSecret:
    """What is shown once: a password or an nkey seed. Its repr doesn't tell."""

    kind: str
    secret: str = field(repr=False)


def new_password() -> str:
    """32 URL-safe characters, 192 bits."""
    return secrets.token_urlsafe(24)


def hash_password(password: str, *, chosen: bool) -> str:
    """bcrypt of a password: at a low cost when it was generated, a higher one when a person chose it.

    Raises InvalidValue for one that the server could not take (over 72 bytes, looks like a hash).
    """
    names.check_password(password)
    cost = CHOSEN_COST if chosen else GENERATED_COST
    return bcrypt.hashpw(password.encode(), bcrypt.gensalt(cost, prefix=b"2a")).decode()


def fingerprint(password: str) -> str:
    """A keyed fingerprint: tells whether an imported password is the same again, and nothing else."""
    return hmac.new(
        settings.SECRET_KEY.encode(), b"nunect.fingerprint:" + password.encode(), hashlib.sha256
    ).hexdigest()


def new_nkey(kind: str = "U") -> tuple[str, str]:
    """A new pair: (public key, seed)."""
    raw = secrets.token_bytes(32)
    return public_of(raw, kind), nkeys.encode_seed(kind, raw)


def public_of(raw: bytes, kind: str = "U") -> str:
    """The public nkey of 32 secret bytes."""
    public = Ed25519PrivateKey.from_private_bytes(raw).public_key()
    return nkeys.encode_public(kind, public.public_bytes(Encoding.Raw, PublicFormat.Raw))


def raw_of(seed: str) -> bytes:
    """The 32 secret bytes of a seed. Raises InvalidValue."""
    return nkeys.decode_seed(seed)[1]


def sign(seed: str, nonce: bytes) -> bytes:
    """The Ed25519 signature by which the owner of a seed signs in."""
    return Ed25519PrivateKey.from_private_bytes(raw_of(seed)).sign(nonce)
