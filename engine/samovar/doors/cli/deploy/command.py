"""`samovar deploy`: the words of the command line, and what it says."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from samovar.doors.cli.deploy.carry_out import Existing, carry_out, find
from samovar.doors.cli.deploy.follow import follow
from samovar.doors.cli.deploy.live import LiveDirectory, live_directory
from samovar.doors.cli.deploy.package import Package, make_package
from samovar.doors.cli.deploy.pairs import read_file, read_pairs
from samovar.doors.cli.deploy.plan import Plan, Status, Wishes, to_create, to_update
from samovar.doors.cli.deploy.publish import Publication, read_alias
from samovar.doors.cli.deploy.publish import publish as publish_it
from samovar.doors.cli.deploy.source import Source, resolve
from samovar.doors.cli.exits import Exit, Failure
from samovar.doors.cli.remote import connected, endpoint_option
from samovar.doors.cli.screen import say, size_text
from samovar.model.function import DEFAULT_ROLE
from samovar.settings import Settings, is_loopback

_OWN_RUNTIME = f"python{sys.version_info.major}.{sys.version_info.minor}"


@click.command(
    epilog="""\b
Examples:
  samovar deploy ./greet
  samovar deploy ./greet --env KIND=green --timeout 10 --tag team=tea
  samovar deploy build/greet.zip --name greet --handler app.handler
  samovar deploy shop.orders:handler
  samovar deploy ./greet --install --runtime python3.12
  samovar deploy ./greet --watch
  samovar deploy ./greet --alias live
  arn=$(samovar deploy ./greet)

