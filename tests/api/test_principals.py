"""Keys that have names: what boto3 may do with each, on every way in."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError as Refused
from tests.api.house import ARN, SESSION, House, RawClient, package, run
from tests.api.requests import least
from tests.signing import sign

from samovar.doors.http.access_keys import AccessKey
from samovar.doors.http.authorization import Authorizer
from samovar.doors.http.key_names import action_of
from samovar.doors.http.operations import OPERATIONS
from samovar.doors.http.sigv4 import Verifier
from samovar.errors import AWS, ClientError
from samovar.model.access import Caller, root_arn

OWN, OTHER = "000000000000", "111122223333"
IAM = f"arn:aws:iam::{OTHER}:"
REGION = "us-east-1"
LAYER = f"arn:aws:lambda:{REGION}:{OWN}:layer:x"
INVOKE = "lambda:InvokeFunction"


def key(name: str, arn: str | None = None, *allow: str, **more: Any) -> AccessKey:
    """A key of somebody; without `allow` whoever that is may do all."""
    caller = arn and Caller(arn.split(":")[4], arn, allow or None, **more)
    return AccessKey(f"AKID{name}", f"secret of {name}", caller=caller or None)


OWNER = key("OWNER")
OWN_ROOT = key("OWNROOT", root_arn(OWN))
OWN_ROLE = key("OWNROLE", f"arn:aws:iam::{OWN}:role/admin")
CALLING = key("CALLING", f"arn:aws:iam::{OWN}:user/calling", INVOKE, "lambda:GetFunction*")
UNABLE = key("UNABLE", f"arn:aws:iam::{OWN}:user/unable", "samovar:Operate")
THEIRS = key("THEIRS", root_arn(OTHER))
USER = key("USER", f"{IAM}user/ann", organization="o-1234567890")
SESSION_KEY = key("SESSION", f"arn:aws:sts::{OTHER}:assumed-role/reader/monday")
BOUND = key("BOUND", f"{IAM}user/bound", INVOKE)
KEYS = {
    one.id: one for one in (OWNER, OWN_ROOT, OWN_ROLE, CALLING, THEIRS, USER, SESSION_KEY, BOUND)
}

Scene = Callable[[House], Awaitable[None]]


def client(it: House, which: AccessKey) -> Any:
    return SESSION.client(
        "lambda",
        endpoint_url=it.url,
        region_name=REGION,
        aws_access_key_id=which.id,
        aws_secret_access_key=which.secret,
        config=Config(retries={"total_max_attempts": 1}),
    )


def play(data_dir: Path, scene: Scene) -> None:
    """A scene with the function `f`; the house's client is the owner's."""

    async def with_key(it: House) -> None:
        it.client.close()
        it.client = client(it, OWNER)
        await it.active()
        await scene(it)

    run(data_dir, with_key, verifier=Verifier(KEYS, REGION, time.time))


async def ask(it: House, which: AccessKey, method: str, **params: Any) -> tuple[int, str]:
    """Status of what a key's owner asks for, and «» or the message of the error."""

    def call() -> tuple[int, str]:
        asking = client(it, which)
        try:
            reply = getattr(asking, method)(**params)
            if "Payload" in reply:
                reply["Payload"].read()
            return reply["ResponseMetadata"]["HTTPStatusCode"], ""
        except Refused as error:
            told = error.response
            status = told["ResponseMetadata"]["HTTPStatusCode"]
            if status == 403:
                assert told["Error"]["Code"] == "AccessDeniedException"
            return status, told["Error"]["Message"]
        finally:
            asking.close()

    return await asyncio.to_thread(call)


def denied(which: AccessKey, action: str, resource: str, policy: str) -> tuple[int, str]:
    assert which.caller is not None
    return 403, (
        f"User: {which.caller.arn} is not authorized to perform: {action} on resource: {resource} "
        f"because no {policy}-based policy allows the {action} action"
    )


