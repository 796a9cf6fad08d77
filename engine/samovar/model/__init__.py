"""Frozen nouns that every layer shares; no behaviour beyond parsing and formatting themselves."""
