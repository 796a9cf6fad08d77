"""How layers are named."""

from __future__ import annotations

import pytest

from samovar.errors import AWS, ClientError
from samovar.model.layer import LayerReference, layer_arn


def test_a_name_and_an_arn() -> None:
    assert LayerReference.parse("l-1_A") == LayerReference("l-1_A", None, None)
    arn = layer_arn("eu-west-1", "123456789012", "l")
    assert arn == "arn:aws:lambda:eu-west-1:123456789012:layer:l"
    assert LayerReference.parse(arn) == LayerReference("l", "eu-west-1", "123456789012")
    assert LayerReference.parse("n" * 140).name == "n" * 140


@pytest.mark.parametrize(
    "text",
    [
        *("", "a b", "l:1", "n" * 141, "ü", "l\n"),
        "arn:aws:lambda:eu-west-1:123456789012:layer:l:1",
        "arn:aws:lambda:eu-west-1:123:layer:l",
        "arn:aws:lambda:eu-west-1:123456789012:function:l",
    ],
)
def test_what_is_no_layer(text: str) -> None:
    with pytest.raises(ClientError, match="'layerName' failed to satisfy") as caught:
        LayerReference.parse(text)
    assert caught.value.error is AWS.VALIDATION