async def grant(it: House, principal: str, action: str = INVOKE, **more: Any) -> None:
    sid = f"s{time.monotonic_ns()}"
    params = {"FunctionName": "f", "Principal": principal, "Action": action, **more}
    await it.call("add_permission", StatementId=sid, **params)


@pytest.mark.parametrize("which", [OWN_ROOT, OWN_ROLE], ids=["root", "role"])
def test_the_accounts_own_may_do_everything(tmp_path: Path, which: AccessKey) -> None:
    async def scene(it: House) -> None:
        assert await ask(it, which, "invoke", FunctionName="f") == (200, "")
        assert await ask(it, which, "list_functions") == (200, "")
        assert await ask(it, which, "delete_function", FunctionName="f") == (204, "")

    play(tmp_path, scene)


def test_a_list_of_actions_is_all_that_its_key_may_do(tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        for name in ("f", f"{ARN}f", "f:$LATEST"):
            assert await ask(it, CALLING, "invoke", FunctionName=name) == (200, "")
        kind = {"FunctionName": "f", "InvocationType": "Event"}
        assert await ask(it, CALLING, "invoke", **kind) == (202, "")
        assert await ask(it, CALLING, "get_function", FunctionName="f") == (200, "")
        assert await ask(it, CALLING, "get_function_configuration", FunctionName="f") == (200, "")
        for method, action, resource, params in (
            ("list_functions", "ListFunctions", "*", {}),
            ("list_layers", "ListLayers", "*", {}),
            ("get_account_settings", "GetAccountSettings", "*", {}),
            ("delete_function", "DeleteFunction", f"{ARN}f", {"FunctionName": "f"}),
            ("get_policy", "GetPolicy", f"{ARN}f:1", {"FunctionName": "f", "Qualifier": "1"}),
            ("list_event_source_mappings", "ListEventSourceMappings", "*", {}),
            ("list_tags", "ListTags", f"{ARN}f", {"Resource": f"{ARN}f"}),
            ("list_layer_versions", "ListLayerVersions", LAYER, {"LayerName": "x"}),
            (
                "delete_layer_version",
                "DeleteLayerVersion",
                f"{LAYER}:1",
                {"LayerName": "x", "VersionNumber": 1},
            ),
            (
                "invoke_async",
                "InvokeAsync",
                f"{ARN}f",
                {"FunctionName": "f", "InvokeArgs": b"{}"},
            ),
        ):
            wanted = denied(CALLING, f"lambda:{action}", resource, "identity")
            assert await ask(it, CALLING, method, **params) == wanted
        assert (await it.call("get_function", FunctionName="f"))["Configuration"]

    play(tmp_path, scene)


def test_within_an_account_a_policy_that_names_a_key_is_enough(tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        wanted = denied(CALLING, "lambda:DeleteFunction", f"{ARN}f", "identity")
        await grant(it, OWN, "lambda:DeleteFunction")  # leaves it to the account's own policies
        assert await ask(it, CALLING, "delete_function", FunctionName="f") == wanted
        assert CALLING.caller is not None
        await grant(it, CALLING.caller.arn, "lambda:DeleteFunction")
        assert await ask(it, CALLING, "delete_function", FunctionName="f") == (204, "")

    play(tmp_path, scene)


@pytest.mark.parametrize("method", ["invoke", "invoke_with_response_stream", "get_function"])
@pytest.mark.parametrize(
    ("principal", "let_in"),
    [
        ("*", [THEIRS, USER, SESSION_KEY]),
        (OTHER, [THEIRS, USER, SESSION_KEY]),
        (root_arn(OTHER), [THEIRS, USER, SESSION_KEY]),
        (f"{IAM}user/ann", [USER]),
        (f"{IAM}role/reader", [SESSION_KEY]),
        (f"arn:aws:sts::{OTHER}:assumed-role/reader/monday", [SESSION_KEY]),
        (f"{IAM}role/other", []),
        ("444455556666", []),
        ("s3.amazonaws.com", []),
    ],
)
def test_other_accounts_need_a_statement(
    tmp_path: Path, method: str, principal: str, let_in: list[AccessKey]
) -> None:
    action = "lambda:GetFunction" if method == "get_function" else INVOKE

    async def scene(it: House) -> None:
        everyone = [THEIRS, USER, SESSION_KEY]
        for which in everyone:
            wanted = denied(which, action, f"{ARN}f", "resource")
            assert await ask(it, which, method, FunctionName=f"{ARN}f") == wanted
        await grant(it, principal, action)
        for which in everyone:
            told = await ask(it, which, method, FunctionName=f"{ARN}f")
            wanted = denied(which, action, f"{ARN}f", "resource")
            assert told == ((200, "") if which in let_in else wanted), which

    play(tmp_path, scene)


def test_what_a_direct_call_can_not_fulfil_lets_nobody_in(tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        wanted = denied(USER, INVOKE, f"{ARN}f", "resource")
        await grant(it, "*", SourceArn="arn:aws:s3:::*")
        await grant(it, "*", SourceAccount=OTHER)
        await grant(it, "*", EventSourceToken="t")
        await grant(it, "*", PrincipalOrgID="o-0987654321")
        await grant(it, "*", "lambda:InvokeFunctionUrl", FunctionUrlAuthType="NONE")
        await grant(it, "*", InvokedViaFunctionUrl=True)
        assert await ask(it, USER, "invoke", FunctionName=f"{ARN}f") == wanted
        await grant(it, "*", PrincipalOrgID="o-1234567890")
        assert await ask(it, USER, "invoke", FunctionName=f"{ARN}f") == (200, "")
        wanted = denied(THEIRS, INVOKE, f"{ARN}f", "resource")
        assert await ask(it, THEIRS, "invoke", FunctionName=f"{ARN}f") == wanted

    play(tmp_path, scene)


def test_a_policy_counts_for_its_qualifier_alone(tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        await it.call("publish_version", FunctionName="f")
        await it.engine.registry.wait_settled("f")
        await it.call("create_alias", FunctionName="f", Name="prod", FunctionVersion="1")
        await grant(it, OTHER, "lambda:*", Qualifier="prod")
        assert await ask(it, USER, "invoke", FunctionName=f"{ARN}f:prod") == (200, "")
        named = {"FunctionName": f"{ARN}f", "Qualifier": "prod"}
        assert await ask(it, USER, "invoke", **named) == (200, "")
        assert await ask(it, USER, "get_function", **named) == (200, "")
        for name in ("f", "f:1", "f:$LATEST"):
            wanted = denied(USER, INVOKE, ARN + name, "resource")
            assert await ask(it, USER, "invoke", FunctionName=ARN + name) == wanted
            kind = {"FunctionName": ARN + name, "InvocationType": "Event"}
            assert await ask(it, USER, "invoke", **kind) == wanted
            dry = {"FunctionName": ARN + name, "InvocationType": "DryRun"}
            for method in ("invoke", "invoke_with_response_stream"):
                assert await ask(it, USER, method, **dry) == wanted
        # What is done to the whole function is not the alias's to allow.
        for method, action, more in (
            ("update_function_code", "UpdateFunctionCode", {"ZipFile": package()}),
            ("list_aliases", "ListAliases", {}),
            ("delete_alias", "DeleteAlias", {"Name": "prod"}),
        ):
            wanted = denied(USER, f"lambda:{action}", f"{ARN}f", "resource")
            name = {"FunctionName": f"{ARN}f:prod"}
            assert await ask(it, USER, method, **name, **more) == wanted

    play(tmp_path, scene)


def test_what_no_policy_is_about_is_closed_to_other_accounts(tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        await grant(it, "*", "*")
        create = {"Runtime": "python3.12", "Role": f"{IAM}role/r", "Handler": "app.handler"}
        create["Code"] = {"ZipFile": package()}  # type: ignore[assignment]
        source = {"EventSourceArn": f"arn:aws:sqs:{REGION}:{OTHER}:q"}
        for method, action, resource, params in (
            ("list_functions", "ListFunctions", "*", {}),
            ("get_account_settings", "GetAccountSettings", "*", {}),
            ("create_function", "CreateFunction", f"{ARN}f", {"FunctionName": "f", **create}),
            (
                "create_event_source_mapping",
                "CreateEventSourceMapping",
                f"{ARN}f",
                {"FunctionName": f"{ARN}f", **source},
            ),
        ):
            wanted = denied(USER, f"lambda:{action}", resource, "resource")
            assert await ask(it, USER, method, **params) == wanted
        wanted = denied(USER, INVOKE, f"{ARN}nobody", "resource")  # nor is told what there is
        assert await ask(it, USER, "invoke", FunctionName=f"{ARN}nobody") == wanted
        # A name alone is one of the caller's own account.
        for method in ("invoke", "invoke_with_response_stream", "get_function"):
            status, said = await ask(it, USER, method, FunctionName="f")
            assert status == 404
            assert said.startswith(
                f"Function not found: arn:aws:lambda:{REGION}:{OTHER}:function:f."
            )
        assert await ask(it, USER, "invoke", FunctionName=f"{OWN}:function:f") == (200, "")
        tags = {"Resource": f"{ARN}f", "Tags": {"a": "b"}}
        assert (await ask(it, USER, "tag_resource", **tags))[0] == 204

    play(tmp_path, scene)


def test_a_list_of_actions_bounds_what_another_account_is_allowed(tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        await grant(it, OTHER, "*")
        assert await ask(it, BOUND, "invoke", FunctionName=f"{ARN}f") == (200, "")
        wanted = denied(BOUND, "lambda:GetFunction", f"{ARN}f", "identity")
        assert await ask(it, BOUND, "get_function", FunctionName=f"{ARN}f") == wanted

    play(tmp_path, scene)


def test_layers_are_shared_by_version(tmp_path: Path) -> None:
    get = "lambda:GetLayerVersion"

    async def scene(it: House) -> None:
        for _ in range(2):
            zipped = {"ZipFile": package()}
            await it.call("publish_layer_version", LayerName="x", Content=zipped)
        one = {"LayerName": LAYER, "VersionNumber": 1}
        wanted = denied(USER, get, f"{LAYER}:1", "resource")
        assert await ask(it, USER, "get_layer_version", **one) == wanted
        permission = {"StatementId": "s", "Action": get, "Principal": OTHER}
        await it.call("add_layer_version_permission", **{**one, **permission})
        assert await ask(it, USER, "get_layer_version", **one) == (200, "")
        assert await ask(it, USER, "get_layer_version_by_arn", Arn=f"{LAYER}:1") == (200, "")
        wanted = denied(USER, get, f"{LAYER}:2", "resource")
        assert await ask(it, USER, "get_layer_version_by_arn", Arn=f"{LAYER}:2") == wanted
        wanted = denied(USER, "lambda:ListLayerVersions", LAYER, "resource")
        assert await ask(it, USER, "list_layer_versions", LayerName=LAYER) == wanted
        wanted = denied(USER, "lambda:DeleteLayerVersion", f"{LAYER}:1", "resource")
        assert await ask(it, USER, "delete_layer_version", **one) == wanted
        bare = {"LayerName": "x", "VersionNumber": 1}
        assert (await ask(it, USER, "get_layer_version", **bare))[0] == 404
        # Whoever gives a function a layer must be allowed to have it.
        await grant(it, OTHER, "lambda:UpdateFunctionConfiguration")
        update = "update_function_configuration"
        name = f"{ARN}f"
        wanted = denied(USER, get, f"{LAYER}:2", "resource")
        layers = [f"{LAYER}:1", f"{LAYER}:2"]
        assert await ask(it, USER, update, FunctionName=name, Layers=layers) == wanted
        assert await ask(it, USER, update, FunctionName=name, Layers=layers[:1]) == (200, "")

    play(tmp_path, scene)


@pytest.mark.parametrize(
    ("end", "chunked"),
    [("", False), ("", True), ("/", False)],
    ids=["shortest way", "app", "a slash too many"],
)
def test_nobody_is_let_in_before_the_body_is_verified(
    tmp_path: Path, end: str, chunked: bool
) -> None:
    async def scene(it: House) -> None:
        path = f"/2015-03-31/functions/{ARN}f/invocations{end}"
        wire = sign("POST", it.url + path, b'{"a":1}', key=USER, region=REGION)
        wire = wire.with_header("host", f"127.0.0.1:{it.port}")
        for body, code in (
            (b'{"a":2}', "InvalidSignatureException"),
            (b'{"a":1}', "AccessDeniedException"),
        ):
            headers = dict(wire.headers)
            sent = body
            if chunked:
                headers.pop("content-length", None)
                headers["transfer-encoding"] = "chunked"
                sent = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
            else:
                headers["content-length"] = str(len(body))
            lines = [f"POST {path} HTTP/1.1", *(f"{k}: {v}" for k, v in headers.items())]
            async with RawClient.to(it.port) as raw:
                await raw.send(("\r\n".join(lines) + "\r\n\r\n").encode() + sent)
                reply = await raw.reply()
            assert reply.status == 403
            assert reply.headers["x-amzn-errortype"] == code

    play(tmp_path, scene)


@pytest.mark.parametrize(
    ("which", "status"),
    [(OWNER, 200), (OWN_ROLE, 200), (CALLING, 403), (THEIRS, 403)],
    ids=["no name", "role", "list of actions", "another account"],
)
def test_the_engines_pages(tmp_path: Path, which: AccessKey, status: int) -> None:
    async def scene(it: House) -> None:
        wire = sign("GET", f"{it.url}/_samovar/events", b"", key=which, region=REGION)
        lines = [f"GET {wire.path} HTTP/1.1", *(f"{k}: {v}" for k, v in wire.headers)]
        async with RawClient.to(it.port) as raw:
            await raw.send(("\r\n".join(lines) + "\r\n\r\n").encode())
            reply = await raw.reply()
        assert reply.status == status
        if status == 403:
            assert "samovar:Operate on resource: /_samovar/events" in json.dumps(reply.json)

    play(tmp_path, scene)


@pytest.mark.parametrize("which", [UNABLE, THEIRS], ids=["no action", "another account"])
def test_no_operation_is_forgotten(tmp_path: Path, which: AccessKey) -> None:
    """Whatever the API model has: nobody may do it whom nothing allows it, and those may whose
    list has just its action."""

    async def scene(it: House) -> None:
        authorizer = Authorizer(it.engine.registry, REGION, OWN)
        caller = which.caller
        assert caller is not None
        for operation in OPERATIONS:
            params = least(operation)
            for name, arn in (("FunctionName", f"{ARN}f"), ("LayerName", LAYER)):
                if name in params:
                    params[name] = arn
            if operation == "GetLayerVersionByArn":
                params["Arn"] = f"{LAYER}:1"
            if operation in ("TagResource", "UntagResource", "ListTags"):
                params["Resource"] = f"{ARN}f"
            with pytest.raises(ClientError) as caught:
                authorizer.demand(caller, operation, params)
            assert caught.value.error is AWS.ACCESS_DENIED
            assert f"to perform: {action_of(operation)} on" in str(caught.value)
            if caller.account == OWN:
                authorizer.demand(replace(caller, allow=(action_of(operation),)), operation, params)

    play(tmp_path, scene)
