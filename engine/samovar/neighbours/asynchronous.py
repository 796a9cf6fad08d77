"""aiobotocore clients, for the loop: made when they are needed, kept, and closed together."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from contextvars import ContextVar
from typing import Any, NamedTuple

from samovar.errors import SamovarError
from samovar.neighbours.access import ANYBODY, options, without_metadata
from samovar.neighbours.answers import code_of
from samovar.neighbours.recent import Recent
from samovar.neighbours.roles import RoleKeys
from samovar.settings import Settings, is_loopback

READ_TIMEOUT = 20.0  # seconds
_CONNECTIONS = 32  # of one client at the same time
_MOST_KEYS = 500  # of roles, that are kept
_SESSION_NAME = 64  # characters that a session's name may have (STS)
# Neighbours say this of keys that they do not know, or do not know any more.
_STALE_KEYS = frozenset(
    {
        "ExpiredToken",
        "ExpiredTokenException",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "InvalidToken",
        "InvalidTokenId",
        "UnrecognizedClientException",
    }
)


class NoEndpoint(SamovarError):
    """Nobody has said where a neighbour is; the message says how to."""

    def __init__(self, service: str) -> None:
        how = f"--endpoints {service}=URL"
        if service != "lambda":
            how = f"--aws-endpoint URL, or {how} for it alone"
        super().__init__(f"nobody has said where {service} is: give {how}")


class Caller(NamedTuple):
    """For whom a neighbour is called: the ARN of the role whose rights are used (where roles are
    assumed), the session's name, which AWS gives the function's, and the trace header that goes
    along."""

    role: str = ""
    session: str = ""
    trace: str = ""


ENGINE = Caller()
"""The engine itself, with its own rights."""

# Whom the request of the task at hand is signed for. Clients are all functions' together: one for
# each role would take 10 ms of the loop, 0.3 MB and connections of its own.
_caller: ContextVar[Caller] = ContextVar("caller", default=ENGINE)


class AsyncNeighbours:
    """Neighbours by service and Region, called with the rights of roles; for one loop.

    With an `sts` among the endpoints a call has the rights of its caller's role, which is assumed
    there and renewed in time; else it has the engine's own, and where the engine has no keys,
    anybody's: emulators take any.
    """

    def __init__(
        self,
        settings: Settings,
        wall: Callable[[], float] = time.time,
        *,
        read_timeout: float = READ_TIMEOUT,
        connections: int = _CONNECTIONS,
    ) -> None:
        """`read_timeout` is seconds without a byte of a reply; `connections` are those of one
        client at the same time."""
        self._connections = connections
        self._settings = settings
        self._wall = wall
        self._read_timeout = read_timeout
        self._base: Any = None
        self._own_keys: dict[str, str] = {}
        self._clients: dict[tuple[str, str], Any] = {}
        self._keys: Recent[tuple[str, str], RoleKeys] = Recent(
            _MOST_KEYS, lambda keys: keys.renewing
        )
        self._making = asyncio.Lock()
        self._open = AsyncExitStack()

    @property
    def assumes_roles(self) -> bool:
        """Whether calls have the rights of roles, and not the engine's own."""
        return "sts" in self._settings.endpoints

    async def call(
        self,
        service: str,
        operation: str,
        caller: Caller = ENGINE,
        /,
        *,
        region: str = "",
        **given: Any,
    ) -> dict[str, Any]:
        """Call an operation, in boto3's names, and once. `region` is the engine's own if not given.

        The first call of all takes half a second and 40 MB, in a thread; the first of a service in
        a Region some 20 ms of the loop. Raises NoEndpoint, RoleNotAssumed, and what botocore does.
        """
        client = await self._client(service, region or self._settings.region)
        before = _caller.set(caller)
        try:
            try:
                return await _ask(client, operation, given)
            except Exception as error:
                if not self._has_role(caller) or code_of(error) not in _STALE_KEYS:
                    raise
                # An STS that was started anew knows nothing of keys that are good by the clock.
                self._keys_of(caller).forget()
                return await _ask(client, operation, given)
        finally:
            _caller.reset(before)

    def endpoint(self, service: str) -> str:
        """Where a service is; empty where nobody has said. Lambda is this engine: what an emulator
        at `aws_endpoint` plays beside it is not meant; another one has to be named."""
        if service == "lambda":
            return self._settings.endpoints.get(service, "")
        return self._settings.endpoint(service)

    async def close(self) -> None:
        """Close all clients; idempotent."""
        self._clients.clear()
        for keys in self._keys:
            await keys.close()
        self._keys.clear()
        await self._open.aclose()

    async def _client(self, service: str, region: str) -> Any:
        endpoint = self.endpoint(service)
        if not endpoint:
            raise NoEndpoint(service)
        key = service, region
        if key not in self._clients:
            async with self._making:
                if key not in self._clients:
                    self._clients[key] = await self._make(service, endpoint, region)
        return self._clients[key]

    async def _make(self, service: str, endpoint: str, region: str) -> Any:
        if self._base is None:
            base = await asyncio.to_thread(_new_session)
            if all(map(is_loopback, self._endpoints())):
                without_metadata(base)
            # Looked for once: away from loopback it may ask a metadata server, and wait for it.
            self._own_keys = {} if await base.get_credentials() else ANYBODY
            self._base = base
        await asyncio.to_thread(_read_ahead, self._base, service)
        from aiobotocore.config import AioConfig  # noqa: PLC0415

        given = {
            "read_timeout": self._read_timeout,
            "retries": {"total_max_attempts": 1},
            "max_pool_connections": self._connections,
            # Not every emulator knows the checksums that S3 does without.
            "request_checksum_calculation": "when_required",
        }
        client = await self._open.enter_async_context(
            self._base.create_client(
                service,
                region_name=region,
                endpoint_url=endpoint,
                config=AioConfig(**options(self._settings, service, given)),
                **self._own_keys,
            )
        )
        client.meta.events.register("before-sign", self._before_sign)
        return client

    def _before_sign(self, request: Any, **_: Any) -> None:
        """Of each request, in the task that makes it."""
        caller = _caller.get()
        if caller.trace:
            request.headers["X-Amzn-Trace-Id"] = caller.trace
        if self._has_role(caller):
            request.context.setdefault("signing", {})["request_credentials"] = self._keys_of(caller)

    def _has_role(self, caller: Caller) -> bool:
        return bool(caller.role) and self.assumes_roles

    def _keys_of(self, caller: Caller) -> RoleKeys:
        session = session_name(caller.session)
        key = caller.role, session
        keys = self._keys.get(key)
        if keys is None:

            async def assume() -> dict[str, Any]:
                reply = await self.call(
                    *("sts", "assume_role"), RoleArn=caller.role, RoleSessionName=session
                )
                found: dict[str, Any] = reply["Credentials"]
                return found

            keys = RoleKeys(caller.role, assume, self._wall)
            self._keys.put(key, keys)
        return keys

    def _endpoints(self) -> list[str]:
        settings = self._settings
        return [url for url in (settings.aws_endpoint, *settings.endpoints.values()) if url]


def session_name(function: str) -> str:
    """What a function's session of its role is called, as STS wants it: 2 characters at least."""
    return function[:_SESSION_NAME].ljust(2, "-") if function else "samovar"


async def _ask(client: Any, operation: str, given: dict[str, Any]) -> dict[str, Any]:
    reply: dict[str, Any] = await getattr(client, operation)(**given)
    return reply


# In threads: half a second of imports, and files of megabytes.


def _new_session() -> Any:
    from aiobotocore.session import get_session  # noqa: PLC0415

    return get_session()


def _read_ahead(session: Any, service: str) -> None:
    """Read what the loader keeps of a service, so that making its client does not."""
    loader = session.get_component("data_loader")
    for kind in ("service-2", "endpoint-rule-set-1"):
        loader.load_service_model(service, kind)
    for name in ("endpoints", "partitions", "sdk-default-configuration"):
        loader.load_data(name)
