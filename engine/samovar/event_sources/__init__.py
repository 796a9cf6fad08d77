"""Event source mappings: what is read from queues and streams, and how it becomes invocations."""
