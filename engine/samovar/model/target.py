"""Where something can be sent: ARNs of destinations and dead-letter queues, taken apart."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Self


class Service(StrEnum):
    """The services that take what becomes of events; the values are those of ARNs."""

    SQS = "sqs"
    SNS = "sns"
    LAMBDA = "lambda"
    EVENTS = "events"
    S3 = "s3"


_PATTERNS = {
    Service.SQS: r"[a-zA-Z0-9_-]{1,80}(\.fifo)?",
    Service.SNS: r"[a-zA-Z0-9_-]{1,256}(\.fifo)?",
    Service.LAMBDA: r"function:[a-zA-Z0-9_-]{1,64}(:(\$LATEST|[a-zA-Z0-9_-]{1,128}))?",
    Service.EVENTS: r"event-bus/[a-zA-Z0-9/._-]{1,256}",
    Service.S3: r"[a-z0-9.-]{3,63}",
}
_ARN = re.compile(r"arn:(aws[a-zA-Z-]*):([a-z0-9]+):([a-z0-9-]*):([0-9]{12})?:(.+)")


@dataclass(frozen=True, slots=True)
class Target:
    """An ARN that something can be sent to. `region` and `account` are empty for a bucket."""

    arn: str
    service: Service
    region: str
    account: str
    resource: str

    @classmethod
    def parse(cls, arn: str) -> Self:
        """Raises ValueError for whatever nothing can be sent to."""
        match = _ARN.fullmatch(arn)
        if match is None:
            raise ValueError(f"{arn!r} is no ARN")
        _, service, region, account, resource = match.groups()
        target = cls(arn, Service(service), region, account or "", resource)
        placeless = target.service is Service.S3
        if not re.fullmatch(_PATTERNS[target.service], resource) or placeless is bool(region):
            raise ValueError(f"{arn!r} names nothing of {service}")
        if not placeless and not account:
            raise ValueError(f"{arn!r} names no account")
        return target

    @property
    def is_fifo(self) -> bool:
        """Whether it keeps an order: nothing of asynchronous invocation can be sent there (AWS)."""
        return self.resource.endswith(".fifo")

    @property
    def name(self) -> str:
        """The resource without what says its kind, and without a qualifier."""
        if self.service is Service.LAMBDA:
            return self.resource.split(":")[1]
        return self.resource.removeprefix("event-bus/")

    @property
    def qualifier(self) -> str | None:
        """A function's, where there is one."""
        parts = self.resource.split(":")
        return parts[2] if self.service is Service.LAMBDA and len(parts) > 2 else None
