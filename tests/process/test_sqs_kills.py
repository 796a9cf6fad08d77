"""Engines that read a queue are killed in every phase of a batch: no message is lost, and those of
a FIFO queue's group come in their order.

What ran is told by the handler, to a socket outside of all engines.
"""

from __future__ import annotations

import select
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import boto3
import pytest
from tests.api import neighbour
from tests.heard import Heard
from tests.process.programs import CHECKOUT, environment
from tests.process.sqs_life import POINTS

PATIENCE = 60.0
GROUPS = ("a", "b", "stuck")  # of a FIFO queue
# What begins with «stuck» fails while there is no file `free`.
CODE = """
import json, os, socket

def handler(event, context):
    failed = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        for record in event["Records"]:
            out.sendto(record["body"].encode(), ("127.0.0.1", int(os.environ["RECORD"])))
            if record["body"].startswith("stuck") and not os.path.exists(os.environ["FREE"]):
                failed.append({"itemIdentifier": record["messageId"]})
    return {"batchItemFailures": failed}
"""


@pytest.fixture(scope="module")
def moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with neighbour.running(tmp_path_factory.mktemp("moto")) as running:
        yield running.url


class Kills:
    """A queue, and lives of engines that read it, one after the other."""

    def __init__(self, moto: str, place: Path, **attributes: str) -> None:
        (place / "code").mkdir(parents=True)
        (place / "code" / "app.py").write_text(CODE)
        session = boto3.Session(
            aws_access_key_id="any", aws_secret_access_key="any", region_name="us-east-1"
        )
        self.sqs = session.client("sqs", endpoint_url=moto)
        made = self.sqs.create_queue(
            QueueName=place.name, Attributes={"VisibilityTimeout": "1", **attributes}
        )
        self.url: str = made["QueueUrl"]
        self.heard = Heard()
        self.sent: list[str] = []
        self._place = place
        self._errors = (place / "stderr").open("w+")
        self._lives = subprocess.Popen(
            [
                *(sys.executable, "-m", "tests.process.sqs_life", str(place), moto),
                str(self.heard.port),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            env=environment(),
            cwd=CHECKOUT,
        )

    def send(self, body: str, **more: str) -> None:
        self.sent.append(body)
        self.sqs.send_message(QueueUrl=self.url, MessageBody=body, **more)

    def live(self, point: str = "nowhere", times: int = 0) -> None:
        """Begin a life."""
        assert self._lives.stdin is not None
        print(point, times, file=self._lives.stdin, flush=True)

    def kill_at(self, point: str, times: int) -> None:
        self.live(point, times)
        assert self._ended(PATIENCE) == "-9", self._said(point)

    def wait(self, done: Callable[[], bool]) -> None:
        """Until it is so, while an engine lives."""
        pause, deadline = threading.Event(), time.monotonic() + PATIENCE
        while not done():
            assert time.monotonic() < deadline, (set(self.sent) - set(self.runs()), self.left())
            assert self._ended(0) == "", self._said("it ended")
            pause.wait(0.05)

    def end(self) -> None:
        (self._place / "enough").touch()
        assert self._ended(PATIENCE) == "0", self._said("the end")

    def _ended(self, patience: float) -> str:
        """With what a life ended; empty while it has not."""
        assert self._lives.stdout is not None
        if not select.select([self._lives.stdout], [], [], patience)[0]:
            return ""
        return self._lives.stdout.readline().strip()

    def _said(self, what: str) -> str:
        return f"{what}: {(self._place / 'stderr').read_text()}"

    def free(self) -> None:
        """What is stuck fails no more."""
        (self._place / "free").touch()

    def runs(self) -> list[str]:
        """All messages that ran, in their order, as often as they did."""
        return [said.decode() for said in self.heard.all()]

    def left(self) -> int:
        """Messages in the queue."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        found = self.sqs.get_queue_attributes(QueueUrl=self.url, AttributeNames=names)
        return sum(map(int, found["Attributes"].values()))

    def close(self) -> None:
        self._lives.kill()
        self._lives.communicate()
        self._errors.close()
        self.heard.close()
        self.sqs.close()


def test_a_kill_in_any_phase_loses_no_message(moto: str, tmp_path: Path) -> None:
    it = Kills(moto, tmp_path / f"kills-{time.time_ns()}")
    try:
        for number, point in enumerate(POINTS):
            for at in range(7):
                it.send(f"{point}-{at}")
            it.kill_at(point, 1 + number % 2)
        it.live()
        it.wait(lambda: set(it.runs()) == set(it.sent) and not it.left())
        it.end()
        again = len(it.runs()) - len(it.sent)
        assert again <= 3 * len(POINTS) * 2, Counter(it.runs())
    finally:
        it.close()


def test_a_kill_in_any_phase_keeps_the_order_of_each_group(moto: str, tmp_path: Path) -> None:
    place = tmp_path / f"kills-{time.time_ns()}.fifo"
    it = Kills(moto, place, FifoQueue="true", ContentBasedDeduplication="true")
    try:
        for point in POINTS:
            for at in range(2):
                for group in GROUPS:
                    it.send(f"{group}-{point}-{at}", MessageGroupId=group)
            it.kill_at(point, 1)
        it.live()
        stuck = {body for body in it.sent if body.startswith("stuck")}
        # One group goes on failing, and the others are through.
        it.wait(lambda: it.left() == len(stuck))
        assert set(it.runs()) >= set(it.sent) - stuck
        it.free()
        it.wait(lambda: not it.left())
        it.end()
        first_seen = list(dict.fromkeys(it.runs()))
        for group in GROUPS:
            assert of(group, first_seen) == of(group, it.sent)
    finally:
        it.close()


def of(group: str, bodies: list[str]) -> list[str]:
    return [body for body in bodies if body.startswith(group)]
