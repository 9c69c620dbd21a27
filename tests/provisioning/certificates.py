"""Certificates for tests: an authority, and what it signs."""

from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


class Authority:
    """pem: its own certificate. `sign(name)`: (certificate, key) as PEM, for a server or client of that name."""

    def __init__(self, name="authority"):
        self.name, self.key = _name(name), ec.generate_private_key(ec.SECP256R1())
        self.pem = _pem(self._made(self.name, self.key, authority=True))

    def sign(self, name="localhost", days=1):
        key = ec.generate_private_key(ec.SECP256R1())
        return _pem(self._made(_name(name), key, alternative=name, days=days)), _key(key)

    def _made(self, subject, key, *, authority=False, alternative="", days=1):
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder(self.name, subject, key.public_key(), x509.random_serial_number())
            .not_valid_before(now - timedelta(days=9))
            .not_valid_after(now + timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        )
        if alternative:
            builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(alternative)]), critical=False)
        return builder.sign(self.key, hashes.SHA256())


def _name(text):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _pem(made):
    return made.public_bytes(serialization.Encoding.PEM).decode()


def _key(key):
    kind = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, kind, serialization.NoEncryption()).decode()
