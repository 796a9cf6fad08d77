"""A queue of SQS as a poller sees it, with the rights of a function's role."""

from __future__ import annotations

import asyncio
import copy
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Self, TypeVar

from samovar.errors import ClientError
from samovar.event_sources.refusals import DENIED, explained
from samovar.model.event_source import Source
from samovar.neighbours import AsyncNeighbours, Caller
from samovar.neighbours.answers import code_of
from samovar.neighbours.queues import queue_url
from samovar.registry.mapping_texts import refused
from samovar.settings import is_loopback

_log = logging.getLogger(__name__)

T = TypeVar("T")

MOST_AT_ONCE = 10  # messages in a request (SQS)
# Seconds of a poll; SQS allows 20. Whoever disables a mapping or stops the engine waits for the
# last one, because messages that come in answer to one that was cut off are in flight, unread. Of
# an emulator on this machine even shorter ones cost nothing.
LONGEST_POLL, _NEAR_POLL = 4, 2
_REQUESTS = 10  # at once, for one batch

_NOTHING = {"MaxNumberOfMessages": 0, "VisibilityTimeout": 0}
_NO_QUEUE = frozenset(
    {"AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist", "NonExistentQueue"}
)


class Queue:
    """One queue. Methods raise what botocore does, NoEndpoint and RoleNotAssumed."""

    def __init__(
        self, neighbours: AsyncNeighbours, source: Source, caller: Callable[[], Caller]
    ) -> None:
        """`caller`: whose rights count now; what it raises, everything raises."""
        self._neighbours = neighbours
        self._source = source
        self._caller = caller
        self._known: dict[str, str] = {}  # the URL, once it is known; of all forms of this queue
        near = is_loopback(neighbours.endpoint("sqs"))
        self.longest_poll = _NEAR_POLL if near else LONGEST_POLL

    def now(self) -> Self:
        """This queue with the rights that count now, whatever becomes of them. Raises what `caller`
        does."""
        caller, found = self._caller(), copy.copy(self)
        found._caller = lambda: caller
        return found

    async def receive(
        self, most: int, wait: int, visibility: int | None = None
    ) -> Sequence[Mapping[str, Any]]:
        """Up to `most` messages (10 at most); waits up to `wait` seconds (20 at most) for one. They
        are nobody else's for `visibility` seconds, or for as long as the queue says."""
        kept = {} if visibility is None else {"VisibilityTimeout": visibility}
        reply = await self._call(
            "receive_message",
            MaxNumberOfMessages=most,
            WaitTimeSeconds=wait,
            MessageAttributeNames=["All"],
            MessageSystemAttributeNames=["All"],
            **kept,
        )
        found: Sequence[Mapping[str, Any]] = reply.get("Messages", ())
        return found

    async def delete(self, receipts: Sequence[str]) -> list[str]:
        """Delete messages by their receipt handles; those that were not deleted."""
        return await self._in_tens("delete_message_batch", receipts)

    async def give_back(self, receipts: Sequence[str]) -> list[str]:
        """Have messages be anybody's again at once; those that are not."""
        return await self._in_tens("change_message_visibility_batch", receipts, VisibilityTimeout=0)

    async def _in_tens(self, operation: str, receipts: Sequence[str], **each: Any) -> list[str]:
        """Ask for something for each message; those that it was not done for. Raises what the
        requests did, if none was answered."""
        turns = asyncio.Semaphore(_REQUESTS)

        async def ask(chunk: Sequence[str]) -> list[str]:
            entries = [
                {"Id": f"{at}", "ReceiptHandle": receipt, **each}
                for at, receipt in enumerate(chunk)
            ]
            async with turns:
                reply = await self._call(operation, Entries=entries)
            return [chunk[int(failed["Id"])] for failed in reply.get("Failed", ())]

        chunks = _tens(receipts)
        replies = await asyncio.gather(*map(ask, chunks), return_exceptions=True)
        left: list[str] = []
        errors: list[BaseException] = []
        for chunk, reply in zip(chunks, replies, strict=True):
            if isinstance(reply, BaseException):
                errors.append(reply)
                left += chunk
            else:
                left += reply
        if errors and len(errors) == len(chunks):
            raise errors[0]
        for error in errors:
            _log.debug("%s of %s: %s", operation, self._source.arn, error)
        return left

    async def visibility_timeout(self) -> int:
        """Seconds that a message is nobody else's after it was received."""
        reply = await self._call("get_queue_attributes", AttributeNames=["VisibilityTimeout"])
        return int(reply["Attributes"]["VisibilityTimeout"])

    async def demand_readable(self, timeout: int) -> None:
        """Raise ClientError, in AWS's words, unless this queue is there and its role may do what a
        poller does, and a function with this timeout (seconds) is done before messages reappear."""
        visibility = await self._try("GetQueueAttributes", self.visibility_timeout())
        # Neither takes a message: for «no messages at all» and for a handle that is none there is
        # an error of the request, which only comes after the question whether one may ask at all.
        await self._try("ReceiveMessage", self._probe("receive_message", **_NOTHING))
        await self._try("DeleteMessage", self._probe("delete_message", ReceiptHandle="none"))
        if visibility is not None and visibility < timeout:
            raise refused(
                f"Queue visibility timeout: {visibility} seconds is less than Function timeout: "
                f"{timeout} seconds"
            )

    async def _probe(self, operation: str, **given: Any) -> None:
        try:
            await self._call(operation, **given)
        except Exception as error:
            code = code_of(error)
            if not code or code in DENIED or code in _NO_QUEUE:
                raise

    async def _try(self, action: str, call: Awaitable[T]) -> T:
        def words(code: str, error: Exception) -> ClientError:
            if code in DENIED:
                return refused(
                    f"The function execution role does not have permissions to call {action} on SQS"
                )
            if code in _NO_QUEUE:
                return refused(
                    "Error occurred while ReceiveMessage. SQS Error Code: "
                    "AWS.SimpleQueueService.NonExistentQueue. SQS Error Message: The specified "
                    "queue does not exist."
                )
            return refused(
                f"Error occurred while {action}. SQS Error Code: {code or type(error).__name__}. "
                f"SQS Error Message: {error}"
            )

        return await explained(call, f"The queue {self._source.arn}", words)

    async def _call(self, operation: str, **given: Any) -> dict[str, Any]:
        return await self._neighbours.call(
            *("sqs", operation, self._caller()),
            region=self._source.region,
            QueueUrl=self._known.get("url") or await self._find_url(),
            **given,
        )

    async def _find_url(self) -> str:
        source = self._source
        url = await queue_url(
            self._neighbours, self._caller(), source.region, source.account, source.resource
        )
        if not url:
            raise OSError("what answers for SQS is none")
        self._known["url"] = url
        return url


def _tens(receipts: Sequence[str]) -> list[Sequence[str]]:
    return [receipts[at : at + MOST_AT_ONCE] for at in range(0, len(receipts), MOST_AT_ONCE)]
