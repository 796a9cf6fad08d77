"""Keys of roles, of an STS that is played over real HTTP: new ones where the old are refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.api.played import Asked, Reply, Street, as_json, on_a_street

from samovar.invocation.delivery_errors import may_pass
from samovar.neighbours import NoEndpoint, RoleNotAssumed, asynchronous, roles

QUEUE = "arn:aws:sqs:us-east-1:111111111111:q"
BUCKET = "arn:aws:s3:::bucket"
ROLE = "arn:aws:iam::111111111111:role/r"


def keys(number: int) -> Reply:
    text = f"""<AssumeRoleResponse><AssumeRoleResult><Credentials>
      <AccessKeyId>ASIA{number}</AccessKeyId><SecretAccessKey>s</SecretAccessKey>
      <SessionToken>t</SessionToken><Expiration>2999-01-01T00:00:00Z</Expiration>
    </Credentials></AssumeRoleResult></AssumeRoleResponse>"""
    return Reply(200, text.encode(), "text/xml")


class Cloud:
    """STS, SQS and S3. `knows` are the keys that it takes, `refusal` is what it says of others."""

    def __init__(self, refusal: str = "") -> None:
        self.knows: set[str] | None = None
        self.assumed = 0
        self.hangs = False
        self.refusal = refusal

    async def answer(self, asked: Asked) -> Reply:
        if asked.operation == "AssumeRole":
            if self.hangs:
                return Reply(200, b"", dribbles=True)
            self.assumed += 1
            return keys(self.assumed)
        of_s3 = asked.operation.startswith("PUT ")
        if self.knows is not None and key_of(asked) not in self.knows:
            if of_s3:
                error = f"<Error><Code>{self.refusal}</Code><Message>who?</Message></Error>"
                return Reply(403, error.encode(), "application/xml")
            return as_json({"__type": f"com.amazonaws.sqs#{self.refusal}", "message": "?"}, 403)
        if of_s3:
            return Reply(200, b"", etag=True)
        return as_json({"QueueUrl": "http://127.0.0.1:9/q", "MessageId": "m"})


def key_of(asked: Asked) -> str:
    return asked.headers["authorization"].partition("Credential=")[2].partition("/")[0]


@pytest.mark.parametrize(
    "code",
    [
        "ExpiredToken",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "InvalidToken",
        "InvalidTokenId",
        "UnrecognizedClientException",
    ],
)
@pytest.mark.parametrize("target", [QUEUE, BUCKET])
def test_keys_that_nobody_knows_any_more_are_asked_for_anew(
    target: str, code: str, tmp_path: Path
) -> None:
    cloud = Cloud(code)

    async def scene(it: Street) -> None:
        await it.send(target, role=ROLE)
        assert key_of(it.played.asked[-1]) == "ASIA1"
        cloud.knows = {"ASIA2"}  # it was started anew
        await it.send(target, role=ROLE)
        assert key_of(it.played.asked[-1]) == "ASIA2"
        assert cloud.assumed == 2

    on_a_street(cloud.answer, tmp_path, scene, "sts")


def test_an_sts_that_never_comes_to_an_end_is_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(roles, "_LIMIT", 1.0)
    cloud = Cloud()

    async def scene(it: Street) -> None:
        cloud.hangs = True
        with pytest.raises(RoleNotAssumed, match="it took longer than 1 s") as caught:
            await it.send(QUEUE, role=ROLE)
        assert may_pass(caught.value)
        cloud.hangs = False
        await it.send(QUEUE, role=ROLE)
        assert it.played.operations[-1] == "SendMessage"

    on_a_street(cloud.answer, tmp_path, scene, "sts")


def says(status: int, text: str) -> Reply:
    error = f"<ErrorResponse><Error><Code>{text}</Code></Error></ErrorResponse>"
    return Reply(status, error.encode(), "text/xml")


@pytest.mark.parametrize(
    ("reply", "passes"),
    [
        (says(403, "AccessDenied"), False),
        (says(400, "ValidationError"), False),
        (says(400, "Throttling"), True),
        (says(500, "InternalFailure"), True),
        (Reply(502, b"<html>Bad Gateway</html>", "text/html"), True),
        (Reply(200, b"<html>Back soon</html>", "text/html"), True),
        (Reply(200, b"<AssumeRoleResponse/>", "text/xml"), True),
        (Reply(200, b"tea"), True),
    ],
    ids=["denied", "not valid", "busy", "broken", "no gateway", "a page", "no keys", "no XML"],
)
def test_whether_a_role_may_be_assumed_later_goes_by_what_its_sts_said(
    reply: Reply, passes: bool, tmp_path: Path
) -> None:
    async def answer(_: Asked) -> Reply:
        return reply

    async def scene(it: Street) -> None:
        with pytest.raises(RoleNotAssumed, match="role/r could not be assumed: ") as caught:
            await it.send(QUEUE, role=ROLE)
        assert may_pass(caught.value) is passes
        assert it.played.operations == ["AssumeRole"]  # and nothing was sent without it

    on_a_street(answer, tmp_path, scene, "sts")


def test_an_sts_that_is_not_there_may_come() -> None:
    error = RoleNotAssumed("the role could not be assumed")
    error.__cause__ = ConnectionRefusedError()
    assert may_pass(error)
    error.__cause__ = NoEndpoint("sts")
    assert not may_pass(error)


def test_so_many_roles_keys_are_kept_and_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asynchronous, "_MOST_KEYS", 2)
    cloud = Cloud()

    async def scene(it: Street) -> None:
        for name in "abca":
            await it.send(BUCKET, role=ROLE + name)
        assert cloud.assumed == 4  # the first one's went meanwhile
        await it.send(BUCKET, role=f"{ROLE}c")
        assert cloud.assumed == 4

    on_a_street(cloud.answer, tmp_path, scene, "sts")
