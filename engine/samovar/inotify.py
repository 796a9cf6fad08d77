"""Inotify's limits, in the words in which whoever meets one of them tells of it."""

from __future__ import annotations

import errno
import os

# No more watches (ENOSPC: fs.inotify.max_user_watches) or descriptors of this kind (EMFILE:
# fs.inotify.max_user_instances, or the process's own limit), or a kernel without them.
_EXHAUSTED = {errno.ENOSPC, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOSYS}


def exhausted(error: OSError) -> str | None:
    """Why the system gives no watch; None if what failed is what was to be watched."""
    if error.errno not in _EXHAUSTED:
        return None
    if error.errno == errno.ENOSPC:
        return "fs.inotify.max_user_watches is reached"
    if error.errno == errno.EMFILE:
        return "fs.inotify.max_user_instances is reached"
    return os.strerror(error.errno or 0)
