"""One session with an OPC UA server: opening it safely, and what its errors mean to a person."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from asyncua import Client, ua
from asyncua.client.ua_session import UaSession
from asyncua.common.utils import ServiceError
from asyncua.crypto import security_policies
from asyncua.crypto.uacrypto import CertProperties, InvalidSignature
from asyncua.ua.uaerrors import UaError, UaStatusCodeError, UaStructParsingError

from edge.driver import Lost, Unreachable
from edge.drivers.opcua.decoding import is_damage
from edge.drivers.opcua.entry import Entry
from edge.drivers.opcua.security import APPLICATION_URI, Identity, TrustList, own_identity
from edge.entry import Context

# what asyncua raises when a server, or the line to it, does not do what it should
UA_ERRORS: Final = (
    UaError,
    ServiceError,
    OSError,
    TimeoutError,
    asyncio.TimeoutError,
    InvalidSignature,
    ValueError,
    OverflowError,
)

_MODES: Final = {
    "sign_and_encrypt": ua.MessageSecurityMode.SignAndEncrypt,
    "sign": ua.MessageSecurityMode.Sign,
}
_ENCRYPTING: Final = tuple(
    policy.URI
    for policy in (
        security_policies.SecurityPolicyBasic256Sha256,
        security_policies.SecurityPolicyAes128Sha256RsaOaep,
        security_policies.SecurityPolicyAes256Sha256RsaPss,
    )
)
_ADVICE: Final = {
    ua.StatusCodes.BadIdentityTokenRejected: "the server does not accept this user: check user and password_file",
    ua.StatusCodes.BadUserAccessDenied: "the server denies this user: check user, password_file and the user's rights",
    ua.StatusCodes.BadIdentityTokenInvalid: "the server wants another kind of log-in: set user and password_file",
    ua.StatusCodes.BadSecurityChecksFailed: "the server does not trust our certificate",
    ua.StatusCodes.BadCertificateUntrusted: "the server does not trust our certificate",
    ua.StatusCodes.BadCertificateUriInvalid: "the server finds another application URI in our certificate",
    ua.StatusCodes.BadSecurityPolicyRejected: "the server refuses this security policy: see `security`",
    ua.StatusCodes.BadDecodingError: "the server sends what cannot be decoded",
    ua.StatusCodes.BadTooManySessions: "the server has no session left: close other clients, or raise its limit",
    ua.StatusCodes.BadTcpEndpointUrlInvalid: "the server does not know this address: check the path after the port",
}
_CODES: Final = {
    ua.StatusCodes.BadIdentityTokenRejected: "login_refused",
    ua.StatusCodes.BadUserAccessDenied: "login_refused",
    ua.StatusCodes.BadIdentityTokenInvalid: "login_refused",
    ua.StatusCodes.BadSecurityChecksFailed: "not_trusted_there",
    ua.StatusCodes.BadCertificateUntrusted: "not_trusted_there",
    ua.StatusCodes.BadSecurityPolicyRejected: "wrong_security",
    ua.StatusCodes.BadTooManySessions: "too_many_sessions",
}
"""What the trouble is called, where it is another one than a machine that does not answer."""
_TRUST_US: Final = (ua.StatusCodes.BadSecurityChecksFailed, ua.StatusCodes.BadCertificateUntrusted)


class _Session(UaSession):  # type: ignore[misc]
    async def publish(self, acks: list[ua.SubscriptionAcknowledgement]) -> ua.PublishResponse:
        try:
            return await super().publish(acks)
        except UaStructParsingError:  # asyncua leaves the notification out, and goes on
            await self.inform_subscriptions(ua.StatusCode(ua.StatusCodes.BadDecodingError))
            raise


class Session(Client):  # type: ignore[misc]
    """A session with one server, as asyncua's client."""

    shows_password = False  # it went over the network unencrypted

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.uaclient.session = _Session(self.uaclient)

    def server_policy(self, token_type: ua.UserTokenType) -> ua.UserTokenPolicy:
        """Return how the server wants a log-in of this kind; of several ways the one that encrypts, if it can be."""
        ways = [
            dataclasses.replace(way, SecurityPolicyUri=way.SecurityPolicyUri or self.security_policy.URI)
            for way in self._policy_ids or ()
            if way.TokenType == token_type
        ]
        has_certificate = bool(self.security_policy.peer_certificate)
        ways.sort(key=lambda way: (way.SecurityPolicyUri in _ENCRYPTING) != has_certificate)
        return ways[0] if ways else super().server_policy(token_type)

    def _add_user_auth(self, params: ua.ActivateSessionParameters, username: str | None, password: str | None) -> None:
        uri = self.server_policy(ua.UserTokenType.UserName).SecurityPolicyUri
        policy, mode = uri.rpartition("#")[2], self.security_policy.Mode
        if uri == security_policies.SecurityPolicyNone.URI:
            if mode == ua.MessageSecurityMode.Sign:
                raise Unreachable(
                    f"{self.server_url.geturl()}: the server wants the password unencrypted, and the connection is "
                    "only signed: ",
                    "set `mode: sign_and_encrypt`",
                    code="wrong_security",
                )
            self.shows_password = mode == ua.MessageSecurityMode.None_
        elif not self.security_policy.peer_certificate:
            raise Unreachable(
                f"{self.server_url.geturl()}: the server wants the password encrypted ({policy}), but shows no "
                "certificate to encrypt it with: ",
                "give the server a certificate, let it take passwords without encryption, or leave out `user`",
                code="wrong_security",
            )
        super()._add_user_auth(params, username, password)

    async def send_hello(self) -> None:
        # asyncua greets a server that has hung up already, and waits for its answer
        protocol = self.uaclient.protocol
        if protocol is None or protocol.transport is None:
            raise ConnectionError("connection lost")
        await super().send_hello()


