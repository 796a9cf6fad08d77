"""aiobotocore clients, for the loop: made when they are needed, kept, and closed together."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from datetime import datetime
from typing import Any

from samovar.errors import SamovarError
from samovar.neighbours.access import ANYBODY, options, without_metadata
from samovar.settings import Settings, is_loopback

_READ_TIMEOUT = 20.0  # seconds
_STS_SESSION = 64  # characters that a session's name may have (STS)


class NoEndpoint(SamovarError):
    """Nobody has said where a neighbour is; the message says how to."""

    def __init__(self, service: str) -> None:
        super().__init__(
            f"nobody has said where {service} is: give --aws-endpoint, or "
            f"--endpoints {service}=URL for it alone"
        )


class AsyncNeighbours:
    """Clients by service, Region and role; for one loop.

    With an `sts` among the endpoints a client has the rights of the role that is asked for, which
    is assumed there and renewed in time; else it has the engine's own, and near emulators, which
    take any, anybody's.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._clients: dict[tuple[str, str, str], Any] = {}
        self._sessions: dict[str, Any] = {}
        self._making = asyncio.Lock()
        self._open = AsyncExitStack()

    @property
    def assumes_roles(self) -> bool:
        """Whether clients have the rights of roles, and not the engine's own."""
        return "sts" in self._settings.endpoints

    async def client(self, service: str, *, region: str = "", role: str = "") -> Any:
        """A client of `service`, which stays open until `close`. `region` is the engine's own if
        not given; `role` is the ARN of the role to assume, where roles are.

        The first takes half a second and 40 MB, in a thread; every other some 10 ms of the loop.
        Raises NoEndpoint.
        """
        endpoint = self._settings.endpoint(service)
        if not endpoint:
            raise NoEndpoint(service)
        region = region or self._settings.region
        if not self.assumes_roles or service == "sts":
            role = ""
        key = service, region, role
        if key not in self._clients:
            async with self._making:
                if key not in self._clients:
                    self._clients[key] = await self._make(service, endpoint, region, role)
        return self._clients[key]

    async def close(self) -> None:
        """Close all clients; idempotent."""
        self._clients.clear()
        self._sessions.clear()
        await self._open.aclose()

    async def _make(self, service: str, endpoint: str, region: str, role: str) -> Any:
        base = await self._session()
        await asyncio.to_thread(_read_ahead, base, service)
        session = self._session_of(base, role) if role else base
        from aiobotocore.config import AioConfig  # noqa: PLC0415

        given = {"read_timeout": _READ_TIMEOUT, "retries": {"total_max_attempts": 1}}
        config = AioConfig(**options(self._settings, service, given))
        anybody = {} if role or await base.get_credentials() else ANYBODY
        return await self._open.enter_async_context(
            session.create_client(
                service, region_name=region, endpoint_url=endpoint, config=config, **anybody
            )
        )

    async def _session(self) -> Any:
        if "" not in self._sessions:
            base = await asyncio.to_thread(_new_session)
            if all(map(is_loopback, self._endpoints())):
                without_metadata(base)
            self._sessions[""] = base
        return self._sessions[""]

    def _endpoints(self) -> list[str]:
        settings = self._settings
        return [url for url in (settings.aws_endpoint, *settings.endpoints.values()) if url]

    def _session_of(self, base: Any, role: str) -> Any:
        """A session whose keys are a role's."""
        from aiobotocore.credentials import AioDeferredRefreshableCredentials  # noqa: PLC0415

        session = self._sessions.get(role)
        if session is None:
            session = self._sessions[role] = _new_session()
            # What services look like is read once, not for each role.
            session.register_component("data_loader", base.get_component("data_loader"))

            async def assume() -> dict[str, Any]:
                return await self._assume(role)

            # There is no public way in; what botocore's own assume-role provider makes is this.
            session._credentials = AioDeferredRefreshableCredentials(assume, "sts-assume-role")
        return session

    async def _assume(self, role: str) -> dict[str, Any]:
        # Of a client of its own and not through `client`: that may be what waits for this.
        sts = self._clients.get(("sts", self._settings.region, ""))
        if sts is None:
            endpoint = self._settings.endpoint("sts")
            sts = await self._make("sts", endpoint, self._settings.region, "")
            self._clients["sts", self._settings.region, ""] = sts
        name = role.rpartition("/")[2][:_STS_SESSION]
        reply = await sts.assume_role(
            RoleArn=role, RoleSessionName=f"samovar-{name}"[:_STS_SESSION]
        )
        keys = reply["Credentials"]
        expires = keys["Expiration"]
        return {
            "access_key": keys["AccessKeyId"],
            "secret_key": keys["SecretAccessKey"],
            "token": keys["SessionToken"],
            "expiry_time": expires.isoformat() if isinstance(expires, datetime) else str(expires),
        }


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
