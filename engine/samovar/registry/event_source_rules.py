"""What AWS demands of event source mappings, with AWS's texts (reference, section 5.2).

Where AWS's own words are not known, the text says what is wrong in ours: «unconfirmed» below.
"""

from __future__ import annotations

from samovar.errors import AWS, ClientError
from samovar.model import limits
from samovar.model.event_source import (
    BATCH_WITHOUT_WINDOW,
    FIFO_BATCH_SIZE,
    EventSourceMapping,
    Source,
    SourceKind,
)
from samovar.registry import rules

BATCH_SIZES = (1, 10000)
WINDOWS = (0, 300)  # seconds
CONCURRENCIES = (2, 1000)
_CARRIED_OUT = frozenset({SourceKind.SQS})


def refused(text: str) -> ClientError:
    """AWS's 400 for what a mapping can't be."""
    return ClientError(AWS.INVALID_PARAMETER, text)


def read_source(arn: str | None, *, region: str) -> Source:
    """The source that a request means; raises ClientError."""
    try:
        source = Source.parse(arn or "")
    except ValueError:
        raise refused("Unrecognized event source.") from None
    if source.kind not in _CARRIED_OUT:
        raise ClientError(
            AWS.NOT_CARRIED_OUT,
            f"Samovar does not read {source.kind} streams yet: {arn}. Queues of SQS it does.",
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
    if len(mapping.filters) > limits.FILTERS:  # unconfirmed
        raise refused(
            f"There may be {limits.FILTERS} filters, and {len(mapping.filters)} are given."
        )
    rules.check_tags(mapping.tags)
