"""What AWS demands of event source mappings, with AWS's texts (reference, section 5.2).

Where AWS's own words are not known, the text says what is wrong in ours: «unconfirmed» below.
"""

from __future__ import annotations

from collections.abc import Sequence

from samovar.errors import AWS, ClientError
from samovar.model import limits
from samovar.model.event_source import (
    BATCH_WITHOUT_WINDOW,
    FIFO_BATCH_SIZE,
    FOREVER,
    EventSourceMapping,
    Source,
    SourceKind,
    StartingPosition,
)
from samovar.model.target import Service, Target
from samovar.registry import rules
from samovar.registry.kafka_rules import POLLERS, TOPIC_DESTINATION, check_kafka, check_pollers
from samovar.registry.mapping_texts import NO_POSITION, refused, unsupported

BATCH_SIZES = (1, 10000)
WINDOWS = (0, 300)  # seconds
CONCURRENCIES = (2, 1000)
FACTORS = (1, 10)  # batches of one shard at once
TUMBLING_WINDOWS = (0, 900)  # seconds
RETRIES = (-1, 10000)
RECORD_AGES = (-1, 604800)  # seconds; and none below a minute but -1
LEAST_RECORD_AGE = 60
QUEUE_DEFAULT_POLLERS = (2, 200)
QUEUE_POLLERS = (2, 200), (2, 2000)  # of provisioned mode: at least, at most
_DESTINATIONS = frozenset({Service.SQS, Service.SNS, Service.S3})


def read_source(arn: str | None, servers: Sequence[str] = (), *, region: str) -> Source:
    """The source that a request means: its ARN, or servers of Kafka; raises ClientError."""
    if servers:
        if arn:  # unconfirmed
            raise refused("An event source is an ARN or is self-managed, and not both.")
        return Source.self_managed(servers)
    try:
        source = Source.parse(arn or "")
    except ValueError:
        raise refused("Unrecognized event source.") from None
    if source.kind is SourceKind.KINESIS and "/consumer/" in source.resource:
        raise ClientError(
            AWS.NOT_CARRIED_OUT,
            f"Samovar does not read with enhanced fan-out yet: {arn}. Give the stream's own ARN.",
        )
    if source.region != region:  # unconfirmed
        raise refused(
            f"The event source {arn} is in another Region than the function, which is in {region}."
        )
    return source


def check(mapping: EventSourceMapping) -> None:
    """Raise ClientError for the first rule that a mapping breaks."""
    source = mapping.source
    rules.check_range("batchSize", mapping.batch_size, BATCH_SIZES)
    rules.check_range("maximumBatchingWindowInSeconds", mapping.window, WINDOWS)
    rules.check_range("maximumRetryAttempts", mapping.retries, RETRIES)
    _check_age(mapping.record_age)
    if mapping.maximum_concurrency is not None:
        rules.check_range(
            "scalingConfig.maximumConcurrency", mapping.maximum_concurrency, CONCURRENCIES
        )
    if source.is_stream:
        _check_stream(mapping)
    elif source.is_kafka:
        check_kafka(mapping)
        check_pollers(mapping, *POLLERS)
    else:
        _check_queue(mapping)
    if not source.is_kafka:
        _check_not_kafka(mapping)
    if mapping.on_failure is not None:
        _check_destination(mapping, mapping.on_failure)
    if len(mapping.filters) > limits.FILTERS:  # unconfirmed
        raise refused(
            f"There may be {limits.FILTERS} filters, and {len(mapping.filters)} are given."
        )
    rules.check_tags(mapping.tags)


