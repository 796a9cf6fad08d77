"""A cluster of Kafka as its readers see it: the clients that they get, with the rights of a
function's role, and what is said where that fails."""

from __future__ import annotations

import asyncio
import importlib
import logging
import ssl
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from samovar.errors import AWS, ClientError, EngineError
from samovar.event_sources.kafka_access import AccessInvalid, Login, login, login_type, secrets_of
from samovar.event_sources.kafka_records import Message
from samovar.event_sources.refusals import DENIED, explained
from samovar.model.event_source import EventSourceMapping
from samovar.neighbours import AsyncNeighbours, Caller
from samovar.registry.mapping_texts import refused

if TYPE_CHECKING:
    from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

_log = logging.getLogger(__name__)

T = TypeVar("T")

_SESSION_MS = 10_000  # that a dead reader keeps its partitions
# A client asks a server for one thing at a time: while a look at idle partitions waits, those that
# have records wait, too (aiokafka's default is 500).
_LOOK_MS = 100
_HANDOVER_MS = 30_000  # that readers may take to let go of partitions
# Readers wait as long as functions need; a session says whether they live.
_POLL_MS = 2**31 - 1
_PROBE = 5.0  # seconds
_FAREWELL = 2.0  # seconds that servers get to answer who leaves
# GetBootstrapBrokers' answers, by what a mapping says of authentication: those to be preferred
# first, and whether they are encrypted.
_PLAIN, _TLS = ("BootstrapBrokerString", False), ("BootstrapBrokerStringTls", True)
_BROKERS = {
    "": (_PLAIN, _TLS),
    "CLIENT_CERTIFICATE_TLS_AUTH": (_TLS,),
    "SASL_SCRAM_512_AUTH": (("BootstrapBrokerStringSaslScram", True),),
}
_UNAUTHORIZED = "Cluster failed to authorize Lambda"
_UNAUTHENTICATED = "SASL authentication failed"
_UNREACHED = "Connection error. Please check your event source connection configuration"


class TopicMissing(EngineError):
    """The cluster has no such topic."""


_leaving: set[asyncio.Task[None]] = set()  # nobody else holds them


async def let_go_of(client: Any) -> None:
    """Stop a client. Where servers do not answer that takes as long as its requests may: it goes on
    by itself then, and a group finds out that a member is gone."""
    leaving = asyncio.get_running_loop().create_task(client.stop())
    _leaving.add(leaving)
    leaving.add_done_callback(_left)
    await asyncio.wait([leaving], timeout=_FAREWELL)


def _left(task: asyncio.Task[None]) -> None:
    _leaving.discard(task)
    if not task.cancelled() and task.exception() is not None:
        _log.debug("a client was not stopped in peace: %r", task.exception())


