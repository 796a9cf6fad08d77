"""What AWS demands of event source mappings, with AWS's texts (reference, section 5.2).

Where AWS's own words are not known, the text says what is wrong in ours: «unconfirmed» below.
"""

from __future__ import annotations

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

BATCH_SIZES = (1, 10000)
WINDOWS = (0, 300)  # seconds
CONCURRENCIES = (2, 1000)
FACTORS = (1, 10)  # batches of one shard at once
TUMBLING_WINDOWS = (0, 900)  # seconds
RETRIES = (-1, 10000)
RECORD_AGES = (-1, 604800)  # seconds; and none below a minute but -1
LEAST_RECORD_AGE = 60
_DESTINATIONS = frozenset({Service.SQS, Service.SNS, Service.S3})


def refused(text: str) -> ClientError:
    """AWS's 400 for what a mapping can't be."""
    return ClientError(AWS.INVALID_PARAMETER, text)


def read_source(arn: str | None, *, region: str) -> Source:
    """The source that a request means; raises ClientError."""
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
    if mapping.maximum_concurrency is not None:
        rules.check_range(
            "scalingConfig.maximumConcurrency", mapping.maximum_concurrency, CONCURRENCIES
        )
    if source.is_stream:
        _check_stream(mapping)
    else:
        _check_queue(mapping)
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
            raise _unsupported(name)
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
    if mapping.maximum_concurrency is not None:
        raise _unsupported("ScalingConfig")
    position = mapping.starting_position
    if position is None:
        raise refused(
            "1 validation error detected: Value null at 'startingPosition' failed to satisfy "
            "constraint: Member must not be null."
        )
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
    rules.check_range("maximumRetryAttempts", mapping.retries, RETRIES)
    rules.check_range("maximumRecordAgeInSeconds", mapping.record_age, RECORD_AGES)
    if FOREVER < mapping.record_age < LEAST_RECORD_AGE:  # unconfirmed
        raise refused(
            f"MaximumRecordAgeInSeconds is {FOREVER} or at least {LEAST_RECORD_AGE}, and not "
            f"{mapping.record_age}."
        )
    if mapping.on_failure is not None:
        _check_destination(mapping.on_failure)


def _check_destination(arn: str) -> None:
    try:
        target = Target.parse(arn)
    except ValueError:
        target = None
    if target is None or target.service not in _DESTINATIONS or target.is_fifo:  # unconfirmed
        raise refused(
            "The provided destination config DestinationConfig(onSuccess=null, onFailure="
            f"OnFailure(destination={arn})) is invalid."
        )


def _unsupported(name: str) -> ClientError:
    """That of DestinationConfig is recorded; the others are unconfirmed."""
    return refused(f"Unsupported {name} parameter for given event source mapping type.")
