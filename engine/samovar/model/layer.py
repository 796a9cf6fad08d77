"""Layers: packages that functions find at /opt."""

from __future__ import annotations

import re
from dataclasses import dataclass

from samovar.errors import AWS, ClientError
from samovar.model.function import CodePackage

# Service model, shapes LayerNameOrArn and LayerVersionArn.
_NAME_PATTERN = (
    r"(arn:(aws[a-zA-Z-]*)?:lambda:(eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}:\d{12}:"
    r"layer:[a-zA-Z0-9-_]{1,140}|[a-zA-Z0-9-_]{1,140})"
)
_FORM = re.compile(
    r"(?:arn:(?:aws[a-zA-Z-]*)?:lambda:(?P<region>[a-z0-9-]+):(?P<account>[0-9]{12}):layer:)?"
    r"(?P<name>[a-zA-Z0-9_-]{1,140})",
    re.ASCII,
)


def layer_arn(region: str, account: str, name: str) -> str:
    """The ARN of a layer; that of a version has `:<number>` behind it."""
    return f"arn:aws:lambda:{region}:{account}:layer:{name}"


@dataclass(frozen=True, slots=True)
class LayerReference:
    """Which layer a request means. `region` and `account` are None where it gave a name alone."""

    name: str
    region: str | None
    account: str | None

    @classmethod
    def parse(cls, text: str) -> LayerReference:
        """The layer that `text` (a name or an ARN) means; raises ClientError (ValidationException).

        Whether it is one of this Region and account is not looked at.
        """
        match = _FORM.fullmatch(text)
        if match is None:
            raise ClientError(
                AWS.VALIDATION,
                f"1 validation error detected: Value '{text}' at 'layerName' failed to satisfy "
                f"constraint: Member must satisfy regular expression pattern: {_NAME_PATTERN}",
            )
        return cls(match["name"], match["region"], match["account"])


@dataclass(frozen=True, slots=True)
class LayerVersion:
    """One published version of a layer; nothing of it ever changes.

    `arn` is the layer's, without the number. `created` is seconds since the epoch. `code.preload`
    has no meaning here. `unzipped`: bytes of its files. `own_boto3`: it brings along something
    that a preloaded boto3 would shadow. `extensions`: names of files that AWS would start.
    """

    name: str
    arn: str
    version: int
    created: float
    code: CodePackage
    unzipped: int
    description: str = ""
    license_info: str | None = None
    runtimes: tuple[str, ...] | None = None
    architectures: tuple[str, ...] | None = None
    own_boto3: bool = False
    extensions: tuple[str, ...] = ()

    @property
    def version_arn(self) -> str:
        """The ARN with the number."""
        return f"{self.arn}:{self.version}"
