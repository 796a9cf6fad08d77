"""A greeting. The canary's script deploys it again and again, with another EDITION each time.

Event: {"name": "tea"}
"""

EDITION = 1


def handler(event, context):
    if EDITION == 3:
        raise ValueError("edition 3 is not well")
    return {"edition": EDITION, "text": f"Hello, {event['name']}"}
