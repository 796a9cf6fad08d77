"""What a client is given for what a mapping says of authentication. No broker here asks for any."""

from __future__ import annotations

import json

import pytest
from tests.certificates import certificate

from samovar.event_sources.kafka_access import AccessInvalid, Login, login, login_type, secrets_of

USER = json.dumps({"username": "tea", "password": "green"})
INVALID = "Provided certificate or private key is invalid"


@pytest.mark.parametrize(
    ("kind", "mechanism"),
    [
        ("BASIC_AUTH", "PLAIN"),
        ("SASL_SCRAM_256_AUTH", "SCRAM-SHA-256"),
        ("SASL_SCRAM_512_AUTH", "SCRAM-SHA-512"),
    ],
)
def test_passwords_go_over_tls(kind: str, mechanism: str) -> None:
    found = login({kind: USER})
    assert found.options() == {
        "security_protocol": "SASL_SSL",
        "sasl_mechanism": mechanism,
        "sasl_plain_username": "tea",
        "sasl_plain_password": "green",
        "ssl_context": found.tls,
    }
    assert found.tls is not None and found.tls.check_hostname
    assert "green" not in repr(found)


def test_without_authentication_it_is_as_plain_as_the_cluster() -> None:
    assert login({}) == Login()
    assert login({}, encrypted=True).protocol == "SSL"


def test_an_authority_of_its_own_is_trusted_alone() -> None:
    made = certificate()
    found = login({"SERVER_ROOT_CA_CERTIFICATE": json.dumps({"certificate": made.certificate})})
    assert found.protocol == "SSL" and found.tls is not None
    assert {"commonName": "127.0.0.1"} in [
        dict(one for part in trusted["subject"] for one in part)
        for trusted in found.tls.get_ca_certs()
    ]


@pytest.mark.parametrize("password", ["", "secret"])
def test_a_certificate_of_the_client(password: str) -> None:
    made = certificate(password=password)
    secret = {"certificate": made.certificate, "privateKey": made.key}
    if password:
        secret["privateKeyPassword"] = password
    assert login({"CLIENT_CERTIFICATE_TLS_AUTH": json.dumps(secret)}).protocol == "SSL"


@pytest.mark.parametrize(
    ("secrets", "words"),
    [
        ({"BASIC_AUTH": "no json"}, "SASL authentication failed"),
        ({"BASIC_AUTH": '["a"]'}, "SASL authentication failed"),
        ({"BASIC_AUTH": '{"username": "tea"}'}, "SASL authentication failed"),
        ({"CLIENT_CERTIFICATE_TLS_AUTH": "{}"}, INVALID),
        ({"CLIENT_CERTIFICATE_TLS_AUTH": '{"certificate": "x", "privateKey": "y"}'}, INVALID),
        ({"SERVER_ROOT_CA_CERTIFICATE": '{"certificate": "x"}'}, INVALID),
        ({"SERVER_ROOT_CA_CERTIFICATE": '{"certificate": 7}'}, INVALID),
    ],
)
def test_secrets_that_are_none(secrets: dict[str, str], words: str) -> None:
    with pytest.raises(AccessInvalid, match=words):
        login(secrets)


def test_a_key_without_its_password_is_refused_and_nobody_is_asked() -> None:
    made = certificate(password="secret")
    secret = json.dumps({"certificate": made.certificate, "privateKey": made.key})
    with pytest.raises(AccessInvalid, match=INVALID):
        login({"CLIENT_CERTIFICATE_TLS_AUTH": secret})


def test_networks_are_no_secrets() -> None:
    access = [("VPC_SUBNET", "subnet:s"), ("BASIC_AUTH", "arn"), ("VPC_SECURITY_GROUP", "g")]
    assert secrets_of(access) == [("BASIC_AUTH", "arn")]
    assert login_type(access) == "BASIC_AUTH"
    assert login_type(access[:1]) == ""
