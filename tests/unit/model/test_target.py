"""ARNs that something can be sent to."""

from __future__ import annotations

import pytest

from samovar.model.target import Service, Target

A = "us-east-1:111111111111"


@pytest.mark.parametrize(
    ("arn", "service", "name", "qualifier"),
    [
        (f"arn:aws:sqs:{A}:q", Service.SQS, "q", None),
        (f"arn:aws:sqs:{A}:q.fifo", Service.SQS, "q.fifo", None),
        (f"arn:aws:sns:{A}:t", Service.SNS, "t", None),
        (f"arn:aws:lambda:{A}:function:f", Service.LAMBDA, "f", None),
        (f"arn:aws:lambda:{A}:function:f:$LATEST", Service.LAMBDA, "f", "$LATEST"),
        (f"arn:aws:lambda:{A}:function:f:live", Service.LAMBDA, "f", "live"),
        (f"arn:aws:events:{A}:event-bus/default", Service.EVENTS, "default", None),
        ("arn:aws:s3:::bucket.of-mine", Service.S3, "bucket.of-mine", None),
        (f"arn:aws-cn:sqs:{A}:q", Service.SQS, "q", None),
    ],
)
def test_a_target(arn: str, service: Service, name: str, qualifier: str | None) -> None:
    target = Target.parse(arn)
    assert (target.arn, target.service, target.name) == (arn, service, name)
    assert target.qualifier == qualifier
    assert target.is_fifo is arn.endswith(".fifo")


@pytest.mark.parametrize(
    "arn",
    [
        "",
        "q",
        f"arn:aws:sqs:{A}:",
        f"arn:aws:sqs:{A}:a/b",
        "arn:aws:sqs::111111111111:q",
        "arn:aws:sqs:us-east-1::q",
        f"arn:aws:s3:{A}:b",
        f"arn:aws:events:{A}:rule/r",
        f"arn:aws:lambda:{A}:layer:l",
        f"arn:aws:lambda:{A}:function:f:a:b",
        f"arn:aws:kinesis:{A}:stream/s",
        f"arn:aws:sqs:{A}:q\n",
    ],
)
def test_what_nothing_can_be_sent_to(arn: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        Target.parse(arn)