The ARN goes to stdout, everything else to stderr. An option that is not given leaves an existing
function as it is; files that have not changed are not sent again. Of a directory, .git, __pycache__
and virtual environments are left out, and what its .samovarignore names (as a .gitignore would).
Symbolic links stay links, and may not lead out of the directory.
With --publish, what is deployed then is published as a version, unless nothing has changed since
the last one; with --alias, the alias is made to stand for that version, and for no other one beside
it. The ARN is that of the version, or of the alias.
\b
With --watch the engine runs what is saved in the directory, without a zip, and each reload is a
line on stdout: with --json an object (Time, FunctionName, FunctionArn, CodeSha256, CodeSize,
RevisionId, LastUpdateStatus, LastUpdateStatusReason). The engine must allow it: samovar start
--hot-reload-roots DIR. Ctrl-C ends the watching, with exit code 0; the function goes on running
what is saved, until it is deployed without --watch or deleted."""
)
@click.argument("source")
@click.option("--name", help="the function's name; without it that of the directory, zip or module")
@click.option(
    "--handler",
    help="the handler, like module.function; without it the package's only one",
)
@click.option(
    "--runtime", help="the runtime of a new function  [default: that of Samovar's own Python]"
)
@click.option("--role", metavar="ARN", help="its execution role; Samovar takes any")
@click.option("--timeout", type=int, metavar="SECONDS", help="1 to 900; a new one has 3")
@click.option("--memory", type=int, metavar="MB", help="128 to 10240; a new one has 128")
@click.option("--description", help="what it is for")
@click.option(
    "--env",
    multiple=True,
    metavar="KEY=VALUE",
    callback=read_pairs,
    help="an environment variable; those given are all that the function then has",
)
@click.option(
    "--env-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="a file of KEY=VALUE lines; --env wins over it",
)
@click.option(
    "--layer", multiple=True, metavar="ARN", help="a layer's version; those given replace all"
)
@click.option("--tag", multiple=True, metavar="KEY=VALUE", callback=read_pairs, help="a tag to set")
@click.option("--install", is_flag=True, help="pip install requirements.txt into the package")
@click.option(
    "--watch", is_flag=True, help="run what is saved in the directory, and tell each reload"
)
@click.option("--publish", is_flag=True, help="publish it as a version that stays as it is")
@click.option(
    "--alias",
    metavar="NAME",
    callback=read_alias,
    help="publish it, and have this alias stand for the version",
)
@click.option("--dry-run", is_flag=True, help="say what would be done, and do nothing")
@click.option("--json", "as_json", is_flag=True, help="print more than the ARN, as JSON")
@endpoint_option
def deploy(
    *,
    source: str,
    name: str | None,
    handler: str | None,
    runtime: str | None,
    role: str | None,
    timeout: int | None,
    memory: int | None,
    description: str | None,
    env: Mapping[str, str],
    env_file: Path | None,
    layer: tuple[str, ...],
    tag: Mapping[str, str],
    install: bool,
    watch: bool,
    publish: bool,
    alias: str | None,
    dry_run: bool,
    as_json: bool,
    endpoint_url: str | None,
) -> None:
    """Create a function from SOURCE, or update it, and print its ARN.

    SOURCE is a directory, a zip, or package.module:function as Python would import it here; of a
    module all of its top-level package is deployed.
    """
    meant = resolve(source)
    environment = {**(read_file(env_file) if env_file else {}), **env}
    wishes = Wishes(
        runtime,
        role,
        timeout,
        memory,
        description,
        environment if env or env_file else None,
        layer,
        tag,
    )
    function = _name_of(meant, name)
    live = live_directory(meant, install=install) if watch else None
    with connected(endpoint_url) as client:
        existing = find(client, function)
        code = live or _packaged(meant, install=install, runtime=_runtime(wishes, existing))
        plan = _plan(client, function, wishes, handler=handler, code=code, existing=existing)
        if dry_run:
            before = existing.configuration if existing else {}
            _show(_Told(plan, code, before, dry=True), as_json=as_json)
            if publish or alias:
                say(
                    f"would publish it{f' and have {alias} stand for the version' if alias else ''}"
                )
            return
        now = carry_out(client, plan, code.code)
        published = publish_it(client, function, alias) if publish or alias else None
        _show(_Told(plan, code, now, published), as_json=as_json)
        if live is not None:
            follow(client, live.path, now, as_json=as_json)


def _packaged(source: Source, *, install: bool, runtime: str) -> Package:
    package = make_package(source, install=install, runtime=runtime)
    files = "1 file" if package.files == 1 else f"{package.files} files"
    say(f"packaged {files}, {size_text(len(package.content))}")
    return package


def _name_of(source: Source, given: str | None) -> str:
    name = source.name if given is None else given
    if not name:
        raise Failure(Exit.USAGE, "the source has no name to call a function by: use --name")
    return name


def _runtime(wishes: Wishes, existing: Existing | None) -> str:
    """The runtime that the function will have."""
    if wishes.runtime is None and existing is not None:
        return str(existing.configuration.get("Runtime", _OWN_RUNTIME))
    return wishes.runtime or _OWN_RUNTIME


def _plan(
    client: Any,
    name: str,
    wishes: Wishes,
    *,
    handler: str | None,
    code: Package | LiveDirectory,
    existing: Existing | None,
) -> Plan:
    now = existing.configuration if existing else {}
    chosen = handler or code.handler or code.find_handler(now.get("Handler", ""))
    if existing is not None:
        return to_update(name, wishes, chosen, sha256=code.sha256, current=now, tags=existing.tags)
    role = wishes.role
    if role is None:
        if not is_loopback(client.meta.endpoint_url):
            raise Failure(Exit.USAGE, f"a new function at {client.meta.endpoint_url} needs --role")
        # No call is made with it here, but the API wants one.
        account = Settings.__dataclass_fields__["account_id"].default
        role = DEFAULT_ROLE.format(account=account)
    return to_create(name, wishes, chosen, wishes.runtime or code.runtime or _OWN_RUNTIME, role)


@dataclass(frozen=True, slots=True)
class _Told:
    """What a deployment came to; `now` is the function's configuration, of a dry run what it was
    before (empty if there was none)."""

    plan: Plan
    code: Package | LiveDirectory
    now: Mapping[str, Any]
    published: Publication | None = None
    dry: bool = False


def _show(told: _Told, *, as_json: bool) -> None:
    plan, now = told.plan, told.now
    arn = told.published.arn if told.published else now.get("FunctionArn")
    if as_json:
        made = plan.create or {}
        document = {
            "FunctionName": plan.name,
            "FunctionArn": arn,
            "Status": plan.status.value,
            "Changed": plan.changed(),
            "DryRun": told.dry,
            "Handler": made.get("Handler", plan.configuration.get("Handler", now.get("Handler"))),
            "Runtime": made.get("Runtime", plan.configuration.get("Runtime", now.get("Runtime"))),
            **told.code.facts(now),
        }
        if told.published:
            document["Version"] = told.published.version
        # Of a watch it is the first of many lines.
        click.echo(json.dumps(document, indent=None if isinstance(told.code, LiveDirectory) else 2))
        return
    if told.dry:
        verb = {Status.CREATED: "create", Status.UPDATED: "update", Status.UNCHANGED: "leave"}
        what = f": {', '.join(plan.changed())}" if plan.changed() else ""
        how = f" with the handler {plan.create['Handler']}" if plan.create else ""
        say(f"would {verb[plan.status]} {plan.name}{how}{what}")
        return
    say(f"{plan.name} is {plan.status.value}")
    click.echo(arn)
