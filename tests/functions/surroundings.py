"""What a function finds around itself."""

import contextlib
import ctypes
import errno
import os
import resource
import socket
import stat
import subprocess
import sys
import tempfile
import time
from functools import partial


def variables(event, context):
    """The environment, as Python, a subprocess and the kernel have it."""
    text = subprocess.run(["env", "-0"], capture_output=True, text=True, check=True).stdout
    with open("/proc/self/environ") as file:
        at_exec = file.read()
    return {
        "python": dict(os.environ),
        "subprocess": dict(item.split("=", 1) for item in text.split("\0") if item),
        "at exec": at_exec.split("\0"),
        "clock": [time.tzname[0], time.strftime("%H", time.localtime(0))],
    }


def interpreter(event, context):
    """How this Python was set up."""
    return {
        "path": sys.path,
        "argv": sys.argv,
        "executable": sys.executable,
        "umask": os.umask(0o022),
        "encodings": [sys.stdout.encoding, sys.getfilesystemencoding()],
        "stdin": sys.stdin.read(),
        "builtins": [callable(found) for found in (exit, quit, help)],
        "again": subprocess.run(
            [sys.executable, "-c", "import boto3, sys; print(sys.version_info[:2])"],
            capture_output=True,
            text=True,
            check=False,
        ).stdout,
    }


def leave(event, context):
    """End as interactive programs and scripts do."""
    {"exit": exit, "quit": quit}[event](5)


def status():
    with open("/proc/self/status") as file:
        return dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)


def rights(event, context):
    """Who this is and what it may do."""
    found = status()
    return {
        "ids": [os.getuid(), os.geteuid(), os.getgid(), os.getegid(), os.getgroups()],
        "capabilities": {
            name: found[name] for name in ("CapInh", "CapPrm", "CapEff", "CapAmb", "CapBnd")
        },
        "no_new_privs": found["NoNewPrivs"],
        "open files": resource.getrlimit(resource.RLIMIT_NOFILE),
        "core": resource.getrlimit(resource.RLIMIT_CORE),
        "more files": error_of(lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (2048, 2048))),
        "become root": error_of(lambda: os.setuid(0)),
        "whoami": subprocess.run(
            ["id", "-un"], capture_output=True, text=True, check=True
        ).stdout.strip(),
    }


def files(event, context):
    """Open files until there is no room for one more."""
    opened = []
    try:
        while True:
            opened.append(os.open("/dev/null", os.O_RDONLY))
    except OSError as error:
        return [errno.errorcode[error.errno], max(opened)]
    finally:
        for fd in opened:
            os.close(fd)


def error_of(action):
    try:
        action()
    except OSError as error:
        return errno.errorcode[error.errno]
    except ValueError as error:
        return str(error)
    return None


def write_to(path):
    with open(path, "w") as file:
        file.write("x")


def read(path):
    with open(path) as file:
        return file.read()


def view(event, context):
    """The file system, and what happens to those who write to it."""
    places = ("/", "/var/task", "/var/runtime", "/var/lang", "/usr", "/etc", "/opt", "/run", "/dev")
    code = os.stat("/var/task")
    return {
        "cwd": os.getcwd(),
        "root": sorted(os.listdir("/")),
        "task": sorted(os.listdir("/var/task")),
        "run": [os.listdir(path) for path, _, _ in os.walk("/run") if os.listdir(path) == []],
        "dev": sorted(os.listdir("/dev")),
        "exists": {path: os.path.exists(path) for path in event["paths"]},
        "written": {place: error_of(partial(write_to, f"{place}/new")) for place in places},
        "code": [oct(code.st_mode), code.st_uid != os.getuid()],
        "overwrite": error_of(lambda: write_to(__file__)),
        "devices": [
            os.read(os.open("/dev/zero", os.O_RDONLY), 2).hex(),
            len(os.read(os.open("/dev/urandom", os.O_RDONLY), 8)),
            error_of(lambda: write_to("/dev/null")),
            error_of(lambda: write_to("/dev/full")),
        ],
        "own stdout": subprocess.run(
            ["sh", "-c", "echo shown > /dev/stdout"], check=False
        ).returncode,
    }


