"""A function that uses S3, told of it by nothing but its environment."""

import os

import boto3


def handler(event, context):
    told = {"endpoint": os.environ["AWS_ENDPOINT_URL"]}
    if "bucket" in event:
        s3 = boto3.client("s3")
        content = s3.get_object(Bucket=event["bucket"], Key=event["key"])["Body"].read().decode()
        s3.put_object(Bucket=event["bucket"], Key="written", Body=content.upper().encode())
        told |= {"read": content, "region": s3.meta.region_name}
    return told
