"""Change what is mounted, leave the root, become somebody else."""

import os

from tried import checked, libc, tried

CLONE_NEWUSER, CLONE_NEWNS = 0x10000000, 0x00020000


def handler(event, context):
    return {
        "mount": tried(lambda: checked(libc.mount(b"none", b"/tmp", b"tmpfs", 0, None))),
        "unmount": tried(lambda: checked(libc.umount2(b"/tmp", 2))),
        "user namespace": tried(lambda: checked(libc.unshare(CLONE_NEWUSER))),
        "mount namespace": tried(lambda: checked(libc.unshare(CLONE_NEWNS))),
        "enter another's": tried(enter, event["neighbour"]),
        "chroot": tried(os.chroot, "/tmp"),
        "setuid": tried(os.setuid, 4321),
        "device": tried(os.mknod, "/tmp/disk", 0o60600, os.makedev(8, 0)),
        "host name": tried(lambda: checked(libc.sethostname(b"mine", 4))),
    }


def enter(pid):
    fd = os.open(f"/proc/{pid}/ns/mnt", os.O_RDONLY)
    try:
        checked(libc.setns(fd, 0))
    finally:
        os.close(fd)
