"""Leave a grandchild in a session of its own, which holds a connection, and never return."""

import time

from tried import leave_daemon


def handler(event, context):
    leave_daemon(event["port"])
    time.sleep(3600)
