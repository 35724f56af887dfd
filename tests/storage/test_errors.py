"""What went wrong with the store is told by its cause and the remedy, never by an address or a credential."""

import re

import pytest
from tests.services.s3 import S3Server

from cairn.base.settings import Settings
from cairn.storage.breaker import BreakerState
from cairn.storage.errors import StorageMisconfigured
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
