"""The child's side: the zygote that forks and the worker that runs a function.

Needs the standard library and msgpack only, and runs under every interpreter that serves a
runtime; it never imports the engine. After boot none of it is visible to the function.
"""
