"""Who we are and whom we trust on OPC UA: our own certificate, the trusted ones, and those that were refused.

Under `SHOPFLOOR_HOME/edge/pki`: `own/` (certificate.der to be trusted by servers, key.pem), `trusted/` (certificates of
servers or of their authorities, .der or .pem), `rejected/` (what servers showed and nobody trusted yet). To trust a
server, compare the fingerprint with the one that the server shows, then move its file from `rejected` to `trusted`.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from asyncua.crypto import cert_gen
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from edge.driver import Unreachable

APPLICATION_URI: Final = f"urn:{socket.gethostname()}:shopfloor:edge"
_DAYS: Final = 3650
_MAX_REJECTED: Final = 100


@dataclass(frozen=True, slots=True)
class Identity:
    """Our own certificate (DER or PEM) and private key (PEM)."""

    certificate: Path
    key: Path


def own_identity(pki: Path) -> Identity:
    """Return our own certificate and key, made at first use (valid for ten years)."""
    own = pki / "own"
    identity = Identity(own / "certificate.der", own / "key.pem")
    if identity.key.exists():
        return identity
    pki.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = Path(tempfile.mkdtemp(prefix="own-", dir=pki))  # 0700
    try:
        _generate(draft)
        draft.rename(own)
    except OSError:
        if not identity.key.exists():  # else another process was faster, and its certificate is ours too
            raise
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return identity


def _generate(folder: Path) -> None:
    key = cert_gen.generate_private_key()
    names: list[x509.GeneralName] = [
        x509.UniformResourceIdentifier(APPLICATION_URI),
        x509.DNSName(socket.gethostname()),
    ]
    certificate = cert_gen.generate_self_signed_app_certificate(
        key, "shopfloor edge", {}, names, [ExtendedKeyUsageOID.CLIENT_AUTH], days=_DAYS
    )
    (folder / "certificate.der").write_bytes(certificate.public_bytes(Encoding.DER))
    with os.fdopen(os.open(folder / "key.pem", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(cert_gen.dump_private_key_as_pem(key))


@dataclass(frozen=True, slots=True)
class TrustList:
    """The certificates that we trust: files, or folders of files, and the folder for those that we refuse."""

    trusted: tuple[Path, ...]
    rejected: Path

    def check(self, der: bytes, address: str) -> None:
        """Raise Unreachable, with what to do, unless the server certificate `der` is trusted and valid now."""
        certificate = x509.load_der_x509_certificate(der)
        name = _common_name(certificate)
        now = datetime.now(UTC)
        if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
            raise Unreachable(
                f"{address}: the server's certificate ({name}) is valid only "
                f"from {certificate.not_valid_before_utc:%Y-%m-%d} to {certificate.not_valid_after_utc:%Y-%m-%d}: ",
                "renew it on the server, or set the clocks right",
                code="expired_certificate",
            )
        if any(_vouches(trusted, certificate) for trusted in self._certificates()):
            return
        fingerprint = certificate.fingerprint(hashes.SHA256()).hex()
        file = self._reject(der, name, fingerprint)
        raise Unreachable(
            f"{address}: the server's certificate ({name}, SHA-256 {fingerprint}) is not trusted. ",
            f"If the fingerprint is the one that the server shows, trust it by: mv '{file}' '{self.trusted[-1]}'",
            code="untrusted_certificate",
        )

    def _certificates(self) -> Iterator[x509.Certificate]:
        for place in self.trusted:
            files = sorted(place.iterdir()) if place.is_dir() else [place]
            for file in files:
                if file.is_file() and file.suffix in (".der", ".pem", ".crt", ".cer"):
                    yield _load(file)

    def _reject(self, der: bytes, name: str, fingerprint: str) -> Path:
        self.trusted[-1].mkdir(parents=True, exist_ok=True, mode=0o700)
        self.rejected.mkdir(parents=True, exist_ok=True, mode=0o700)
        file = (
            self.rejected / f"{re.sub(r'[^A-Za-z0-9]+', '-', name).strip('-')[:60] or 'server'}-{fingerprint[:16]}.der"
        )
        old = sorted(self.rejected.glob("*.der"), key=lambda path: path.stat().st_mtime)
        for path in old[: max(0, len(old) - _MAX_REJECTED + 1)]:
            path.unlink(missing_ok=True)
        file.write_bytes(der)
        return file


def _load(file: Path) -> x509.Certificate:
    data = file.read_bytes()
    try:
        if data.lstrip().startswith(b"-----BEGIN"):
            return x509.load_pem_x509_certificate(data)
        return x509.load_der_x509_certificate(data)
    except ValueError as error:
        raise Unreachable(f"{file} is not a certificate: remove it from the trusted ones ({error})") from error


def _vouches(trusted: x509.Certificate, certificate: x509.Certificate) -> bool:
    if trusted == certificate:
        return True
    if trusted.subject != certificate.issuer:
        return False
    try:
        certificate.verify_directly_issued_by(trusted)
        authority = trusted.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound):
        return False
    now = datetime.now(UTC)
    return authority and trusted.not_valid_before_utc <= now <= trusted.not_valid_after_utc


def _common_name(certificate: x509.Certificate) -> str:
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(names[0].value) if names else certificate.subject.rfc4514_string() or "no name"
