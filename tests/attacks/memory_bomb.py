"""Take memory without end, as fast as there is any."""


def handler(event, context):
    taken = []
    while True:
        taken.append(b"x" * (64 << 20))
