"""Engines that read a queue are killed in every phase of a batch: no message is lost.

What ran is told by the handler, to a socket outside of all engines.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from tests.api import neighbour
from tests.heard import Heard
from tests.process.programs import CHECKOUT, environment
from tests.process.sqs_life import POINTS

PATIENCE = 60.0
CODE = """
import json, os, socket

def handler(event, context):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        for record in event["Records"]:
            out.sendto(record["body"].encode(), ("127.0.0.1", int(os.environ["RECORD"])))
"""


@pytest.fixture(scope="module")
def moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with neighbour.running(tmp_path_factory.mktemp("moto")) as running:
        yield running.url


def test_a_kill_in_any_phase_loses_no_message(moto: str, tmp_path: Path) -> None:
    place = tmp_path / f"kills-{time.time_ns()}"
    (place / "code").mkdir(parents=True)
    (place / "code" / "app.py").write_text(CODE)
    session = boto3.Session(
        aws_access_key_id="any", aws_secret_access_key="any", region_name="us-east-1"
    )
    sqs = session.client("sqs", endpoint_url=moto)
    url = sqs.create_queue(QueueName=place.name, Attributes={"VisibilityTimeout": "1"})["QueueUrl"]
    heard = Heard()
    sent: list[str] = []

    def life(point: str, times: int) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [
                *(sys.executable, "-m", "tests.process.sqs_life", str(place), moto),
                *(str(heard.port), point, str(times)),
            ],
            stderr=subprocess.PIPE,
            text=True,
            env=environment(),
            cwd=CHECKOUT,
        )

    try:
        for number, point in enumerate(POINTS):
            bodies = [f"{point}-{at}" for at in range(7)]
            sent += bodies
            for body in bodies:
                sqs.send_message(QueueUrl=url, MessageBody=body)
            process = life(point, 1 + number % 2)
            _, said = process.communicate(timeout=PATIENCE)
            assert process.returncode == -9, (point, process.returncode, said)
        process = life("nowhere", 0)
        pause, deadline = threading.Event(), time.monotonic() + PATIENCE
        while set(runs(heard)) != set(sent) or left(sqs, url):
            assert time.monotonic() < deadline, (set(sent) - set(runs(heard)), left(sqs, url))
            assert process.poll() is None, process.communicate()
            pause.wait(0.05)
        (place / "enough").touch()
        _, said = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0, said
        again = sum(runs(heard).values()) - len(sent)
        assert again <= 3 * len(POINTS) * 2, json.dumps(runs(heard))
    finally:
        heard.close()
        sqs.close()


def runs(heard: Heard) -> Counter[str]:
    """How often each message ran."""
    return Counter(said.decode() for said in heard.all())


def left(sqs: object, url: str) -> int:
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)  # type: ignore[attr-defined]
    return sum(map(int, found["Attributes"].values()))
