"""Certificates as PEM text: what may be kept of them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from django.core.exceptions import ValidationError

NO_CERTIFICATE = "This is no certificate in PEM: it begins with -----BEGIN CERTIFICATE-----."
NO_KEY = "This is no private key in PEM without a passphrase: it begins with -----BEGIN PRIVATE KEY-----."


def read_certificates(pem: str) -> list[x509.Certificate]:
    """The certificates of a PEM text, at least one. Raises ValidationError."""
    try:
        return x509.load_pem_x509_certificates(pem.encode())
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ValidationError(NO_CERTIFICATE) from error


def certificates(pem: str) -> None:
    """PEM with one certificate or more."""
    read_certificates(pem)


def expired(found: Iterable[x509.Certificate]) -> datetime | None:
    """When the last of these certificates has ended; None while one of them is good."""
    ends = max(one.not_valid_after_utc for one in found)
    return ends if ends < datetime.now(UTC) else None


def check_date(name: str, pem: str) -> None:
    """Refuse certificates at field `name` that have all expired; what is no PEM is refused by the field itself.

    Raises ValidationError.
    """
    if (found := _readable(pem)) and (ended := expired(found)):
        raise ValidationError({name: f"This certificate has expired on {ended:%Y-%m-%d}: give a new one."})


def check_pair(certificate: str, key: str) -> None:
    """A certificate and its key, both or neither, that belong together. Raises ValidationError at the field."""
    if not certificate and not key:
        return
    if not key:
        raise ValidationError({"tls_key": "A certificate needs its key."})
    if not certificate:
        raise ValidationError({"tls_certificate": "A key needs its certificate."})
    try:
        private = load_pem_private_key(key.encode(), None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise ValidationError({"tls_key": NO_KEY}) from error
    public = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    own = _readable(certificate)
    if own and own[0].public_key().public_bytes(*public) != private.public_key().public_bytes(*public):
        raise ValidationError({"tls_key": "This key belongs to another certificate."})


def _readable(pem: str) -> list[x509.Certificate]:
    """The certificates of a PEM text, none when it can't be read."""
    try:
        return read_certificates(pem)
    except ValidationError:
        return []
