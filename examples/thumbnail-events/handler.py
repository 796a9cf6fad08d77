"""What an upload to S3 sets off: a thumbnail beside it, and a row in DynamoDB that tells of it.

Event:  what S3 sends of an upload ({"Records": [{"s3": {"bucket": …, "object": …}}]}).
Result: the rows that were written.

The same event may come twice (delivery is at least once): then the same thumbnail and the same row
are written twice, under the same keys, and nothing is wrong. What is no picture is an error of the
function's, so that Lambda tries again, and then sends the event where failed ones go.
"""

import io
import os
from pathlib import PurePosixPath
from urllib.parse import unquote_plus

import boto3
from PIL import Image, UnidentifiedImageError

SIZE = int(os.environ.get("SIZE", "256"))  # pixels, longest side
TABLE = os.environ["TABLE"]

# Made in the init, and used by all invocations of this context.
s3 = boto3.client("s3")
dynamodb = boto3.client("dynamodb")


def handler(event, context):
    return [thumbnail(record["s3"], context) for record in event["Records"]]


def thumbnail(told, context):
    bucket = told["bucket"]["name"]
    key = unquote_plus(told["object"]["key"])  # S3 writes «a b» as «a+b»
    upload = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    try:
        small = Image.open(io.BytesIO(upload)).convert("RGB")
    except UnidentifiedImageError as error:
        raise ValueError(f"{key} is no picture") from error
    small.thumbnail((SIZE, SIZE), Image.Resampling.LANCZOS)
    content = io.BytesIO()
    small.save(content, "JPEG")
    # Below another name than what is uploaded: an event of this upload would set this off again.
    target = f"thumbnails/{PurePosixPath(key).stem}.jpg"
    body = content.getvalue()
    s3.put_object(Bucket=bucket, Key=target, Body=body, ContentType="image/jpeg")
    row = {
        "picture": key,
        "thumbnail": target,
        "width": small.width,
        "height": small.height,
        "bytes": len(body),
        "request": context.aws_request_id,
    }
    dynamodb.put_item(TableName=TABLE, Item={name: typed(value) for name, value in row.items()})
    return row


def typed(value):
    return {"N": str(value)} if isinstance(value, int) else {"S": value}
