"""`samovar functions`: what is deployed, read through the Lambda API."""

from __future__ import annotations

import json
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from samovar.doors.cli.exits import failures
from samovar.doors.cli.remote import endpoint_of, lambda_client


@click.command(
    epilog="""\b
Examples:
  samovar functions
  samovar functions --json | jq -r '.[].FunctionName'"""
)
@click.option("--json", "as_json", is_flag=True, help="the API's own documents, as a JSON list")
@click.option(
    "--endpoint-url",
    help="where the engine listens  [AWS_ENDPOINT_URL_LAMBDA; default: http://127.0.0.1:4566]",
)
def functions(as_json: bool, endpoint_url: str | None) -> None:
    """List the functions of a running engine."""
    endpoint = endpoint_of(endpoint_url)
    with failures(endpoint):
        client = lambda_client(endpoint)
        try:
            pages = client.get_paginator("list_functions").paginate()
            found: list[dict[str, Any]] = [item for page in pages for item in page["Functions"]]
        finally:
            client.close()
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return
    if not found:
        click.echo(f"no functions at {endpoint}", err=True)
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    for heading in ("function", "runtime", "handler"):
        table.add_column(heading)
    for heading in ("memory", "timeout", "package"):
        table.add_column(heading, justify="right")
    table.add_column("last modified", overflow="fold")
    for item in found:
        table.add_row(
            item["FunctionName"],
            item["Runtime"],
            item["Handler"],
            f"{item['MemorySize']} MB",
            f"{item['Timeout']} s",
            f"{item['CodeSize'] / 1000:,.1f} kB",
            item["LastModified"],
        )
    Console().print(table)
