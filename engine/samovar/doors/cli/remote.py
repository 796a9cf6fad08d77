"""boto3's Lambda client for an engine, with patience and credentials that suit one next door."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar
from urllib.parse import urlsplit

import boto3
import click
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.session import Session

from samovar.doors.cli.exits import WHAT_IS_THERE, Exit, Failure, failures, refused
from samovar.settings import PREFIX, Settings, is_loopback

# AWS's longest function runs for 900 s; a reply may take a little longer than the function.
READ_TIMEOUT = 930
CONNECT_TIMEOUT = 5
# Names that are looked through for one that was mistyped.
_MOST_NAMES = 1000

Command = TypeVar("Command", bound=Callable[..., Any])

# Where keys for an engine on this machine are looked for. Every other place would be asked over the
# network (a cloud's metadata server, STS, single sign-on), or by running a program.
_AT_HAND = frozenset({"env", "shared-credentials-file", "config-file"})


def endpoint_option(command: Command) -> Command:
    """The option that every command which talks to an engine has."""
    return click.option(
        "--endpoint-url",
        metavar="URL",
        help="where the engine listens  [AWS_ENDPOINT_URL_LAMBDA; default: http://127.0.0.1:4566]",
    )(command)


@contextmanager
def connected(endpoint_url: str | None, *, connections: int = 10) -> Iterator[Any]:
    """A Lambda client for the endpoint that is meant; what goes wrong with it is a Failure."""
    endpoint = endpoint_of(endpoint_url)
    with failures(endpoint):
        client = lambda_client(endpoint, connections=connections)
        try:
            yield client
        except client.exceptions.ResourceNotFoundException as error:
            raise refused(error, _similar(client, str(error))) from error
        finally:
            client.close()


def _similar(client: Any, message: str) -> str:
    """What may have been meant, where `message` has the name of a function, or of a version or an
    alias, that isn't there; «» where there is nothing like it."""
    missed = re.search(r":function:([^:\s]+)(:\S+)?", message)
    if missed is None:
        return ""
    name, qualifier = missed.groups()
    try:
        pages = client.get_paginator("list_functions").paginate(
            PaginationConfig={"MaxItems": _MOST_NAMES}
        )
        names = [item["FunctionName"] for page in pages for item in page["Functions"]]
    except (ClientError, BotoCoreError):  # the first error is the one to tell
        return ""
    if name in names and qualifier:
        return f"{name} has no such version or alias. What it has: samovar functions --versions"
    near = difflib.get_close_matches(name, names)
    return f"Did you mean {' or '.join(near)}? {WHAT_IS_THERE}" if near else ""


def endpoint_of(given: str | None) -> str:
    """The endpoint to talk to: as given, as AWS's tools are told, or the engine's default."""
    told = given or os.environ.get("AWS_ENDPOINT_URL_LAMBDA")
    if not told:
        default = next(
            item for item in Settings.__dataclass_fields__.values() if item.name == "port"
        )
        port = os.environ.get(f"{PREFIX}PORT") or default.default
        return f"http://127.0.0.1:{port}"
    parts = urlsplit(told)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise Failure(
            Exit.USAGE, f"{told!r} is not an endpoint; write it like http://127.0.0.1:4566"
        )
    return told


def lambda_client(endpoint: str, *, connections: int = 10) -> Any:
    """A Lambda client for `endpoint`, which never sends an invocation twice.

    An engine on this machine gets the keys that are at hand, in case that it asks for some, and
    made-up ones where there are none.
    """
    session = Session()
    near = is_loopback(endpoint)
    region = os.environ.get("AWS_REGION") or session.get_config_variable("region")
    return boto3.Session(botocore_session=session).client(
        "lambda",
        endpoint_url=endpoint,
        region_name=region or "us-east-1",
        config=Config(
            retries={"total_max_attempts": 1},
            read_timeout=READ_TIMEOUT,
            connect_timeout=CONNECT_TIMEOUT,
            max_pool_connections=connections,
            proxies={} if near else None,
        ),
        **(_keys_at_hand(session) if near else {}),
    )


def _keys_at_hand(session: Session) -> Mapping[str, str | None]:
    resolver = session.get_component("credential_provider")
    resolver.providers = [item for item in resolver.providers if item.METHOD in _AT_HAND]
    found = resolver.load_credentials()
    if found is None:
        return {"aws_access_key_id": "samovar", "aws_secret_access_key": "samovar"}
    keys = found.get_frozen_credentials()
    return {
        "aws_access_key_id": keys.access_key,
        "aws_secret_access_key": keys.secret_key,
        "aws_session_token": keys.token,
    }
