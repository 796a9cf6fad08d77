"""What AWS demands of mappings of Kafka, where they differ from others (reference, section 5.1).

But for the text of what is missing, AWS's words are unconfirmed.
"""

from __future__ import annotations

import re

from samovar.model.event_source import FOREVER, EventSourceMapping, SourceKind, StartingPosition
from samovar.registry import rules
from samovar.registry.mapping_texts import NO_POSITION, refused, unsupported

LONGEST_TIMEOUT = 840  # seconds of a function whose records come of Kafka
TOPIC_DESTINATION = "kafka://"  # before a topic of the same cluster, in the place of an ARN
POLLERS = (1, 200), (1, 2000)  # of provisioned mode: at least, at most
DEFAULT_POLLERS = (1, 200)
_SERVER = re.compile(r"(\[[0-9a-fA-F:.]+\]|[a-zA-Z0-9._-]+):([0-9]{1,5})")
_TOPIC = re.compile(r"[a-zA-Z0-9._-]{1,249}")

LOGINS = frozenset(
    {
        "BASIC_AUTH",
        "SASL_SCRAM_256_AUTH",
        "SASL_SCRAM_512_AUTH",
        "CLIENT_CERTIFICATE_TLS_AUTH",
    }
)
NETWORKS = frozenset({"VPC_SUBNET", "VPC_SECURITY_GROUP"})
ROOT = "SERVER_ROOT_CA_CERTIFICATE"
_ALLOWED = {
    SourceKind.KAFKA: LOGINS | NETWORKS | {ROOT},
    SourceKind.MSK: frozenset({"SASL_SCRAM_512_AUTH", "CLIENT_CERTIFICATE_TLS_AUTH"}),
}


def check_kafka(mapping: EventSourceMapping) -> None:
    """Raise ClientError for the first rule that a mapping of Kafka breaks."""
    for name, given in (
        ("ScalingConfig", mapping.maximum_concurrency is not None),
        ("ParallelizationFactor", mapping.parallelization != 1),
        ("TumblingWindowInSeconds", mapping.tumbling_window != 0),
    ):
        if given:
            raise unsupported(name)
    _check_servers(mapping)
    if mapping.topic is None:
        raise refused("Topics is required for a Kafka event source: give the name of one.")
    if not _TOPIC.fullmatch(mapping.topic):
        raise refused(f"{mapping.topic!r} is no name of a topic of Kafka.")
    position = mapping.starting_position
    if position is None:
        raise refused(NO_POSITION)
    timed = position is StartingPosition.AT_TIMESTAMP
    if timed != (mapping.starting_at is not None):
        raise refused("StartingPositionTimestamp goes with the position AT_TIMESTAMP, and only so.")
    _check_access(mapping)
    _check_provisioned(mapping)


def check_timeout(timeout: int) -> None:
    """Raise ClientError for a function's timeout (seconds) that is too long."""
    if timeout > LONGEST_TIMEOUT:
        raise refused(
            f"The timeout of a function that reads Kafka is at most {LONGEST_TIMEOUT} seconds, and "
            f"not {timeout}."
        )


def _check_servers(mapping: EventSourceMapping) -> None:
    for server in mapping.servers:
        match = _SERVER.fullmatch(server)
        if match is None or not 0 < int(match[2]) < 1 << 16:
            raise refused(f"{server!r} is no bootstrap server: give host:port.")


def _check_access(mapping: EventSourceMapping) -> None:
    kind = mapping.source.kind
    types = [name for name, _ in mapping.access]
    if kind is SourceKind.KAFKA and not types:
        raise refused("Required 'sourceAccessConfigurations' parameter is missing.")
    for name in types:
        if name not in _ALLOWED[kind]:
            raise refused(f"SourceAccessConfigurations of {kind.value} can't be of type {name}.")
    if sum(name in LOGINS for name in types) > 1:
        raise refused("SourceAccessConfigurations name more than one way of authentication.")
    if types.count(ROOT) > 1:
        raise refused(f"SourceAccessConfigurations name more than one {ROOT}.")


def _check_provisioned(mapping: EventSourceMapping) -> None:
    destination = mapping.on_failure or ""
    if destination == TOPIC_DESTINATION + (mapping.topic or ""):
        raise refused("The topic that is told of failures can't be the one that is read.")
    if destination.startswith(TOPIC_DESTINATION) and not _TOPIC.fullmatch(
        destination.removeprefix(TOPIC_DESTINATION)
    ):
        raise refused(f"{destination!r} names no topic of Kafka.")
    if mapping.provisioned:
        return
    for name, given in (
        ("MaximumRetryAttempts", mapping.retries != FOREVER),
        ("MaximumRecordAgeInSeconds", mapping.record_age != FOREVER),
        ("BisectBatchOnFunctionError", mapping.bisect),
        ("FunctionResponseTypes", mapping.report_failures),
        ("DestinationConfig with a topic", destination.startswith(TOPIC_DESTINATION)),
    ):
        if given:
            raise refused(
                f"{name} of a Kafka event source needs provisioned mode: give a "
                "ProvisionedPollerConfig."
            )


def check_pollers(
    mapping: EventSourceMapping, least: tuple[int, int], most: tuple[int, int]
) -> None:
    """Raise ClientError for numbers of pollers outside of AWS's ranges."""
    if mapping.least_pollers is None or mapping.most_pollers is None:
        return
    rules.check_range("provisionedPollerConfig.minimumPollers", mapping.least_pollers, least)
    rules.check_range("provisionedPollerConfig.maximumPollers", mapping.most_pollers, most)
    if mapping.least_pollers > mapping.most_pollers:
        raise refused(
            f"MinimumPollers ({mapping.least_pollers}) are more than MaximumPollers "
            f"({mapping.most_pollers})."
        )
