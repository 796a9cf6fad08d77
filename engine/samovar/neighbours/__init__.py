"""Clients for what stands beside the engine: S3, CloudWatch Logs, queues and others."""

from samovar.neighbours.asynchronous import AsyncNeighbours, NoEndpoint
from samovar.neighbours.blocking import neighbour_client

__all__ = ["AsyncNeighbours", "NoEndpoint", "neighbour_client"]
