"""Two releases of a function by a canary: the second edition is well, the third is not.

    samovar start
    python examples/canary/canary.py

It needs nothing but boto3, and an endpoint in AWS_ENDPOINT_URL_LAMBDA (without it Samovar's own).
"""

import io
import json
import os
import sys
import zipfile
from collections import Counter
from pathlib import Path

import boto3

NAME = "canary-greet"
ALIAS = "live"
SHARE = 0.1  # of the invocations go to the new version while it is looked at
CALLS = 200
SOURCE = Path(__file__).with_name("greet.py").read_text()


def package(edition):
    """The function's code, as a zip."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("greet.py", SOURCE.replace("EDITION = 1", f"EDITION = {edition}"))
    return buffer.getvalue()


def begin(client):
    """The first edition, and an alias that callers use."""
    client.create_function(
        FunctionName=NAME,
        Runtime=f"python3.{sys.version_info.minor}",
        Role="arn:aws:iam::000000000000:role/any",
        Handler="greet.handler",
        Code={"ZipFile": package(1)},
        Publish=True,
    )
    wait(client, "1")
    client.create_alias(FunctionName=NAME, Name=ALIAS, FunctionVersion="1")


def release(client, edition):
    """Publish an edition, let it have a share, and keep it if it has made no errors."""
    new = client.update_function_code(FunctionName=NAME, ZipFile=package(edition), Publish=True)
    version = new["Version"]
    wait(client, version)
    weights = {"AdditionalVersionWeights": {version: SHARE}}
    client.update_alias(FunctionName=NAME, Name=ALIAS, RoutingConfig=weights)
    calls, errors = invoke(client)
    told = f"edition {edition}: {calls[version]} of {CALLS} calls, {errors[version]} errors"
    if errors[version]:
        client.update_alias(FunctionName=NAME, Name=ALIAS, RoutingConfig={})
    else:  # all of them at once; what runs on the old version ends there
        client.update_alias(
            FunctionName=NAME, Name=ALIAS, FunctionVersion=version, RoutingConfig={}
        )
    stands = client.get_alias(FunctionName=NAME, Name=ALIAS)["FunctionVersion"]
    print(f"{told}; {ALIAS} is version {stands}")


def wait(client, version):
    """Until a version can be invoked; boto3 would look every 5 seconds."""
    waiter = client.get_waiter("published_version_active")
    waiter.wait(FunctionName=NAME, Qualifier=version, WaiterConfig={"Delay": 0.1})


def invoke(client):
    """Call the alias as its users would: calls and errors by the version that ran."""
    calls, errors = Counter(), Counter()
    for _ in range(CALLS):
        reply = client.invoke(
            FunctionName=NAME, Qualifier=ALIAS, Payload=json.dumps({"name": "tea"})
        )
        calls[reply["ExecutedVersion"]] += 1
        errors[reply["ExecutedVersion"]] += "FunctionError" in reply
    return calls, errors


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
        release(client, 2)
        release(client, 3)
    finally:
        client.delete_function(FunctionName=NAME)


if __name__ == "__main__":
    main()
