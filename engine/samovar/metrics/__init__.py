"""One observer protocol, every metric's name in one table, and Prometheus."""
