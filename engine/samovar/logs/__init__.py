"""Functions' logs on their way from a context's output to files, CloudWatch Logs and readers."""
