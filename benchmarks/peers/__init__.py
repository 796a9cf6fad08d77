"""Other ways to run a Python function in another process."""
