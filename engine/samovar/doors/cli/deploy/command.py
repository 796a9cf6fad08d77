"""`samovar deploy`: the words of the command line, and what it says."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from samovar.doors.cli.deploy.amount import read_amount
from samovar.doors.cli.deploy.carry_out import Existing, carry_out, find
from samovar.doors.cli.deploy.event_config import EventWishes, configure, read_arn
from samovar.doors.cli.deploy.follow import follow
from samovar.doors.cli.deploy.live import LiveDirectory, live_directory
from samovar.doors.cli.deploy.package import Package, make_package
from samovar.doors.cli.deploy.pairs import read_file, read_pairs
from samovar.doors.cli.deploy.plan import Amount, Plan, Wishes, to_create, to_update
from samovar.doors.cli.deploy.provision import is_provisioned
from samovar.doors.cli.deploy.publish import publish as publish_it
from samovar.doors.cli.deploy.publish import read_alias
from samovar.doors.cli.deploy.source import Source, resolve
from samovar.doors.cli.deploy.told import Told, show
from samovar.doors.cli.exits import Exit, Failure
from samovar.doors.cli.remote import connected, endpoint_option
from samovar.doors.cli.screen import say, size_text
from samovar.model.function import DEFAULT_ROLE, SnapStart
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
  samovar deploy ./greet --alias live --provisioned 5
  samovar deploy ./greet --alias live --snap-start
  samovar deploy ./greet --reserved 20
  samovar deploy ./greet --retries 0 --max-event-age 600
  arn=$(samovar deploy ./greet)

The ARN goes to stdout, everything else to stderr. An option that is not given leaves an existing
function as it is; files that have not changed are not sent again. Of a directory, .git, __pycache__
and virtual environments are left out, and what its .samovarignore names (as a .gitignore would).
Symbolic links stay links, and may not lead out of the directory.
With --publish, what is deployed then is published as a version, unless nothing has changed since
the last one; with --alias, the alias is made to stand for that version, and for no other one beside
it. The ARN is that of the version, or of the alias.
\b
--provisioned has that many contexts of the alias, or without one of the version, initialised ahead
of need, and waits until they are; an alias takes them along when it is moved. Where the init fails
again and again it ends with exit code 4, and the version is deployed all the same. With
--snap-start the init runs once, when a version is published, and each of its contexts is forked
from that process; a version has the one or the other. --reserved counts for the function, with all
its versions. What is not given stays as it is; --provisioned none, --no-snap-start and --reserved
none take away what there is. With --json ReservedConcurrentExecutions, SnapStart and
ProvisionedConcurrency (Qualifier, Status, Changed, and how many were asked for and are ready) say
what there is now.
\b
--retries, --max-event-age, --on-success and --on-failure are of asynchronous invocations: of the
alias, where one is given, else of the function as it is invoked without a qualifier.
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
@click.option(
    "--provisioned",
    callback=read_amount(1),
    metavar="N|none",
    help="with --publish or --alias: keep that many of its contexts ready; waits for them",
)
@click.option(
    "--snap-start/--no-snap-start",
    default=None,
    help="fork the contexts of versions from a process that has run the init",
)
@click.option(
    "--reserved",
    callback=read_amount(0),
    metavar="N|none",
    help="invocations at once that are this function's, and no more; 0 turns it off",
)
@click.option(
    "--retries",
    type=click.IntRange(0, 2),
    help="how often an event that failed runs again",
)
@click.option(
    "--max-event-age", type=click.IntRange(60, 21600), metavar="SECONDS", help="of its events"
)
@click.option(
    "--on-success", metavar="ARN|none", callback=read_arn, help="where records of events go then"
)
@click.option(
    "--on-failure", metavar="ARN|none", callback=read_arn, help="where records of events go then"
)
@click.option(
    "--dead-letter",
    metavar="ARN|none",
    callback=read_arn,
    help="the queue or topic that gets events which were given up",
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
    provisioned: Amount | None,
    snap_start: bool | None,
    reserved: Amount | None,
    retries: int | None,
    max_event_age: int | None,
    on_success: str | None,
    on_failure: str | None,
    dead_letter: str | None,
    dry_run: bool,
    as_json: bool,
    endpoint_url: str | None,
) -> None:
    """Create a function from SOURCE, or update it, and print its ARN.

    SOURCE is a directory, a zip, or package.module:function as Python would import it here; of a
    module all of its top-level package is deployed.
    """
    if provisioned is not None and not (publish or alias):
        raise click.UsageError(
            "--provisioned is of a version or an alias: say --publish or --alias NAME, too"
        )
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
        snap_start,
        reserved,
        dead_letter,
    )
    events = EventWishes(retries, max_event_age, on_success, on_failure)
    function = _name_of(meant, name)
    live = live_directory(meant, install=install) if watch else None
    with connected(endpoint_url) as client:
        existing = find(client, function)
        code = live or _packaged(meant, install=install, runtime=_runtime(wishes, existing))
        plan = _plan(client, function, wishes, handler=handler, code=code, existing=existing)
        if _snap_starts(wishes, existing):
            _demand_unprovisioned(client, function, alias, provisioned)
        before = existing.reserved if existing else None
        if dry_run:
            current = existing.configuration if existing else {}
            show(Told(plan, code, current, before, dry=True), as_json=as_json)
            if publish or alias:
                say(_would_publish(alias, provisioned))
            if events.parameters():
                say(f"would have its events treated so: {', '.join(events.parameters())}")
            return
        now = carry_out(client, plan, code.code)
        kept = before if plan.reserve is None else plan.reserve.count
        if publish or alias:
            published = publish_it(client, function, alias, provisioned)
        else:
            published = None
            if snap_start:
                say("SnapStart is of versions that are published: --publish, or --alias NAME")
        configure(client, function, alias, events)
        show(Told(plan, code, now, kept, published), as_json=as_json)
        if live is not None:
            follow(client, live.path, now, as_json=as_json)


def _snap_starts(wishes: Wishes, existing: Existing | None) -> bool:
    """Whether the function's next version will have SnapStart."""
    if wishes.snap_start is not None:
        return wishes.snap_start
    shown = existing.configuration.get("SnapStart", {}) if existing else {}
    return bool(shown.get("ApplyOn") == SnapStart.PUBLISHED_VERSIONS)


