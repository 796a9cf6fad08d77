"""Clients for what stands beside the engine: S3, CloudWatch Logs, queues and others."""

from samovar.neighbours.asynchronous import AsyncNeighbours, Caller, NoEndpoint
from samovar.neighbours.blocking import neighbour_client
from samovar.neighbours.roles import RoleNotAssumed

__all__ = ["AsyncNeighbours", "Caller", "NoEndpoint", "RoleNotAssumed", "neighbour_client"]