def tmp(event, context):
    """/tmp: its mode and size, who sees it, and how full it can get."""
    size = os.statvfs("/tmp")
    total = size.f_blocks * size.f_frsize
    write_to("/tmp/from-python")
    with open("/tmp/large", "wb") as file:
        too_much = error_of(lambda: os.posix_fallocate(file.fileno(), 0, total + 4096))
        enough = error_of(lambda: os.posix_fallocate(file.fileno(), 0, 1 << 20))
    seen = subprocess.run(["ls", "/tmp"], capture_output=True, text=True, check=True).stdout
    os.remove("/tmp/large")
    return {
        "mode": oct(stat.S_IMODE(os.stat("/tmp").st_mode)),
        "megabytes": total / (1 << 20),
        "too much": too_much,
        "enough": enough,
        "seen": seen.split(),
        "tempfile": tempfile.gettempdir(),
        "executable": subprocess.call(
            ["sh", "-c", "cp /bin/true /tmp/true && /tmp/true && rm /tmp/true"]
        ),
    }


def processes(event, context):
    """All that can be seen of processes, and what can be done to the first."""
    other = subprocess.Popen(["sleep", "60"])
    try:
        seen = sorted(int(name) for name in os.listdir("/proc") if name.isdigit())
        mine = [1, os.getpid(), other.pid]
    finally:
        other.kill()
        other.wait()
    return {
        "others": [pid for pid in seen if pid not in mine],
        "kill 1": error_of(lambda: os.kill(1, 9)),
        "environment of 1": error_of(lambda: read("/proc/1/environ")),
    }


def escape(event, context):
    """Try to take the walls down."""
    libc = ctypes.CDLL(None, use_errno=True)

    def call(name, *arguments):
        if getattr(libc, name)(*arguments) == 0:
            return None
        return errno.errorcode[ctypes.get_errno()]

    script = (
        "umount /proc; umount /var/task; umount -l /usr; mount -o remount,rw /; "
        "mount -o remount,rw /var/task; ls -d /proc/[0-9]* | wc -l; touch /var/task/new /usr/new; "
        "ls /var/task"
    )
    inner = subprocess.run(
        ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script],
        capture_output=True,
        text=True,
        check=False,
    )
    return {
        "umount": call("umount2", b"/var/task", 2),
        "remount": call("mount", b"none", b"/", b"", 0x20, None),
        "unshare mounts": call("unshare", 0x00020000),
        "chroot": call("chroot", b"/tmp"),
        "own namespaces": inner.stdout.split(),
        "complaints": inner.stderr,
    }


def devices(event, context):
    """What there is in /dev, and what comes of what a device would be needed for."""
    import multiprocessing
    from multiprocessing import shared_memory

    def kind(path):
        found = os.stat(path)
        return [stat.S_ISCHR(found.st_mode), os.major(found.st_rdev), os.minor(found.st_rdev)]

    names = sorted(os.listdir("/dev"))
    return {
        "there": {
            name: kind(f"/dev/{name}") for name in names if not os.path.islink(f"/dev/{name}")
        },
        "links": [name for name in names if os.path.islink(f"/dev/{name}")],
        "semaphore": error_of(multiprocessing.Lock),
        "shared memory": error_of(lambda: shared_memory.SharedMemory(create=True, size=8)),
        "terminal": error_of(os.openpty),
        "disk": error_of(lambda: os.mknod("/tmp/disk", stat.S_IFBLK | 0o600, os.makedev(8, 0))),
        "memory": error_of(lambda: os.mknod("/tmp/kmsg", stat.S_IFCHR | 0o600, os.makedev(1, 11))),
        "mode": error_of(lambda: os.chmod("/dev/null", 0o600)),
        "pipe": error_of(lambda: os.mkfifo("/tmp/pipe")),
    }


def crowd(event, context):
    """As many threads as there may be, if asked to `fill`; held while it waits at the gate."""
    import _thread

    lock = _thread.allocate_lock()
    lock.acquire()
    _thread.stack_size(64 * 1024)
    more = 0
    with contextlib.suppress(RuntimeError):
        while event.get("fill") and more < 2000:
            _thread.start_new_thread(lock.acquire, ())
            more += 1
    fork = error_of(lambda: os.fork() or os._exit(0))
    with socket.create_connection(("127.0.0.1", event["port"])) as gate:
        gate.sendall(b"here\n")
        gate.recv(1)
    return {"limit": resource.getrlimit(resource.RLIMIT_NPROC), "more": more, "fork": fork}


def leave_behind(event, context):
    """Make a segment and a queue that outlive a process, and say what is seen of them by name."""
    libc = ctypes.CDLL(None, use_errno=True)
    made = None
    if event.get("make"):
        attributes = (ctypes.c_long * 8)(0, 1, 8)  # one message of eight bytes
        made = [
            libc.shmget(event["key"], 4096, 0o1666) >= 0,
            libc.mq_open(event["queue"].encode(), os.O_CREAT | os.O_RDWR, 0o666, attributes) >= 0,
        ]
    return {
        "made": made,
        "segment": libc.shmget(event["key"], 0, 0) >= 0,
        "queue": libc.mq_open(event["queue"].encode(), os.O_RDWR) >= 0,
        "names": [socket.gethostname(), os.uname().nodename, socket.getfqdn()],
        "address": socket.gethostbyname(socket.gethostname()),
    }


