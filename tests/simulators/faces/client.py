"""A client of the OPC UA face, signed and encrypted, with a certificate of its own."""

from __future__ import annotations

from pathlib import Path

from asyncua import Client, ua
from asyncua.crypto import cert_gen, security_policies
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

URI = "urn:test:client"


def make_certificate(folder: Path, name: str = "client") -> Path:
    """Make a client's certificate, with its key beside it."""
    key = cert_gen.generate_private_key()
    uri = x509.UniformResourceIdentifier(URI)
    made = cert_gen.generate_self_signed_app_certificate(key, name, {}, [uri], [ExtendedKeyUsageOID.CLIENT_AUTH])
    (folder / f"{name}.der").write_bytes(made.public_bytes(Encoding.DER))
    (folder / f"{name}.pem").write_bytes(cert_gen.dump_private_key_as_pem(key))
    return folder / f"{name}.der"


async def secured(port: int, folder: Path, name: str = "client") -> Client:
    """Return a client, not connected yet, of the simulators whose home is `folder`; its certificate lies there."""
    client = Client(f"opc.tcp://127.0.0.1:{port}", timeout=5)
    client.application_uri = URI
    await client.set_security(
        security_policies.SecurityPolicyBasic256Sha256,
        folder / f"{name}.der",
        folder / f"{name}.pem",
        server_certificate=folder / "simulators" / "opcua.der",
        mode=ua.MessageSecurityMode.SignAndEncrypt,
    )
    return client
