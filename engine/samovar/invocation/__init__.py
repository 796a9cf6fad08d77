"""From a request to an outcome: resolve, lease, run."""
