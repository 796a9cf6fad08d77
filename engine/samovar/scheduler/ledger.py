"""Who may have how many invocations in flight: the account's limit and the functions' own. Pure.

An invocation is admitted on a ready provisioned context, which is its function's for sure, or on
demand. On demand it takes a place of its function's reserved concurrency, as far as provisioned
contexts have left some of it, or of what the account has left for all that reserve nothing. A
provisioned context takes its place as soon as it is initialised: until then AWS serves on demand.
"""

from __future__ import annotations

from math import inf

from samovar.scheduler.commands import Refusal
from samovar.scheduler.policy import SCALING_SECONDS, Policy


class Allowance:
    """Invocations that may still be admitted on demand; below zero once a limit was lowered."""

    __slots__ = ("left",)

    def __init__(self, left: int) -> None:
        self.left = left


class Share:
    """What one function may take, and has taken.

    `reserved`: its reserved concurrency, if any; `provisioned`: its provisioned contexts that are
    initialised; `busy`: those of them that run an invocation; `pools`: how many pools it has;
    `rate`: requests in a second, counted anew from `window_ends` on (monotonic seconds).
    """

    __slots__ = (
        "_requests_left",
        "_scaling",
        "_starts_at",
        "_starts_left",
        "allowance",
        "busy",
        "deleted",
        "function",
        "pools",
        "provisioned",
        "rate",
        "reserved",
        "window_ends",
    )

    def __init__(self, function: str, allowance: Allowance, scaling: float, rate: float) -> None:
        """`scaling`: contexts in SCALING_SECONDS; `rate`: requests per second."""
        self.function = function
        self.allowance = allowance
        self.reserved: int | None = None
        self.provisioned = 0
        self.busy = 0
        self.pools = 0
        self.deleted = False
        self._scaling = self._starts_left = scaling
        self._starts_at = 0.0
        self.rate = self._requests_left = rate
        self.window_ends = 0.0

    def admit(self, now: float) -> Refusal | None:
        """Take a place on demand, or say why there is none."""
        allowance = self.allowance
        if allowance.left <= 0:
            return Refusal.ACCOUNT if self.reserved is None else Refusal.RESERVED
        if now >= self.window_ends:
            self._open_window(now)
        if self._requests_left < 1:
            return self._over(Refusal.REQUEST_RATE, Refusal.RESERVED_REQUEST_RATE)
        self._requests_left -= 1
        allowance.left -= 1
        return None

    def admit_provisioned(self, now: float) -> Refusal | None:
        """Take one of the provisioned contexts, or say why it may not be taken."""
        # What was admitted on demand before they were ready counts against the reserved value.
        left = self.allowance.left
        if left < 0 and self.reserved is not None and self.busy - left >= self.provisioned:
            return Refusal.RESERVED
        if now >= self.window_ends:
            self._open_window(now)
        if self._requests_left < 1:
            return self._over(Refusal.REQUEST_RATE, Refusal.RESERVED_REQUEST_RATE)
        self._requests_left -= 1
        self.busy += 1
        return None

    def admit_start(self, now: float) -> Refusal | None:
        """Take the right to start a context, of which there are ever more as time goes by, but
        never more than fit into ten seconds."""
        gained = (now - self._starts_at) * self._scaling / SCALING_SECONDS
        self._starts_at = now
        self._starts_left = min(self._scaling, self._starts_left + gained)
        if self._starts_left < 1:
            return self._over(Refusal.SCALING_RATE, Refusal.RESERVED_SCALING_RATE)
        self._starts_left -= 1
        return None

    def requests_left(self, now: float) -> float:
        """Requests that the rate still allows in this second."""
        return self.rate if now >= self.window_ends else self._requests_left

    def give_start_back(self) -> None:
        """Nothing was started after all."""
        self._starts_left += 1

    def set_rate(self, rate: float) -> None:
        """Requests per second, from the next second on."""
        self.rate = rate
        self.window_ends = 0.0

    def _over(self, rate: Refusal, reserved: Refusal) -> Refusal:
        return rate if self.reserved is None else reserved

    def _open_window(self, now: float) -> None:
        self.window_ends = now + 1.0
        self._requests_left = self.rate


class ConcurrencyLedger:
    """All shares of one account."""

    def __init__(self, policy: Policy) -> None:
        self.unreserved = Allowance(policy.account_concurrency)
        self.shared = policy.account_concurrency  # of the account, what nobody has reserved
        self._account = policy.account_concurrency
        self._scaling = float(policy.scaling_rate) or inf
        self._request_rate = float(policy.request_rate) or inf
        self._shares: dict[str, Share] = {}

    def share(self, function: str) -> Share:
        """The share of a function; a function that is new here has reserved nothing."""
        share = self._shares.get(function)
        if share is None:
            rate = self._request_rate * self._account
            share = self._shares[function] = Share(function, self.unreserved, self._scaling, rate)
        return share

    def known(self, function: str) -> Share | None:
        """The share of a function, if it was ever invoked or has something reserved."""
        return self._shares.get(function)

    def shares(self) -> list[Share]:
        """Of all functions that were invoked, or have something reserved."""
        return list(self._shares.values())

    def forget_unused(self, share: Share) -> None:
        """Let go of a deleted function's share, once it has no pool any more."""
        if share.deleted and not share.pools:
            self._shares.pop(share.function, None)

    def reserve(self, share: Share, reserved: int | None, on_demand: int) -> None:
        """Set the reserved concurrency of a function that has `on_demand` invocations in flight
        that were admitted on demand."""
        share.deleted = False  # there may be another function of the name by now
        held = on_demand + share.provisioned
        self.unreserved.left += held if share.reserved is None else share.reserved
        self.shared += (share.reserved or 0) - (reserved or 0)
        share.reserved = reserved
        if reserved is None:
            share.allowance = self.unreserved
            self.unreserved.left -= held
        else:
            share.allowance = Allowance(reserved - held)
            self.unreserved.left -= reserved
        units = self._account if reserved is None else reserved
        share.set_rate(self._request_rate * units if units else inf)
