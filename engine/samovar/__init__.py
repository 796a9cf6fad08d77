"""Samovar: a Lambda-compatible execution engine that keeps execution contexts hot."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from samovar.engine import Engine
    from samovar.settings import Settings

__all__ = ["Engine", "Settings"]


def __getattr__(name: str) -> Any:
    # On demand: the command line's help should not wait for the engine's imports.
    if name == "Engine":
        from samovar.engine import Engine  # noqa: PLC0415

        return Engine
    if name == "Settings":
        from samovar.settings import Settings  # noqa: PLC0415

        return Settings
    raise AttributeError(f"module 'samovar' has no attribute {name!r}")
