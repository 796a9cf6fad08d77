"""Hostile functions: each module is an attack, whose handler says how far it came.

An answer is `{what was tried: how it ended}`: «done», or the name of the error. The event names
what is aimed at (see `tests/process/attack_program.py`). `tests/process/test_attacks.py` says which
end is promised where.
"""