def _demand_unprovisioned(client: Any, name: str, alias: str | None, asked: Amount | None) -> None:
    """Raise Failure before anything is changed: the API would say it when the version is published
    already."""
    if asked is not None and asked.count is None:
        return
    if asked is None and not (alias and is_provisioned(client, name, alias)):
        return
    has = "" if asked is not None else f", which {name}:{alias} has"
    raise Failure(
        Exit.USAGE,
        f"SnapStart excludes provisioned concurrency{has}: take one of them (--no-snap-start turns "
        "the one off, --provisioned none the other)",
    )


def _would_publish(alias: str | None, provisioned: Amount | None) -> str:
    steps = ["would publish it"]
    if alias:
        steps.append(f"have {alias} stand for the version")
    if provisioned is not None:
        count = provisioned.count
        what = "nothing" if count is None else "1 context" if count == 1 else f"{count} contexts"
        steps.append(f"have {what} provisioned")
    return steps[0] if len(steps) == 1 else f"{', '.join(steps[:-1])} and {steps[-1]}"


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
        return to_update(
            name,
            wishes,
            chosen,
            sha256=code.sha256,
            current=now,
            tags=existing.tags,
            reserved=existing.reserved,
        )
    role = wishes.role
    if role is None:
        if not is_loopback(client.meta.endpoint_url):
            raise Failure(Exit.USAGE, f"a new function at {client.meta.endpoint_url} needs --role")
        # No call is made with it here, but the API wants one.
        account = Settings.__dataclass_fields__["account_id"].default
        role = DEFAULT_ROLE.format(account=account)
    return to_create(name, wishes, chosen, wishes.runtime or code.runtime or _OWN_RUNTIME, role)
