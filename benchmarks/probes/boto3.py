"""boto3 as users have it: the client's own work dwarfs the server's, and is in both figures."""

from __future__ import annotations

import os
import time

import boto3
from botocore.config import Config

from benchmarks.event import EVENT_BYTES
from benchmarks.measures import Batch
from benchmarks.remote import ContenderError, Remote


class Boto3Invoke:
    """`client.invoke`, one after the other, reading each payload."""

    def __init__(self, remote: Remote) -> None:
        # No profile of the person who runs this may change what is measured.
        os.environ["AWS_CONFIG_FILE"] = os.environ["AWS_SHARED_CREDENTIALS_FILE"] = os.devnull
        self._client = boto3.client(
            "lambda",
            endpoint_url=f"http://127.0.0.1:{remote.port}",
            region_name="us-east-1",
            aws_access_key_id="benchmark",
            aws_secret_access_key="benchmark",
            config=Config(retries={"total_max_attempts": 1}, proxies={}),
        )

    def measure(self, count: int) -> Batch:
        latencies = []
        started = time.perf_counter_ns()
        for _ in range(count):
            before = time.perf_counter_ns()
            reply = self._client.invoke(FunctionName="noop", Payload=EVENT_BYTES)
            reply["Payload"].read()
            latencies.append(time.perf_counter_ns() - before)
            if "FunctionError" in reply:
                raise ContenderError(f"the no-op failed: {reply}")
        return Batch(count, (time.perf_counter_ns() - started) / 1e9, latencies)

    def close(self) -> None:
        self._client.close()
