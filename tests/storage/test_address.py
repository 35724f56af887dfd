"""CAIRN_STORAGE_URL: what opens, what is refused, and that no message shows a secret."""

from pathlib import Path
from urllib.parse import quote

import pytest

from cairn.base.settings import Settings
from cairn.storage.address import masked, parse_address
from cairn.storage.errors import StorageMisconfigured
from cairn.storage.storage import open_storage

S3 = "s3://bucket/some/prefix?endpoint=http://s3.example:9000&region=eu-1&access_key_id=AKID&secret_access_key=hush"


def test_every_documented_form_opens(tmp_path: Path) -> None:
    azure = "azblob://container/p?endpoint=https://a.example&account_name=me&account_key=aGFsbG8="
    for url in (
        f"file://{tmp_path}/with space#and%20more?",
        "memory://",
        S3,
        azure,
        "gcs://bucket/prefix?token=t",
        "gdrive://Team/Folder?access_token=t",
    ):
        assert open_storage(Settings(storage_url=url)).label


def test_a_folder_is_taken_as_written(tmp_path: Path) -> None:
    address = parse_address(Settings(storage_url=f"file://{tmp_path}/a b#c%20?d"))
    assert address.folder == tmp_path / "a b#c%20?d"


def test_without_a_setting_the_data_folder_holds_the_objects(tmp_path: Path) -> None:
    address = parse_address(Settings(data_dir=tmp_path / "data"))
    assert address.folder == tmp_path / "data/storage"
    assert not address.is_remote


def test_an_s3_address_becomes_options_that_depend_on_nothing_else() -> None:
    options = parse_address(Settings(storage_url=S3)).options
    assert options == {
        "bucket": "bucket",
        "root": "/some/prefix",
        "endpoint": "http://s3.example:9000",
        "region": "eu-1",
        "access_key_id": "AKID",
        "secret_access_key": "hush",
        "checksum_algorithm": "crc32c",
        "disable_config_load": "true",
        "disable_ec2_metadata": "true",
    }


def test_without_an_endpoint_buckets_are_addressed_by_host() -> None:
    url = "s3://bucket?region=eu-central-1&access_key_id=a&secret_access_key=b"
    options = parse_address(Settings(storage_url=url)).options
    assert options["endpoint"] == "https://s3.eu-central-1.amazonaws.com"
    assert options["enable_virtual_host_style"] == "true"
    assert "enable_virtual_host_style" not in parse_address(Settings(storage_url=f"{url}&addressing=path")).options


def test_credentials_may_come_from_the_variables() -> None:
    settings = Settings(
        storage_url="s3://bucket?endpoint=http://h", storage_access_key_id="id", storage_secret_access_key="secret"
    )
    options = parse_address(settings).options
    assert (options["access_key_id"], options["secret_access_key"]) == ("id", "secret")


def test_options_are_decoded_once() -> None:
    url = f"s3://b?endpoint=http://h&access_key_id=a&secret_access_key={quote('a+b/c=%41', safe='')}"
    assert parse_address(Settings(storage_url=url)).options["secret_access_key"] == "a+b/c=%41"


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("/just/a/path", "is none of"),
        ("ftp://host/x", "is none of"),
        ("s3:bucket", "is none of"),
        ("file://relative/path", "absolute folder"),
        ("file:///", "absolute folder"),
        ("memory://x", "takes nothing more"),
        ("s3://?access_key_id=a&secret_access_key=b", "names no bucket"),
        ("s3://bucket", "access_key_id or the variable CAIRN_STORAGE_ACCESS_KEY_ID"),
        ("s3://bucket?access_key_id=a", "secret_access_key or the variable CAIRN_STORAGE_SECRET_ACCESS_KEY"),
        ("s3://bucket?acces_key_id=a", "unknown option 'acces_key_id'"),
        ("s3://bucket?region=a&region=b", "'region' twice"),
        ("s3://bucket?region=", "'region' without a value"),
        ("s3://bucket?endpoint=host:9000", "endpoint that is not"),
        ("s3://user:hush@bucket", "wants credentials"),
        ("s3://bucket/a/../b?access_key_id=a&secret_access_key=b", "'..'"),
        ("s3://bucket?checksum=sha1&access_key_id=a&secret_access_key=b", "allowed are crc32c, md5, none"),
        ("s3://bucket?addressing=x&access_key_id=a&secret_access_key=b", "allowed are path, virtual"),
        ("azblob://container?account_name=a", "option endpoint"),
    ],
)
def test_a_wrong_address_is_named_with_the_reason(url: str, reason: str) -> None:
    with pytest.raises(StorageMisconfigured) as raised:
        parse_address(Settings(storage_url=url))
    assert reason in raised.value.message
    assert "CAIRN_STORAGE_URL=" in raised.value.message


@pytest.mark.parametrize(
    "url",
    [
        "s3://b?access_key_id=hush&secret_access_key=hush&session_token=hush&typo=hush",
        "s3://hush:hush@b",
        "azblob://c?account_key=hush&sas_token=hush",
        "gdrive://f?access_token=hush&refresh_token=hush&client_secret=hush&what=1",
        "nonsense://hush@x?password=hush",
        "gcs://b?credential=hush&extra=1",
    ],
)
def test_no_message_shows_a_secret(url: str) -> None:
    assert "hush" not in masked(url)
    with pytest.raises(StorageMisconfigured) as raised:
        parse_address(Settings(storage_url=url))
    assert "hush" not in raised.value.message


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageMisconfigured, match="cannot be made"):
        open_storage(Settings(storage_url=f"file://{tmp_path}/file/store"))
