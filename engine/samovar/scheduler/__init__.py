"""Who runs next, and on what: a pure state machine and the driver of its commands."""
