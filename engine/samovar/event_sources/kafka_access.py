"""How a client proves to a cluster of Kafka who it is, from what a mapping says: the secrets that
SourceAccessConfigurations name. Source: developer guide, «Configuring cluster authentication
methods»."""

from __future__ import annotations

import json
import ssl
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from samovar.errors import SamovarError
from samovar.registry.kafka_rules import LOGINS, NETWORKS, ROOT

_MECHANISMS = {
    "BASIC_AUTH": "PLAIN",
    "SASL_SCRAM_256_AUTH": "SCRAM-SHA-256",
    "SASL_SCRAM_512_AUTH": "SCRAM-SHA-512",
}
_CERTIFICATE = "CLIENT_CERTIFICATE_TLS_AUTH"


class AccessInvalid(SamovarError):
    """A secret is not what it should be; the message is AWS's LastProcessingResult, without the
    word PROBLEM."""


@dataclass(frozen=True, slots=True)
class Login:
    """Kafka's security protocol, and what belongs to it. Passwords are not shown."""

    protocol: str = "PLAINTEXT"
    mechanism: str = "PLAIN"
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: ssl.SSLContext | None = None

    def options(self) -> dict[str, Any]:
        """As clients of aiokafka take it."""
        return {
            "security_protocol": self.protocol,
            "sasl_mechanism": self.mechanism,
            "sasl_plain_username": self.username,
            "sasl_plain_password": self.password,
            "ssl_context": self.tls,
        }


def login_type(access: Sequence[tuple[str, str]]) -> str:
    """The type of authentication, empty for none."""
    return next((name for name, _ in access if name in LOGINS), "")


def secrets_of(access: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """What names secrets: types and ARNs."""
    return [(name, uri) for name, uri in access if name not in NETWORKS]


def login(secrets: Mapping[str, str], *, encrypted: bool = False) -> Login:
    """From secrets' texts, by type. Passwords go over TLS and not otherwise, as at AWS; so does
    everything if the cluster is `encrypted`. Blocks for a few ms. Raises AccessInvalid."""
    name = login_type([(one, "") for one in secrets])
    sasl, tls = name in _MECHANISMS, None
    if sasl or name == _CERTIFICATE or ROOT in secrets or encrypted:
        tls = _context(secrets)
    if not sasl:
        return Login("SSL" if tls else "PLAINTEXT", tls=tls)
    fields = _fields(secrets[name])
    username, password = fields.get("username"), fields.get("password")
    if not isinstance(username, str) or not isinstance(password, str):
        raise AccessInvalid("SASL authentication failed")
    return Login("SASL_SSL", _MECHANISMS[name], username, password, tls)


def _context(secrets: Mapping[str, str]) -> ssl.SSLContext:
    context = ssl.create_default_context()
    try:
        if ROOT in secrets:
            context.load_verify_locations(cadata=_fields(secrets[ROOT])["certificate"])
        if _CERTIFICATE in secrets:
            _load_chain(context, _fields(secrets[_CERTIFICATE]))
    except (KeyError, TypeError, ValueError, OSError) as error:  # SSLError is an OSError
        raise AccessInvalid("Provided certificate or private key is invalid") from error
    return context


def _load_chain(context: ssl.SSLContext, fields: Mapping[str, Any]) -> None:
    password = fields.get("privateKeyPassword") or ""
    # OpenSSL reads files only. Nobody else may; an empty password keeps it from asking a terminal.
    with tempfile.NamedTemporaryFile(suffix=".pem") as file:
        file.write(f"{fields['privateKey']}\n{fields['certificate']}\n".encode())
        file.flush()
        context.load_cert_chain(file.name, password=password)


def _fields(secret: str) -> dict[str, Any]:
    try:
        found = json.loads(secret)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