def _check_queue(mapping: EventSourceMapping) -> None:
    source = mapping.source
    if mapping.starting_position is not None:
        raise refused("StartingPosition is not valid for SQS event sources.")
    for name, given in (
        ("StartingPositionTimestamp", mapping.starting_at is not None),
        ("MaximumRetryAttempts", mapping.retries != FOREVER),
        ("MaximumRecordAgeInSeconds", mapping.record_age != FOREVER),
        ("BisectBatchOnFunctionError", mapping.bisect),
        ("ParallelizationFactor", mapping.parallelization != 1),
        ("TumblingWindowInSeconds", mapping.tumbling_window != 0),
        ("DestinationConfig", mapping.on_failure is not None),
    ):
        if given:
            raise unsupported(name)
    if mapping.provisioned and mapping.maximum_concurrency is not None:  # unconfirmed
        raise refused("ScalingConfig and ProvisionedPollerConfig exclude each other.")
    check_pollers(mapping, *QUEUE_POLLERS)
    if source.is_fifo:
        if mapping.batch_size > FIFO_BATCH_SIZE:  # unconfirmed
            raise refused(
                f"A batch of the FIFO queue {source.arn} has at most {FIFO_BATCH_SIZE} messages."
            )
        if mapping.window:  # unconfirmed
            raise refused(
                f"Maximum batch window in seconds is not supported for the FIFO queue {source.arn}."
            )
    elif mapping.batch_size > BATCH_WITHOUT_WINDOW and not mapping.window:
        raise refused(
            "Maximum batch window in seconds must be greater than 0 if maximum batch size is "
            "greater than 10"
        )


def _check_stream(mapping: EventSourceMapping) -> None:
    for name, given in (
        ("ScalingConfig", mapping.maximum_concurrency is not None),
        ("ProvisionedPollerConfig", mapping.provisioned),
    ):
        if given:
            raise unsupported(name)
    position = mapping.starting_position
    if position is None:
        raise refused(NO_POSITION)
    timed = position is StartingPosition.AT_TIMESTAMP
    if timed and mapping.source.kind is SourceKind.DYNAMODB:
        raise refused(f"Unsupported starting position for arn type: {mapping.source_arn}")
    if timed and mapping.starting_at is None:  # unconfirmed
        raise refused("StartingPositionTimestamp is required for the position AT_TIMESTAMP.")
    if not timed and mapping.starting_at is not None:  # unconfirmed
        raise refused(f"StartingPositionTimestamp is not valid for the position {position}.")
    rules.check_range("parallelizationFactor", mapping.parallelization, FACTORS)
    rules.check_range("tumblingWindowInSeconds", mapping.tumbling_window, TUMBLING_WINDOWS)
    if mapping.tumbling_window and mapping.parallelization > 1:
        # That AWS demands it is what its users tell; its text is unconfirmed. A state belongs to
        # records that come one after the other.
        raise refused("ParallelizationFactor must be 1 where TumblingWindowInSeconds is given.")


def _check_age(seconds: int) -> None:
    rules.check_range("maximumRecordAgeInSeconds", seconds, RECORD_AGES)
    if FOREVER < seconds < LEAST_RECORD_AGE:  # unconfirmed
        raise refused(
            f"MaximumRecordAgeInSeconds is {FOREVER} or at least {LEAST_RECORD_AGE}, and not "
            f"{seconds}."
        )


def _check_not_kafka(mapping: EventSourceMapping) -> None:
    for name, given in (
        ("Topics", mapping.topic is not None),
        ("SourceAccessConfigurations", bool(mapping.access)),
        ("ConsumerGroupId", mapping.consumer_group is not None),
    ):
        if given:
            raise unsupported(name)
    for one in mapping.metrics:
        if one != "EventCount":  # unconfirmed
            raise refused(f"{one} is among the metrics of Kafka, and of nothing else.")


def _check_destination(mapping: EventSourceMapping, arn: str) -> None:
    if mapping.source.is_kafka and arn.startswith(TOPIC_DESTINATION):
        return
    try:
        target = Target.parse(arn)
    except ValueError:
        target = None
    if target is None or target.service not in _DESTINATIONS or target.is_fifo:  # unconfirmed
        raise refused(
            "The provided destination config DestinationConfig(onSuccess=null, onFailure="
            f"OnFailure(destination={arn})) is invalid."
        )
