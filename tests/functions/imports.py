"""What can be imported, from where, and what must not be there."""

# ruff: noqa: E402 - what was loaded before this file has to be written down first

import sys

at_start = sorted(sys.modules)
random_at_start = "random" in sys.modules

import concurrent.futures
import gc
import importlib
import multiprocessing
import os
import pickle
import random
import secrets
import ssl
import tempfile
import types
import uuid
from decimal import Decimal

drawn_at_import = random.random()


def locate(event, context):
    """Where each of the modules in the event comes from; None where there is none."""
    found = {}
    for name in event["modules"]:
        try:
            module = importlib.import_module(name)
        except ModuleNotFoundError as error:
            found[name] = None if error.name == name else repr(error)
        else:
            found[name] = getattr(module, "__file__", "built in")
    return {
        "found": found,
        "at start": [name for name in event["modules"] if name in at_start],
        "root": os.getcwd(),
        "runtime": os.environ["LAMBDA_RUNTIME_DIR"],
        "number": Decimal("1.10"),  # written by the runtime's simplejson
    }


def traces(event, context):
    """What shows of the engine and the worker."""
    main = sys.modules["__main__"]
    return {
        "modules": at_start,
        "main": {name: value for name, value in vars(main).items() if value is not None},
        "through gc": [
            item.__name__ for item in gc.get_objects() if isinstance(item, types.ModuleType)
        ],
        "paths": sys.path + list(sys.path_importer_cache),
    }


def draw(event, context):
    """A number from everything that is random."""
    return {
        "preloaded": random_at_start,
        "numbers": {
            "random at import": drawn_at_import,
            "random": random.random(),
            "bits": random.getrandbits(64),
            "shuffle": random.sample(range(1000), 20),
            "urandom": os.urandom(8).hex(),
            "uuid4": str(uuid.uuid4()),
            "secrets": secrets.token_hex(8),
            "ssl": ssl.RAND_bytes(8).hex(),
            "mktemp": os.path.basename(tempfile.mktemp()),
            "system": random.SystemRandom().random(),
        },
    }


class Parcel:
    def __init__(self, content):
        self.content = content


def double(value):
    return 2 * value


def _answer(pipe, value):
    pipe.send((os.getpid(), double(value)))


def parallel(event, context):
    """Processes, threads and pickles of what stands in this module."""
    answers = {}
    for method in event["methods"]:
        how = multiprocessing.get_context(method)
        near, far = how.Pipe()
        process = how.Process(target=_answer, args=(far, 21))
        process.start()
        pid, answers[method] = near.recv()
        process.join()
        answers[method] = [answers[method], pid != os.getpid(), process.exitcode]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        threads = list(pool.map(double, range(50)))
    copy = pickle.loads(pickle.dumps([double, Parcel("tea")]))
    try:
        multiprocessing.get_context("fork").Queue()
    except OSError as error:
        queue = error.strerror
    else:
        queue = None
    return {
        "processes": answers,
        "threads": threads == [2 * n for n in range(50)],
        "pickle": [copy[0](4), copy[1].content, type(copy[1]) is Parcel],
        "queue": queue,
    }
