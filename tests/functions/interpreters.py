"""Which Python this is, and whether what the worker brings works in it."""

import sys

import boto3


def tell(event, context):
    with open("/proc/self/maps") as file:
        native = "_cmsgpack" in file.read()
    client = boto3.client("sqs")
    return {
        "version": sys.version.split()[0],
        "executable": sys.executable,
        "native msgpack": native,
        "service": client.meta.service_model.service_name,
    }
