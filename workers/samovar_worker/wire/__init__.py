"""The contract between engine and worker: frames, messages, their order. No I/O in here."""
