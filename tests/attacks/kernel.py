"""Ask the kernel for what no function needs."""

import os

from tried import call, tried

NUMBERS = {
    "x86_64": {
        "bpf": 321,
        "perf": 298,
        "keyctl": 250,
        "io_uring": 425,
        "userfaultfd": 323,
        "reboot": 169,
        "module": 313,
        "kexec": 246,
        "syslog": 103,
        "clock": 227,
    },
    "aarch64": {
        "bpf": 280,
        "perf": 241,
        "keyctl": 219,
        "io_uring": 425,
        "userfaultfd": 282,
        "reboot": 142,
        "module": 273,
        "kexec": 104,
        "syslog": 116,
        "clock": 112,
    },
}


def handler(event, context):
    numbers = NUMBERS[os.uname().machine]
    return {name: tried(call, number, 0, 0, 0, 0, 0) for name, number in numbers.items()}
