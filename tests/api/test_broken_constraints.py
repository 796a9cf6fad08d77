"""Broken constraints through boto3: AWS's sentence with all of them, and what is told otherwise."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.api.house import ARN, ROLE, House, RawClient, request, run

from samovar.doors.http.api_model import service_model
from samovar.model.arn import QUALIFIED_PATTERN, UNQUALIFIED_PATTERN

FAILED = "failed to satisfy constraint: "
QUALIFIER = r"\$(LATEST(\.PUBLISHED)?)|[a-zA-Z0-9-_$]+"
CREATE = {
    "FunctionName": "f",
    "Runtime": "python3.12",
    "Role": ROLE,
    "Handler": "app.handler",
    "Code": {"ZipFile": b"x"},
}


def told(*violations: str) -> tuple[int, str, str]:
    plural = "error" if len(violations) == 1 else "errors"
    text = f"{len(violations)} validation {plural} detected: {'; '.join(violations)}"
    return 400, "ValidationException", text


def shape(name: str, key: str) -> Any:
    return service_model().shape_for(name).metadata[key]


@pytest.mark.parametrize(
    ("method", "params", "violations"),
    [
        (
            "create_function",
            {**CREATE, "FunctionName": "a b", "Timeout": 0, "MemorySize": 99999, "Handler": "h h"},
            [
                f"Value 'a b' at 'functionName' {FAILED}Member must satisfy regular expression "
                f"pattern: {UNQUALIFIED_PATTERN}",
                f"Value 'h h' at 'handler' {FAILED}Member must satisfy regular expression "
                r"pattern: [^\s]+",
                f"Value '0' at 'timeout' {FAILED}Member must have value greater than or equal to 1",
                f"Value '99999' at 'memorySize' {FAILED}Member must have value less than or equal "
                "to 10240",
            ],
        ),
        (
            "create_function",
            {},
            [
                f"Value null at '{member}' {FAILED}Member must not be null"
                for member in ("functionName", "role", "code")
            ],
        ),
        (
            "create_function",
            {
                **CREATE,
                "Layers": [""],
                "LoggingConfig": {"LogGroup": "", "LogFormat": "XML"},
                "Tags": {"#": "v"},
            },
            [
                f"Value '{{#=v}}' at 'tags' {FAILED}Map keys must satisfy constraint: [Member must "
                "have length less than or equal to 128, Member must have length greater than or "
                "equal to 1, Member must satisfy regular expression pattern: "
                r"([\p{L}\p{Z}\p{N}_.:/=+\-@]*), Member must not be null]",
                f"Value '[]' at 'layers' {FAILED}Member must satisfy constraint: [Member must have "
                "length less than or equal to 2048, Member must have length greater than or equal "
                "to 1, Member must satisfy regular expression pattern: "
                f"{shape('LayerVersionArn', 'pattern')}, Member must not be null]",
                f"Value 'XML' at 'loggingConfig.logFormat' {FAILED}Member must satisfy enum value "
                "set: [JSON, Text]",
                f"Value '' at 'loggingConfig.logGroup' {FAILED}Member must have length greater "
                "than or equal to 1",
                f"Value '' at 'loggingConfig.logGroup' {FAILED}Member must satisfy regular "
                r"expression pattern: [\.\-_/#A-Za-z0-9]+",
            ],
        ),
        (
            "get_function",
            {"FunctionName": "a b", "Qualifier": "x y"},
            [
                f"Value 'a b' at 'functionName' {FAILED}Member must satisfy regular expression "
                f"pattern: {QUALIFIED_PATTERN}",
                f"Value 'x y' at 'qualifier' {FAILED}Member must satisfy regular expression "
                f"pattern: {QUALIFIER}",
            ],
        ),
        (
            "get_function_configuration",
            {"FunctionName": "f:" + "q" * 300},
            [
                f"Value 'f:{'q' * 300}' at 'functionName' {FAILED}Member must have length less "
                "than or equal to 256"
            ],
        ),
        (
            "delete_function",
            {"FunctionName": "f:" + "1" * 139},
            [
                f"Value 'f:{'1' * 139}' at 'functionName' {FAILED}Member must have length less "
                "than or equal to 140"
            ],
        ),
        (
            "update_function_configuration",
            {"FunctionName": "f:" + "1" * 139, "Timeout": 901, "Description": "d" * 257},
            [
                f"Value 'f:{'1' * 139}' at 'functionName' {FAILED}Member must have length less "
                "than or equal to 140",
                f"Value '{'d' * 257}' at 'description' {FAILED}Member must have length less than "
                "or equal to 256",
                f"Value '901' at 'timeout' {FAILED}Member must have value less than or equal to "
                "900",
            ],
        ),
        (
            "list_functions",
            {"MaxItems": 10001, "FunctionVersion": "SOME", "MasterRegion": "here"},
            [
                f"Value 'here' at 'masterRegion' {FAILED}Member must satisfy regular expression "
                f"pattern: {shape('MasterRegion', 'pattern')}",
                f"Value 'SOME' at 'functionVersion' {FAILED}Member must satisfy enum value set: "
                "[ALL]",
                f"Value '10001' at 'maxItems' {FAILED}Member must have value less than or equal to "
                "10000",
            ],
        ),
        (
            "tag_resource",
            {"Resource": "f"},
            [
                f"Value 'f' at 'resource' {FAILED}Member must satisfy regular expression pattern: "
                f"{shape('TaggableResource', 'pattern')}",
                f"Value null at 'tags' {FAILED}Member must not be null",
            ],
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_all_that_is_broken_is_told_at_once(
    tmp_path: Path, method: str, params: dict[str, Any], violations: list[str]
) -> None:
    async def scene(it: House) -> None:
        assert await it.refused(method, **params) == told(*violations)

    run(tmp_path, scene)


def test_what_has_a_code_of_its_own(tmp_path: Path) -> None:
    """AWS tells these as InvalidParameterValueException, in words that look alike."""
    known = ", ".join(shape("Runtime", "enum"))
    length = f"at 'functionName' {FAILED}Member must have length less than or equal to 64"

    async def scene(it: House) -> None:
        await it.active()
        for name in ("n" * 65, "n" * 141):
            refused = await it.refused("create_function", **{**CREATE, "FunctionName": name})
            message = f"1 validation error detected: Value '{name}' {length}"
            assert refused == (400, "InvalidParameterValueException", message)
        runtime = f"Value cobol at 'runtime' {FAILED}Member must satisfy enum value set: [{known}]"
        for method, params in (
            ("create_function", {**CREATE, "FunctionName": "g", "Runtime": "cobol"}),
            ("update_function_configuration", {"FunctionName": "f", "Runtime": "cobol"}),
        ):
            refused = await it.refused(method, **params)
            message = f"{runtime} or be a valid ARN"
            assert refused == (400, "InvalidParameterValueException", message)
        # A name of 65 in a longer reference is a constraint like any other.
        name = "n" * 65
        refused = await it.refused("get_function", FunctionName=ARN + name)
        assert refused == told(f"Value '{name}' {length}")

    run(tmp_path, scene)


def test_the_body_of_a_broken_constraint_has_no_type(tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        async with RawClient.to(it.port) as client:
            await client.send(request("GET", "/2015-03-31/functions?MaxItems=0"))
            reply = await client.reply()
        assert reply.headers["x-amzn-errortype"] == "ValidationException"
        assert reply.json == {
            "message": told(
                f"Value '0' at 'maxItems' {FAILED}Member must have value greater than or equal to 1"
            )[2]
        }

    run(tmp_path, scene)


def test_what_environments_may_not_hold(tmp_path: Path) -> None:
    cant = (
        "Lambda was unable to configure your environment variables because the environment "
        "variables you have provided "
    )
    long = {"KEY": "v" * 4087}
    measured = '{"KEY":"' + "v" * 4087 + '"}'

    def refusal(message: str) -> tuple[int, str, str]:
        return 400, "InvalidParameterValueException", cant + message

    reserved = (
        "contains reserved keys that are currently not supported for modification. "
        "Reserved keys used in this request: "
    )
    # This reserved one breaks the model's pattern before anybody looks at its name.
    keys = told(
        f"Value at 'environment.variables' {FAILED}Map keys must satisfy constraint: [Member must "
        "satisfy regular expression pattern: [a-zA-Z]([a-zA-Z0-9_])+, Member must not be null]"
    )

    async def scene(it: House) -> None:
        await it.active()
        for variables, expected in (
            ({"_HANDLER": "x.y"}, keys),
            ({"AWS_SESSION_TOKEN": "x"}, refusal(f"{reserved}AWS_SESSION_TOKEN")),
            (
                {"AWS_REGION": "x", "OK": "y", "LAMBDA_TASK_ROOT": "/"},
                refusal(f"{reserved}AWS_REGION, LAMBDA_TASK_ROOT"),
            ),
            (long, refusal(f"exceeded the 4KB limit. String measured: {measured}")),
        ):
            environment = {"Variables": variables}
            params = {**CREATE, "FunctionName": "g", "Environment": environment}
            assert await it.refused("create_function", **params) == expected
            refused = await it.refused(
                "update_function_configuration", FunctionName="f", Environment=environment
            )
            assert refused == expected
        await it.create("fits", Environment={"Variables": {"KEY": "v" * 4086}})

    run(tmp_path, scene)
