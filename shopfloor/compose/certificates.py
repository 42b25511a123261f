"""The plant's own certificate authority, and what it issues to brokers and to their clients (mutual TLS)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from shopfloor.compose.private import write_private

AUTHORITY_DAYS: Final = 3650
DAYS: Final = 825
RENEW_DAYS: Final = 90
"""A certificate with less than this left is made anew."""
MAIL_DOMAIN: Final = "shopfloor.invalid"
_SKEW: Final = timedelta(hours=1)
"""Clocks of machines differ."""


def mail_of(identity: str) -> str:
    """Return the mail address in an identity's certificate, by which NATS knows its user."""
    return f"{identity}@{MAIL_DOMAIN}"


@dataclass(frozen=True, slots=True)
class Authority:
    """An authority whose key lies in `folder`; it only ever signs for this plant."""

    folder: Path
    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @classmethod
    def of(cls, folder: Path, now: datetime) -> Authority:
        """Return the authority in a folder, made at first use; raise ValueError when its files are damaged."""
        key_file, file = folder / "ca.key.pem", folder / "ca.pem"
        if key_file.exists() and file.exists():
            key = load_pem_private_key(key_file.read_bytes(), None)
            certificate = x509.load_pem_x509_certificate(file.read_bytes())
            if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
                raise ValueError(f"{key_file} is not the key of {file}")
            return cls(folder, key, certificate)
        key = ec.generate_private_key(ec.SECP256R1())
        name = _name("shopfloor authority")
        certificate = (
            _certificate(name, name, key.public_key(), now, AUTHORITY_DAYS)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs_certificates=True), critical=True)
            .sign(key, hashes.SHA256())
        )
        write_private(key_file, _pem(key))
        write_private(file, certificate.public_bytes(Encoding.PEM))
        return cls(folder, key, certificate)

    def issue(self, folder: Path, identity: str, now: datetime, hosts: Sequence[str] = ()) -> bool:
        """Put ca.pem, cert.pem and key.pem for an identity (a server when it has `hosts`) into a folder.

        Keep those that are there and hold for RENEW_DAYS more; return whether new ones were made.
        """
        if self._holds(folder, now, hosts):
            return False
        key = ec.generate_private_key(ec.SECP256R1())
        purpose = ExtendedKeyUsageOID.SERVER_AUTH if hosts else ExtendedKeyUsageOID.CLIENT_AUTH
        names: list[x509.GeneralName] = [_host(host) for host in hosts] or [x509.RFC822Name(mail_of(identity))]
        certificate = (
            _certificate(_name(identity), self.certificate.subject, key.public_key(), now, DAYS)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False)
            .sign(self.key, hashes.SHA256())
        )
        write_private(folder / "ca.pem", self.certificate.public_bytes(Encoding.PEM))
        write_private(folder / "key.pem", _pem(key))
        write_private(folder / "cert.pem", certificate.public_bytes(Encoding.PEM))
        return True

    def _holds(self, folder: Path, now: datetime, hosts: Sequence[str]) -> bool:
        files = [folder / name for name in ("ca.pem", "cert.pem", "key.pem")]
        if not all(file.exists() for file in files):
            return False
        ours, certificate = (x509.load_pem_x509_certificate(file.read_bytes()) for file in files[:2])
        key = load_pem_private_key(files[2].read_bytes(), None)
        if ours != self.certificate or key.public_key() != certificate.public_key():
            return False
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        if hosts and set(names) != {_host(host) for host in hosts}:
            return False
        return certificate.not_valid_after_utc - now > timedelta(days=RENEW_DAYS)


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _certificate(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime, days: int
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _SKEW)
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
