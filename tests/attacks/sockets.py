"""Reach sockets that the host's programs listen on, by name and by path."""

import socket

from tried import tried


def reach(family, address):
    with socket.socket(family, socket.SOCK_STREAM) as one:
        one.settimeout(5)
        one.connect(address)


def handler(event, context):
    return {
        "abstract": tried(reach, socket.AF_UNIX, "\0" + event["abstract"]),
        "by path": tried(reach, socket.AF_UNIX, event["socket"]),
        "loopback": tried(reach, socket.AF_INET, ("127.0.0.1", event["port"])),
        "raw": tried(socket.socket, socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP),
        "packets": tried(socket.socket, socket.AF_PACKET, socket.SOCK_RAW, 3),
    }
