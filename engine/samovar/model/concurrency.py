"""What functions take of the account's concurrency, and AWS's rules for it.

Concurrency is invocations at once. What a function reserves is its own: no other gets it, and it
gets no more. Provisioned concurrency is taken from what its function has reserved, or else from
the account. What nobody has taken is unreserved, and shared by all other functions.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from samovar.errors import AwsError, ClientError

# InvalidParameterValueException without the «Type» that it has elsewhere (recorded replies).
QUOTA = AwsError("InvalidParameterValueException", 400, fault=None)


class Claim(NamedTuple):
    """What one function takes: `reserved` is None where it has reserved nothing, `provisioned` is
    the sum over its aliases and versions."""

    reserved: int | None = None
    provisioned: int = 0

    @property
    def taken(self) -> int:
        """What it takes from all others."""
        return self.provisioned if self.reserved is None else self.reserved


@dataclass(frozen=True, slots=True)
class Account:
    """`limit`: invocations that may run at once, of all functions. `minimum`: what must stay
    unreserved (AWS: 100 of 1000)."""

    limit: int
    minimum: int

    @classmethod
    def of(cls, limit: int, minimum: int) -> Account:
        """An account of which `minimum` is to stay unreserved; a small one needs no more than a
        tenth of its limit, but 10: new accounts at AWS have a limit of 10 and reserve nothing."""
        return cls(limit, min(minimum, max(10, limit // 10)))

    def unreserved(self, claims: Iterable[Claim]) -> int:
        """What the functions with `claims` leave."""
        return self.limit - sum(claim.taken for claim in claims)

    def demand_reservable(self, wanted: int, claim: Claim, others: Iterable[Claim]) -> None:
        """Raise ClientError unless the function with `claim` may reserve `wanted`."""
        if wanted < claim.provisioned:
            raise ClientError(
                QUOTA,
                f" ReservedConcurrentExecutions  {wanted} should not be lower than function's "
                f"total provisioned concurrency [{claim.provisioned}].",
            )
        # What takes no more than before is let through: the limit may have been lowered since.
        if wanted > claim.taken and self.unreserved(others) - wanted < self.minimum:
            raise self._below_minimum("ReservedConcurrentExecutions")

    def demand_provisionable(self, wanted: int, claim: Claim, others: Iterable[Claim]) -> None:
        """Raise ClientError unless the function with `claim`, in which the config to be replaced
        has no part, may have `wanted` provisioned besides."""
        if claim.reserved is not None:
            if claim.provisioned + wanted > claim.reserved:
                raise ClientError(
                    QUOTA,
                    "Requested Provisioned Concurrency should not be greater than the "
                    "reservedConcurrentExecution for function",
                )
            return
        unreserved = self.unreserved(others) - claim.provisioned
        if wanted > unreserved:
            raise ClientError(
                QUOTA,
                "Specified ConcurrentExecutions for function is greater than account's unreserved "
                f"concurrency [{unreserved}].",
            )
        if unreserved - wanted < self.minimum:
            raise self._below_minimum("ConcurrentExecutions")

    def _below_minimum(self, asked: str) -> ClientError:
        return ClientError(
            QUOTA,
            f"Specified {asked} for function decreases account's UnreservedConcurrentExecution "
            f"below its minimum value of [{self.minimum}].",
        )
