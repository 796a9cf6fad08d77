"""How AWS refuses event source mappings, in words that more than one rule has."""

from __future__ import annotations

from samovar.errors import AWS, ClientError

NO_POSITION = (
    "1 validation error detected: Value null at 'startingPosition' failed to satisfy constraint: "
    "Member must not be null."
)


def refused(text: str) -> ClientError:
    """AWS's 400 for what a mapping can't be."""
    return ClientError(AWS.INVALID_PARAMETER, text)


def unsupported(name: str) -> ClientError:
    """That of DestinationConfig is recorded; the others are unconfirmed."""
    return refused(f"Unsupported {name} parameter for given event source mapping type.")
