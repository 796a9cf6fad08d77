"""Resource policies through boto3: every parameter, and every recorded text."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from tests.api.house import ARN, House, RawClient, request, run

S3 = {
    "FunctionName": "f",
    "StatementId": "s1",
    "Action": "lambda:InvokeFunction",
    "Principal": "s3.amazonaws.com",
}


def written(sid: str = "s1", principal: str = '{"Service":"s3.amazonaws.com"}') -> str:
    return (
        f'{{"Sid":"{sid}","Effect":"Allow","Principal":{principal},'
        f'"Action":"lambda:InvokeFunction","Resource":"{ARN}f"}}'
    )


def test_add_get_and_remove(tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        await it.active()
        revisions = [(await it.call("get_function_configuration", FunctionName="f"))["RevisionId"]]
        added = await it.call("add_permission", **S3)
        assert added["ResponseMetadata"]["HTTPStatusCode"] == 201
        assert added["Statement"] == written()
        again = await it.call("add_permission", **{**S3, "StatementId": "s2", "Principal": "*"})
        assert again["Statement"] == written("s2", '"*"')
        found = await it.call("get_policy", FunctionName=ARN + "f")
        assert found["Policy"] == (
            '{"Version":"2012-10-17","Id":"default","Statement":['
            f"{written()},{written('s2', chr(34) + '*' + chr(34))}]}}"
        )
        shown = await it.call("get_function_configuration", FunctionName="f")
        assert found["RevisionId"] == shown["RevisionId"]
        revisions.append(shown["RevisionId"])
        removed = await it.call("remove_permission", FunctionName="f", StatementId="s1")
        assert removed["ResponseMetadata"]["HTTPStatusCode"] == 204
        found = await it.call("get_policy", FunctionName="f")
        revisions.append(found["RevisionId"])
        assert [item["Sid"] for item in json.loads(found["Policy"])["Statement"]] == ["s2"]
        assert len(set(revisions)) == 3
        await it.call("remove_permission", FunctionName="f", StatementId="s2")
        assert await it.refused("get_policy", FunctionName="f") == (
            404,
            "ResourceNotFoundException",
            "The resource you requested does not exist.",
        )

    run(tmp_path, scene)


@pytest.mark.parametrize(
    ("asked", "principal", "condition"),
    [
        ({"Principal": "*"}, "*", None),
        ({"Principal": "123456789012"}, {"AWS": "arn:aws:iam::123456789012:root"}, None),
        (
            {"Principal": "arn:aws:iam::123456789012:user/u"},
            {"AWS": "arn:aws:iam::123456789012:user/u"},
            None,
        ),
        (
            {"SourceArn": "arn:aws:s3:::b"},
            {"Service": "s3.amazonaws.com"},
            {"ArnLike": {"AWS:SourceArn": "arn:aws:s3:::b"}},
        ),
        (
            {"SourceAccount": "123456789012"},
            {"Service": "s3.amazonaws.com"},
            {"StringEquals": {"AWS:SourceAccount": "123456789012"}},
        ),
        (
            {"Principal": "*", "PrincipalOrgID": "o-0123456789"},
            "*",
            {"StringEquals": {"aws:PrincipalOrgID": "o-0123456789"}},
        ),
        (
            {"Principal": "alexa-appkit.amazon.com", "EventSourceToken": "amzn1.ask.skill.1"},
            {"Service": "alexa-appkit.amazon.com"},
            {"StringEquals": {"lambda:EventSourceToken": "amzn1.ask.skill.1"}},
        ),
        (
            {
                "Principal": "*",
                "Action": "lambda:InvokeFunctionUrl",
                "FunctionUrlAuthType": "AWS_IAM",
            },
            "*",
            {"StringEquals": {"lambda:FunctionUrlAuthType": "AWS_IAM"}},
        ),
        (
            {"Principal": "*", "InvokedViaFunctionUrl": True},
            "*",
            {"Bool": {"lambda:InvokedViaFunctionUrl": "true"}},
        ),
        ({"Action": "lambda:*"}, {"Service": "s3.amazonaws.com"}, None),
        ({"Action": "*"}, {"Service": "s3.amazonaws.com"}, None),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_what_a_statement_is_made_of(
    tmp_path: Path, asked: dict[str, Any], principal: object, condition: object
) -> None:
    async def scene(it: House) -> None:
        await it.active()
        given = {**S3, **asked}
        statement = (await it.call("add_permission", **given))["Statement"]
        expected = {
            "Sid": "s1",
            "Effect": "Allow",
            "Principal": principal,
            "Action": given["Action"],
            "Resource": ARN + "f",
        }
        if condition is not None:
            expected["Condition"] = condition
        # Texts, so that the order of the keys counts, too.
        assert statement == json.dumps(expected, separators=(",", ":"))
        policy = json.loads((await it.call("get_policy", FunctionName="f"))["Policy"])
        assert policy["Statement"] == [expected]

    run(tmp_path, scene)


def test_what_is_refused(tmp_path: Path) -> None:
    wrong = (
        412,
        "PreconditionFailedException",
        "The Revision Id provided does not match the latest Revision Id. Call the GetPolicy API "
        "to retrieve the latest Revision Id",
    )
    missing = 404, "ResourceNotFoundException"
    invalid = 400, "InvalidParameterValueException"

    async def scene(it: House) -> None:
        await it.active()
        add, remove = "add_permission", "remove_permission"
        nothing = {"FunctionName": "f", "StatementId": "s1"}
        for method, params, told in (
            (
                remove,
                nothing,
                (*missing, "No policy is associated with the given resource."),
            ),
            (
                "get_policy",
                {"FunctionName": "f"},
                (*missing, "The resource you requested does not exist."),
            ),
            (add, {**S3, "RevisionId": "x"}, wrong),
            (
                add,
                {**S3, "Qualifier": "$LATEST"},
                (*invalid, "We currently do not support adding policies for $LATEST."),
            ),
            (
                add,
                {**S3, "FunctionName": "f:$LATEST"},
                (*invalid, "We currently do not support adding policies for $LATEST."),
            ),
            (add, {**S3, "Qualifier": "1"}, (*missing, f"Function not found: {ARN}f:1")),
            (add, {**S3, "FunctionName": "f:prod"}, (*missing, f"Function not found: {ARN}f:prod")),
            (add, {**S3, "FunctionName": "g"}, (*missing, f"Function not found: {ARN}g")),
            ("get_policy", {"FunctionName": "g"}, (*missing, f"Function not found: {ARN}g")),
            (
                "get_policy",
                {"FunctionName": "f", "Qualifier": "$LATEST"},
                (*missing, "The resource you requested does not exist."),
            ),
            (remove, {**nothing, "FunctionName": "g"}, (*missing, f"Function not found: {ARN}g")),
            (
                add,
                {**S3, "Principal": "somebody"},
                (
                    *invalid,
                    "The provided principal was invalid. Please check the principal and try again.",
                ),
            ),
            (
                add,
                {**S3, "FunctionUrlAuthType": "NONE"},
                (
                    *invalid,
                    "FunctionUrlAuthType is only supported for lambda:InvokeFunctionUrl action",
                ),
            ),
        ):
            assert await it.refused(method, **params) == told
        assert (await it.refused("get_policy", FunctionName="f"))[0] == 404  # nothing was written
        await it.call(add, **S3)
        for method, params, told in (
            (
                add,
                {**S3, "Principal": "*"},
                (
                    409,
                    "ResourceConflictException",
                    "The statement id (s1) provided already exists. Please provide a new statement "
                    "id, or remove the existing statement.",
                ),
            ),
            (
                remove,
                {**nothing, "StatementId": "s2"},
                (*missing, "Statement s2 is not found in resource policy."),
            ),
            (remove, {**nothing, "RevisionId": "x"}, wrong),
        ):
            assert await it.refused(method, **params) == told
        revision = (await it.call("get_policy", FunctionName="f"))["RevisionId"]
        await it.call(add, **{**S3, "StatementId": "s2", "RevisionId": revision})
        assert await it.refused(remove, **nothing, RevisionId=revision) == wrong
        revision = (await it.call("get_policy", FunctionName="f"))["RevisionId"]
        await it.call(remove, **nothing, RevisionId=revision)

    run(tmp_path, scene)


def test_a_policy_has_room_for_20_kb(tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        await it.active()
        arn = "arn:aws:s3:::" + "b" * 5000
        for number in range(3):
            await it.call("add_permission", **{**S3, "StatementId": f"{number}", "SourceArn": arn})
        policy = (await it.call("get_policy", FunctionName="f"))["Policy"]
        status, code, message = await it.refused("add_permission", **S3, SourceArn=arn)
        assert (status, code) == (400, "PolicyLengthExceededException")
        assert message.endswith("is bigger than the limit (20480).")
        assert (await it.call("get_policy", FunctionName="f"))["Policy"] == policy

    run(tmp_path, scene)


def test_how_the_errors_spell_their_message(tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        await it.active()
        path = "/2015-03-31/functions/f/policy"
        body = json.dumps({**S3, "FunctionName": None}).encode()
        async with RawClient.to(it.port) as client:
            for sent, code, keys in (
                (request("GET", path), "ResourceNotFoundException", {"Type", "Message"}),
                (request("POST", path, body), None, {"Statement"}),
                (request("POST", path, body), "ResourceConflictException", {"Type", "message"}),
                (
                    request("DELETE", f"{path}/s1?RevisionId=x"),
                    "PreconditionFailedException",
                    {"Type", "message"},
                ),
            ):
                await client.send(sent)
                reply = await client.reply()
                assert reply.headers.get("x-amzn-errortype") == code
                assert set(reply.json) == keys
                assert reply.json.get("Type", "User") == "User"

    run(tmp_path, scene)


def test_nothing_is_lost_of_what_is_added_at_once(tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        await it.active()
        sids = [f"s{number}" for number in range(50)]
        await asyncio.gather(
            *(it.call("add_permission", **{**S3, "StatementId": sid}) for sid in sids)
        )
        policy = json.loads((await it.call("get_policy", FunctionName="f"))["Policy"])
        assert sorted(item["Sid"] for item in policy["Statement"]) == sorted(sids)

    run(tmp_path, scene)
