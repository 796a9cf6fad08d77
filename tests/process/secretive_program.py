"""`samovar start`, with everything logged that can be, and the widest umask. The command line is as
there."""

from __future__ import annotations

import logging
import os

from samovar.doors.cli.main import main

if __name__ == "__main__":
    os.umask(0)
    logging.basicConfig(level=logging.DEBUG)  # to stderr; a second call, as of start, does nothing
    logging.getLogger("botocore.hooks").setLevel(logging.INFO)  # thousands of lines of its own
    main()
