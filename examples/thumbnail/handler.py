"""Thumbnails of one picture, in several sizes: a small function with a big native dependency.

Event:  {"picture": "<base64>"} or {"path": "/var/task/samovar.jpg"},
        and, where wanted, "sizes": [512, 256, 128] (pixels, longest side) and "format": "JPEG".
Result: the thumbnails in base64, where they stand in /tmp, the milliseconds that decoding and
        resizing took, and which execution context did it for the how-manieth time.
"""

import base64
import io
import time
from pathlib import Path

from PIL import Image

FORMATS = {"JPEG": "jpg", "PNG": "png", "WEBP": "webp"}
calls = {"served": 0}  # lives as long as the execution context


def handler(event, context):
    calls["served"] += 1
    sizes = event.get("sizes", [512, 256, 128])
    kind = event.get("format", "JPEG")
    if kind not in FORMATS:
        raise ValueError(f"format must be one of {', '.join(FORMATS)}, not {kind}")
    started = time.perf_counter()
    picture = read(event)
    decoded = time.perf_counter()
    thumbnails = [thumbnail(picture, size, kind) for size in sizes]
    return {
        "context": context.log_stream_name,
        "served": calls["served"],
        "picture": {"width": picture.width, "height": picture.height},
        "thumbnails": thumbnails,
        "milliseconds": {
            "decode": round((decoded - started) * 1000, 3),
            "resize": round((time.perf_counter() - decoded) * 1000, 3),
        },
    }


def read(event):
    if "picture" in event:
        source = io.BytesIO(base64.b64decode(event["picture"], validate=True))
    elif "path" in event:
        source = event["path"]
    else:
        raise ValueError("the event needs a «picture» (base64) or a «path»")
    picture = Image.open(source)
    picture.load()
    return picture.convert("RGB")


def thumbnail(picture, size, kind):
    small = picture.copy()
    small.thumbnail((size, size), Image.Resampling.LANCZOS)
    # /tmp is this context's own: it outlives the invocation, and goes with the context.
    path = Path(f"/tmp/thumbnail-{size}.{FORMATS[kind]}")  # noqa: S108
    small.save(path, kind)
    data = path.read_bytes()
    return {
        "path": str(path),
        "width": small.width,
        "height": small.height,
        "bytes": len(data),
        "data": base64.b64encode(data).decode(),
    }
