"""BLAS work before and after the fork, and numpy's chance."""

import sys
import threading

import numpy as np

A = np.arange(250_000, dtype=float).reshape(500, 500) % 7
EXPECTED = A @ A
np.random.random()


def handler(event, context):
    product = A @ A
    thread = threading.Thread(target=np.linalg.solve, args=(A + np.eye(500), A))
    thread.start()
    thread.join()
    return {
        "right": bool((product == EXPECTED).all()),
        "random": float(np.random.random()),
        "blas": sum(1 for name in sys.modules if name.startswith("numpy.linalg")) > 0,
    }