def private(event, context):
    """Without namespaces: the directory that stands in for /tmp."""
    place = os.environ["TMPDIR"]
    made = subprocess.run(["mktemp"], capture_output=True, text=True, check=True).stdout
    return {
        "place": place,
        "mode": oct(stat.S_IMODE(os.stat(place).st_mode)),
        "tempfile": tempfile.gettempdir(),
        "mktemp": os.path.dirname(made),
        "cwd": os.getcwd(),
        "code": os.path.dirname(__file__),
    }


def about(event, context):
    """The context object, attribute by attribute."""
    client = context.client_context
    left = context.get_remaining_time_in_millis()
    return {
        "names": sorted(name for name in dir(context) if not name.startswith("_")),
        "aws_request_id": context.aws_request_id,
        "function_name": context.function_name,
        "function_version": context.function_version,
        "invoked_function_arn": context.invoked_function_arn,
        "memory_limit_in_mb": context.memory_limit_in_mb,
        "log_group_name": context.log_group_name,
        "log_stream_name": context.log_stream_name,
        "identity": [
            context.identity.cognito_identity_id,
            context.identity.cognito_identity_pool_id,
        ],
        "client_context": client
        and {
            "custom": client.custom,
            "env": client.env,
            "client": client.client
            and {
                name: getattr(client.client, name)
                for name in (
                    "installation_id",
                    "app_title",
                    "app_version_name",
                    "app_version_code",
                    "app_package_name",
                )
            },
        },
        "tenant_id": context.tenant_id,
        "left": [left, context.get_remaining_time_in_millis() <= left],
        "trace": os.environ["_X_AMZN_TRACE_ID"],
        "trace of a child": subprocess.run(
            ["printenv", "_X_AMZN_TRACE_ID"], capture_output=True, text=True, check=True
        ).stdout,
    }


def call(event, context):
    """Reach a server on this machine's loopback."""
    with socket.create_connection(("127.0.0.1", event["port"]), timeout=10) as door:
        door.sendall(b"hello\n")
        return door.recv(1).decode()


def forbidden(event, context):
    """What becomes of calls, by number and arguments: the name of an error, or none."""
    libc = ctypes.CDLL(None, use_errno=True)
    found = {}
    for name, number, arguments in event["calls"]:
        ctypes.set_errno(0)
        result = libc.syscall(number, *[ctypes.c_long(value) for value in arguments])
        found[name] = errno.errorcode[ctypes.get_errno()] if result < 0 else None
    with open("/proc/self/status") as file:
        found["filters"] = next(line.split()[1] for line in file if line.startswith("Seccomp:"))
    return found


def ordinary(event, context):
    """What functions do all day."""
    import asyncio
    import concurrent.futures
    import multiprocessing
    import sqlite3
    import threading
    import urllib.request
    from http.server import BaseHTTPRequestHandler, HTTPServer

    import boto3

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"answer")

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()

    async def program():
        found = await asyncio.create_subprocess_exec("echo", "x", stdout=subprocess.PIPE)
        return (await found.communicate())[0].decode()

    here, there = multiprocessing.get_context("fork").Pipe()
    child = multiprocessing.get_context("fork").Process(target=there.send, args=(7,))
    child.start()
    sent = here.recv()
    child.join()
    pid = os.fork()
    if pid == 0:
        os._exit(3)
    with tempfile.TemporaryDirectory() as place:
        base = sqlite3.connect(f"{place}/base")
        base.execute("create table t (x)")
        base.execute("insert into t values (5)")
        base.commit()
        kept = base.execute("select x from t").fetchone()[0]
        base.close()
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        threads = list(pool.map(abs, [-1, -2]))
    with urllib.request.urlopen(f"http://localhost:{server.server_port}/") as reply:
        fetched = reply.read().decode()
    server.shutdown()
    server.server_close()
    boto3.client("s3")
    return {
        "subprocess": subprocess.check_output(["sh", "-c", "echo a | cat"], text=True),
        "asyncio": asyncio.run(program()),
        "multiprocessing": sent,
        "fork": os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]),
        "sqlite": kept,
        "threads": threads,
        "http": fetched,
        "addresses": len(socket.getaddrinfo("localhost", 80)) > 0,
        "interfaces": len(socket.if_nameindex()) > 0,
        "clock": time.clock_gettime(time.CLOCK_MONOTONIC) > 0,
    }
