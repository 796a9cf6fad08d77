"""Configs of functions' qualifiers, put beside the functions that they belong to."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from botocore.exceptions import ClientError

_AT_ONCE = 8

Configs = list[dict[str, Any]]


def add_configs(
    found: Sequence[dict[str, Any]],
    aliases: Mapping[str, Collection[str]],
    asked: Mapping[str, Callable[[str], Configs]],
    *,
    of_versions: bool,
) -> None:
    """Add to each function, by the keys of `asked`, its configs as the API gives them: what is
    there is called with the function's name. With `of_versions` each version gets its own, and
    those of the `aliases` (by ARNs, with a star for a share by weight) that stand for it."""
    names = list(dict.fromkeys(item["FunctionName"] for item in found))
    pairs = [(key, name) for key in asked for name in names]

    def ask(pair: tuple[str, str]) -> Configs:
        key, name = pair
        try:
            return asked[key](name)
        except ClientError:  # deleted meanwhile, or an emulator that has no such thing
            return []

    with ThreadPoolExecutor(_AT_ONCE) as threads:
        configs = dict(zip(pairs, threads.map(ask, pairs), strict=True))
    for item in found:
        standing = {alias.rstrip("*") for alias in aliases.get(item["FunctionArn"], ())}
        wanted = standing | {item["Version"]}
        for key in asked:
            own = configs[key, item["FunctionName"]]
            if of_versions:
                own = [config for config in own if qualifier_of(config) in wanted]
            item[key] = own


def qualifier_of(config: Mapping[str, Any]) -> str:
    """What a config belongs to: an alias or a version."""
    return str(config["FunctionArn"].rpartition(":")[2])
