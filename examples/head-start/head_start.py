"""One function three times: on demand, with provisioned concurrency, and with SnapStart.

    samovar start
    python examples/head-start/head_start.py

It needs nothing but boto3, and an endpoint in AWS_ENDPOINT_URL_LAMBDA (without it Samovar's own).
"""

import io
import json
import os
import sys
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import boto3

NAME = "head-start-shop"
AT_ONCE = 2
WORK = 0.5  # seconds: one context could serve two calls that are quick
SOURCE = Path(__file__).with_name("shop.py").read_text()


def begin(client):
    """The function; its version 1 starts on demand."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("shop.py", SOURCE)
    client.create_function(
        FunctionName=NAME,
        Runtime=f"python3.{sys.version_info.minor}",
        Role="arn:aws:iam::000000000000:role/any",
        Handler="shop.handler",
        Code={"ZipFile": buffer.getvalue()},
        Publish=True,
    )
    wait(client, "published_version_active", Qualifier="1")


def provision(client):
    """Version 2 has as many contexts ready as will be called at once; an alias would do as well."""
    version = publish(client, Description="provisioned")
    of = {"FunctionName": NAME, "Qualifier": version}
    client.put_provisioned_concurrency_config(**of, ProvisionedConcurrentExecutions=AT_ONCE)
    while (config := client.get_provisioned_concurrency_config(**of))["Status"] != "READY":
        if config["Status"] == "FAILED":
            raise SystemExit(f"version {version}: {config['StatusReason']}")
        time.sleep(0.1)
    return version


def snap_start(client):
    """Version 3 is forked from a process that has run the init."""
    return publish(client, Description="SnapStart", SnapStart={"ApplyOn": "PublishedVersions"})


def publish(client, **changes):
    """Change the configuration and publish it; the version's number."""
    client.update_function_configuration(FunctionName=NAME, **changes)
    wait(client, "function_updated_v2")
    version = client.publish_version(FunctionName=NAME)["Version"]
    wait(client, "published_version_active", Qualifier=version)
    return version


def wait(client, waiter, **of):
    client.get_waiter(waiter).wait(FunctionName=NAME, **of, WaiterConfig={"Delay": 0.1})


def call(client, version):
    """The first calls of a version, all at once: each comes to a context of its own."""
    event = json.dumps({"seconds": WORK})

    def one(_):
        began = time.perf_counter()
        reply = client.invoke(FunctionName=NAME, Qualifier=version, Payload=event)
        waited = (time.perf_counter() - began - WORK) * 1000
        return json.load(reply["Payload"]), waited

    with ThreadPoolExecutor(AT_ONCE) as threads:
        results, waited = zip(*threads.map(one, range(AT_ONCE)), strict=True)
    kinds = " and ".join(sorted({result["kind"] for result in results}))
    contexts = len({result["context"] for result in results})
    print(f"version {version}, {kinds}: {contexts} contexts, {max(waited):.0f} ms beside the work")


def main():
    client = boto3.client(
        "lambda",
        endpoint_url=os.environ.get("AWS_ENDPOINT_URL_LAMBDA", "http://127.0.0.1:4566"),
        region_name="us-east-1",
        aws_access_key_id="any",
        aws_secret_access_key="any",  # noqa: S106 # an engine without keys takes any
    )
    begin(client)
    try:
        for version in ("1", provision(client), snap_start(client)):
            call(client, version)
    finally:
        client.delete_function(FunctionName=NAME)


if __name__ == "__main__":
    main()