async def open_session(entry: Entry, context: Context) -> Session:
    """Open a session with the server of an entry; raise Unreachable with what to do."""
    client = Session(entry.address, timeout=entry.timeout_s, watchdog_intervall=entry.timeout_s)
    client.application_uri = APPLICATION_URI
    client.name = client.description = "shopfloor edge"
    try:
        with translated(entry.address, Unreachable, context):
            if entry.security.policy != "none":
                await _secure(client, entry, context)
            if entry.user is not None and entry.password_file is not None:
                client.set_user(entry.user)
                client.set_password(_password(context, entry.password_file))
            await client.connect()
    except BaseException:
        client.disconnect_socket()  # asyncua leaves it open when it is canceled
        raise
    return client


def _password(context: Context, file: str) -> str:
    path = context.folder / file
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError as error:
        text = f"the password file {path} cannot be read: {error.strerror}"
        raise Unreachable(text, code="unreadable_password") from error


async def _secure(client: Client, entry: Entry, context: Context) -> None:
    security, pki = entry.security, context.home / "edge" / "pki"
    policy = getattr(security_policies, f"SecurityPolicy{security.policy}")
    mode = _MODES[security.mode]
    endpoints = await client.connect_and_get_server_endpoints()
    matching = [e for e in endpoints if e.SecurityMode == mode and e.SecurityPolicyUri == policy.URI]
    if not matching:
        offered = sorted({f"{e.SecurityPolicyUri.rpartition('#')[2]}/{e.SecurityMode.name}" for e in endpoints})
        raise Unreachable(
            f"{entry.address}: the server does not offer {security.policy} with {security.mode}; it offers: "
            f"{', '.join(offered)}. ",
            "Choose one of them under `security`, or enable it on the server",
            code="wrong_security",
        )
    der = first_certificate(matching[0].ServerCertificate or b"")
    own_list = (pki / "trusted",)
    trusted = own_list if security.trust is None else (context.folder / security.trust, *own_list)
    TrustList(trusted, pki / "rejected").check(der, entry.address)
    if security.certificate is not None and security.key is not None:
        identity = Identity(context.folder / security.certificate, context.folder / security.key)
    else:
        identity = own_identity(pki)
    await client.set_security(
        policy,
        identity.certificate,
        identity.key,
        server_certificate=CertProperties(der, "der"),
        mode=mode,
    )


def first_certificate(blob: bytes) -> bytes:
    """Return the first certificate of a chain in DER; raise Unreachable when there is none."""
    length = int.from_bytes(blob[2:4], "big") + 4
    if blob[:2] != b"\x30\x82" or length > len(blob):
        text = "the server shows no certificate: give it one, or set `security: none`"
        raise Unreachable(text, code="wrong_security")
    return blob[:length]


@contextmanager
def translated(address: str, wanted: type[Unreachable] | type[Lost], context: Context | None = None) -> Iterator[None]:
    """Turn every error of asyncua or of the line into `wanted`, with what to do."""
    try:
        yield
    except Exception as error:
        if not is_foreign(error):
            raise
        what, do = _advice(error, context)
        raise wanted(f"{address}: {what}", do, code=_CODES.get(status_of(error) or 0, "")) from error


def is_foreign(error: Exception) -> bool:
    """Whether an error is the server's, the line's, or comes of what the server sends."""
    return isinstance(error, UA_ERRORS) or is_damage(error)


def explain(error: BaseException) -> str:
    """Say in words what an error of asyncua means and what to do about it."""
    return "".join(_advice(error))


def _advice(error: BaseException, context: Context | None = None) -> tuple[str, str]:
    """Return what an error of asyncua means, and what to do about it: one text in two parts."""
    code = status_of(error)
    if code is not None:
        text = _ADVICE.get(code, ua.StatusCode(code).doc)
        if code in _TRUST_US and context is not None:
            text += f": copy {context.home / 'edge' / 'pki' / 'own' / 'certificate.der'} to the server's trusted ones"
        return _parted(f"{text} ({ua.StatusCode(code).name})")
    if isinstance(error, TimeoutError | asyncio.TimeoutError):
        return _parted("no answer in time: is the machine on, and is the address right?")
    if isinstance(error, ConnectionRefusedError):
        return _parted("nothing listens there: is the machine on, and is the port right?")
    if isinstance(error, InvalidSignature):
        return "the server's signature is wrong: somebody else may answer in its place", ""
    if is_damage(error) and type(error) is not UaError:
        return f"the server sends what cannot be decoded ({type(error).__name__}: {error})", ""
    return str(error) or type(error).__name__, ""


def _parted(text: str) -> tuple[str, str]:
    what, colon, do = text.partition(": ")
    return what + colon, do


def status_of(error: BaseException) -> int | None:
    """Return the OPC UA status code that an error carries."""
    code: Any = getattr(error, "code", None) if isinstance(error, UaStatusCodeError | ServiceError) else None
    return code if isinstance(code, int) else None
