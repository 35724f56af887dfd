"""What went wrong with the store is told by its cause and the remedy, never by an address or a credential."""

import re

import pytest
from opendal import exceptions
from tests.services.s3 import S3Server
from tests.storage.http_stub import Answer, HttpStub

from cairn.base.errors import CairnError
from cairn.base.settings import Settings
from cairn.storage.breaker import BreakerState
from cairn.storage.errors import (
    StorageCorrupt,
    StorageKeyTaken,
    StorageMisconfigured,
    StorageNotFound,
    StorageRangeOutside,
    StorageRefused,
    StorageUnavailable,
    explain,
)
from cairn.storage.storage import open_storage


async def test_a_bucket_that_does_not_exist_is_named_as_the_cause(s3_server: S3Server) -> None:
    storage = open_storage(Settings(storage_url=s3_server.storage_url("no-such-bucket")))
    with pytest.raises(StorageMisconfigured, match="no such bucket"):
        await storage.ping()


async def test_wrong_credentials_are_named_as_the_cause(s3_url: str) -> None:
    wrong = re.sub(r"secret_access_key=[^&]*", "secret_access_key=wrong", s3_url)
    storage = open_storage(Settings(storage_url=wrong))
    with pytest.raises(StorageMisconfigured, match="credentials"):
        await storage.put("k", b"x")
    assert storage.breaker_state is BreakerState.CLOSED


ADDRESS = "context: { endpoint: http://10.1.2.3:9000, authorization: AWS4 hidden-secret }"


@pytest.mark.parametrize(
    ("text", "kind", "may_help"),
    [
        (f"NotFound (permanent) at stat, {ADDRESS}", StorageNotFound, False),
        (f"RangeNotSatisfied (permanent) at read, {ADDRESS}", StorageRangeOutside, False),
        (f"PermissionDenied (permanent) at read, {ADDRESS} => status: 403 Forbidden", StorageMisconfigured, False),
        (f"ConfigInvalid (permanent) at read, {ADDRESS}", StorageMisconfigured, False),
        (f"Unsupported (permanent) at list, {ADDRESS}", StorageMisconfigured, False),
        (f"NotFound (permanent) at list, {ADDRESS} => NoSuchBucket", StorageMisconfigured, False),
        (f"Unexpected (permanent) at write, {ADDRESS} => status: 411 Length Required", StorageRefused, False),
        (f"Unexpected (temporary) at write, {ADDRESS} => status: 408 Request Timeout", StorageUnavailable, True),
        (f"Unexpected (temporary) at read, {ADDRESS} => status: 503 Slow Down", StorageUnavailable, True),
        (f"RateLimited (temporary) at read, {ADDRESS} => status: 429", StorageUnavailable, True),
        (f"Unexpected (persistent) at read, {ADDRESS} => status: 500", StorageUnavailable, False),
        (f"Unexpected (temporary) at read, {ADDRESS} => reader got too little data", StorageCorrupt, False),
        (f"something nobody has seen, {ADDRESS}", StorageUnavailable, False),
    ],
)
def test_what_the_store_said_becomes_its_cause_and_no_address(
    text: str, kind: type[CairnError], *, may_help: bool
) -> None:
    """Messages reach pages and logs: the store's address and credentials stand in OpenDAL's text."""
    explained, again = explain(exceptions.Unexpected(text), operation="get", key="a/k")
    assert type(explained) is kind
    assert again is may_help
    assert not re.search(r"10\.1\.2\.3|hidden-secret|AWS4", explained.message)


@pytest.mark.parametrize(
    ("operation", "kind"), [("put", StorageKeyTaken), ("copy", StorageKeyTaken), ("get", StorageNotFound)]
)
def test_a_folder_in_the_way_is_a_taken_key_to_writers_and_no_object_to_readers(
    operation: str, kind: type[CairnError]
) -> None:
    for error in (OSError(20, "x (os error 20)"), exceptions.IsADirectory("IsADirectory (permanent) at write")):
        assert type(explain(error, operation=operation, key="a/k")[0]) is kind


def test_a_full_disk_is_said_in_the_system_s_own_words() -> None:
    explained, _ = explain(OSError(28, "No space left on device"), operation="put", key="k")
    assert isinstance(explained, StorageUnavailable)
    assert "put: no space left on device" in explained.message
    assert explained.retry_after_seconds == 5


@pytest.mark.parametrize("status", [500, 403, 411])
async def test_no_message_of_a_real_failure_shows_address_or_credential(stub: HttpStub, status: int) -> None:
    stub.answer = lambda _: Answer(status, b"<Error><Code>Odd</Code></Error>")
    with pytest.raises(CairnError) as caught:
        await stub.storage(deadline_seconds=1).get("k", max_bytes=10)
    assert not re.search(rf"127\.0\.0\.1|{stub.port}|hidden-secret", caught.value.message)