class Cluster:
    """The cluster of one mapping. `servers` are the ones that were connected to last, separated by
    commas."""

    def __init__(
        self, neighbours: AsyncNeighbours, mapping: EventSourceMapping, caller: Callable[[], Caller]
    ) -> None:
        """`caller`: whose rights count now; what it raises, everything raises."""
        self.mapping = mapping
        self.servers = ",".join(mapping.servers)
        self._neighbours = neighbours
        self._caller = caller
        self._login = Login()
        self._producer: AIOKafkaProducer | None = None
        self._making = asyncio.Lock()

    async def demand_readable(self) -> None:
        """Raise ClientError unless the role may see what it needs to connect. Whether the cluster
        itself lets it in shows in LastProcessingResult, as at AWS."""
        access = self.mapping.access
        for name, uri in secrets_of(access):
            await self._explained("secretsmanager:GetSecretValue", uri, self._secret(uri))
            _log.debug("%s of %s can be read", name, self.mapping.source_name)
        if self.mapping.source_arn:
            await self._explained(
                "kafka:GetBootstrapBrokers", self.mapping.source_arn, self._find()
            )

    async def consumer(self) -> AIOKafkaConsumer:
        """A new one, connected, of the mapping's consumer group. Raises what `problem_of` knows."""
        options = await self._options()
        from aiokafka import AIOKafkaConsumer  # noqa: PLC0415

        found = AIOKafkaConsumer(
            **options,
            group_id=self.mapping.group,
            enable_auto_commit=False,
            auto_offset_reset="earliest",  # of records that are gone
            max_poll_interval_ms=_POLL_MS,
            session_timeout_ms=_SESSION_MS,
            rebalance_timeout_ms=_HANDOVER_MS,
            fetch_max_wait_ms=_LOOK_MS,
        )
        await self._connected(found)
        return found

    async def tell(self, topic: str, messages: Sequence[Message]) -> None:
        """Write to a topic; returns once all replicas have it. Raises EngineError."""
        try:
            async with self._making:
                producer = self._producer or await self._new_producer()
            for message in messages:
                await producer.send_and_wait(topic, message.value, message.key)
        except Exception as error:  # Kafka's, a secret's, a role's: whatever it is may pass
            raise EngineError(f"the topic {topic} can't be written to: {error!r}") from error

    async def close(self) -> None:
        """Let go of what `tell` needed; idempotent."""
        producer, self._producer = self._producer, None
        if producer is not None:
            await let_go_of(producer)

    async def problem_of(self, error: BaseException) -> str:
        """What AWS's LastProcessingResult says of an error: its own words where they are known."""
        from aiokafka import errors  # noqa: PLC0415

        if isinstance(error, AccessInvalid | TopicMissing):
            return f"PROBLEM: {error}"
        if isinstance(error, errors.AuthenticationFailedError | errors.SaslAuthenticationFailed):
            return f"PROBLEM: {_UNAUTHENTICATED}"
        if isinstance(
            error,
            errors.TopicAuthorizationFailedError
            | errors.GroupAuthorizationFailedError
            | errors.ClusterAuthorizationFailedError,
        ):
            return f"PROBLEM: {_UNAUTHORIZED}"
        if isinstance(error, errors.KafkaConnectionError | OSError):
            # What went wrong with a certificate is lost in the client's own words.
            return f"PROBLEM: {await self._certificates_problem() or _UNREACHED}"
        return f"PROBLEM: {error}"

    # -- connecting

    async def _options(self) -> dict[str, Any]:
        """What every client of this cluster is made with."""
        mapping = self.mapping
        await asyncio.to_thread(importlib.import_module, "aiokafka")  # takes 0.2 s
        secrets = {name: await self._secret(uri) for name, uri in secrets_of(mapping.access)}
        encrypted = False
        if mapping.source_arn:
            self.servers, encrypted = await self._find()
        loop = asyncio.get_running_loop()
        self._login = await loop.run_in_executor(None, lambda: login(secrets, encrypted=encrypted))
        servers = self.servers.split(",")
        return {"bootstrap_servers": servers, "client_id": "samovar", **self._login.options()}

    async def _new_producer(self) -> AIOKafkaProducer:
        options = await self._options()
        from aiokafka import AIOKafkaProducer  # noqa: PLC0415

        producer = AIOKafkaProducer(**options, acks="all")
        await self._connected(producer)
        self._producer = producer
        return producer

    async def _connected(self, client: Any) -> None:
        try:
            await client.start()
        except BaseException:
            await let_go_of(client)
            raise

    async def _find(self) -> tuple[str, bool]:
        """The servers of a cluster of MSK, and whether they are to be talked to in TLS."""
        found = await self._neighbours.call(
            *("kafka", "get_bootstrap_brokers", self._caller()),
            region=self.mapping.source.region,
            ClusterArn=self.mapping.source_arn,
        )
        for name, encrypted in _BROKERS[login_type(self.mapping.access)]:
            if found.get(name):
                return found[name], encrypted
        raise AccessInvalid(
            f"{self.mapping.source_arn} has no brokers for this way of authentication (that of IAM "
            "is not carried out): see SourceAccessConfigurations"
        )

    async def _secret(self, arn: str) -> str:
        found = await self._neighbours.call(
            *("secretsmanager", "get_secret_value", self._caller()),
            region=self.mapping.source.region,
            SecretId=arn,
        )
        return str(found.get("SecretString", ""))

    async def _explained(self, action: str, what: str, call: Awaitable[T]) -> T:
        def words(code: str, error: Exception) -> ClientError:  # all of it is unconfirmed
            if code in DENIED:
                return refused(
                    f"The function execution role does not have permissions to call {action} on "
                    f"{what}"
                )
            return refused(f"{action} of {what}: {code or type(error).__name__}: {error}")

        try:
            return await explained(call, what, words)
        except AccessInvalid as error:
            raise ClientError(AWS.INVALID_PARAMETER, str(error)) from None

    async def _certificates_problem(self) -> str:
        """AWS's words for what a handshake fails of; empty if it is something else."""
        if self._login.tls is None:
            return ""
        host, _, port = self.servers.split(",")[0].rpartition(":")
        try:
            async with asyncio.timeout(_PROBE):
                _, writer = await asyncio.open_connection(
                    host.strip("[]"), int(port), ssl=self._login.tls
                )
        except ssl.SSLCertVerificationError:
            return "Lambda failed to authenticate server"
        except ssl.SSLError:
            return "Server failed to authenticate Lambda"
        except (OSError, TimeoutError):
            return ""
        writer.transport.abort()
        return ""
