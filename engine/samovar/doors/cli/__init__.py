"""The command line: words into calls of the engine or of its HTTP door, and results into tables."""
