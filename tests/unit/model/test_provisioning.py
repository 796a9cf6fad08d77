"""How many contexts of which version a config asks for, and how far it is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from samovar.model.alias import Alias
from samovar.model.provisioning import (
    Progress,
    ProvisionedConfig,
    ProvisionedStatus,
    ShownConfig,
)

ARN = "arn:aws:lambda:us-east-1:000000000000:function:f"


def config(qualifier: str, requested: int) -> ProvisionedConfig:
    return ProvisionedConfig(f"{ARN}:{qualifier}", requested, 5.0)


def alias(weight: float | None) -> Alias:
    additional = None if weight is None else ("2", weight)
    return Alias("live", f"{ARN}:live", "1", "", "r", additional)


def test_a_version_is_its_own() -> None:
    assert config("7", 3).shares(None) == {"7": 3}


@pytest.mark.parametrize(
    ("requested", "weight", "shares"),
    [
        (5, None, {"1": 5}),
        (10, 0.1, {"1": 9, "2": 1}),
        (10, 0.5, {"1": 5, "2": 5}),
        # None that gets invocations goes without, as long as there are two.
        (10, 0.001, {"1": 9, "2": 1}),
        (10, 0.999, {"1": 1, "2": 9}),
        (10, 0.0, {"1": 10}),
        (10, 1.0, {"2": 10}),
        (1, 0.4, {"1": 1}),
        (1, 0.6, {"2": 1}),
    ],
)
def test_an_alias_is_followed(requested: int, weight: float | None, shares: dict[str, int]) -> None:
    assert config("live", requested).shares(alias(weight)) == shares


@given(st.integers(1, 3000), st.floats(0, 1))
def test_shares_are_all_that_was_asked_for(requested: int, weight: float) -> None:
    shares = config("live", requested).shares(alias(weight))
    assert sum(shares.values()) == requested
    assert min(shares.values()) >= 1


@pytest.mark.parametrize(
    ("progress", "status"),
    [
        (Progress(), ProvisionedStatus.IN_PROGRESS),
        (Progress(4, 4), ProvisionedStatus.IN_PROGRESS),
        (Progress(5, 5), ProvisionedStatus.READY),
        (Progress(4, 5), ProvisionedStatus.READY),  # one is being replaced
        (Progress(3, 3, "FUNCTION_ERROR_INIT_FAILURE"), ProvisionedStatus.FAILED),
        (Progress(3, 5, "FUNCTION_ERROR_INIT_FAILURE"), ProvisionedStatus.FAILED),
        (Progress(5, 5, "FUNCTION_ERROR_INIT_FAILURE"), ProvisionedStatus.READY),
    ],
)
def test_how_far_it_is(progress: Progress, status: ProvisionedStatus) -> None:
    assert ShownConfig(config("1", 5), progress).status is status


def test_what_is_written_is_what_is_read() -> None:
    written = config("live", 5)
    assert ProvisionedConfig.of(written.resource, written.document()) == written
