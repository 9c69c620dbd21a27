"""Certificates as PEM text: what may be kept of them."""

from __future__ import annotations

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
    own = read_certificates(certificate)[0]
    if own.public_key().public_bytes(*public) != private.public_key().public_bytes(*public):
        raise ValidationError({"tls_key": "This key belongs to another certificate."})
