"""A storage address, such as CAIRN_STORAGE_URL holds, to the options of one OpenDAL service."""

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

from cairn.base.settings import Settings
from cairn.storage.errors import StorageMisconfigured

FORMS = (
    "file:///FOLDER, s3://BUCKET/PREFIX?endpoint=URL&region=R, azblob://CONTAINER/PREFIX?endpoint=URL, "
    "gdrive://FOLDER, gcs://BUCKET/PREFIX or memory://"
)


@dataclass(frozen=True, slots=True)
class Service:
    """What the query of one kind of address may say, and how OpenDAL calls it."""

    scheme: str
    container: str | None
    """OpenDAL's name of what stands where a web address has its host; None: the whole path is a folder."""
    options: tuple[str, ...]
    key_id: str | None = None
    secret: str | None = None
    required: tuple[str, ...] = ()
    fixed: tuple[tuple[str, str], ...] = ()


SERVICES = {
    "s3": Service(
        "s3",
        "bucket",
        ("endpoint", "region", "access_key_id", "secret_access_key", "session_token", "addressing", "checksum",
         "server_side_encryption"),
        key_id="access_key_id",
        secret="secret_access_key",  # noqa: S106 the option's name
        required=("access_key_id", "secret_access_key"),
        # Only what the operator wrote counts: no files of other tools, no question to a cloud's metadata address.
        fixed=(("disable_config_load", "true"), ("disable_ec2_metadata", "true")),
    ),
    "azblob": Service(
        "azblob",
        "container",
        ("endpoint", "account_name", "account_key", "sas_token"),
        key_id="account_name",
        secret="account_key",  # noqa: S106 the option's name
        required=("endpoint",),
    ),
    "gcs": Service(
        "gcs",
        "bucket",
        ("endpoint", "credential", "credential_path", "token"),
        secret="credential",  # noqa: S106 the option's name
        fixed=(("disable_config_load", "true"), ("disable_vm_metadata", "true")),
    ),
    "gdrive": Service(
        "gdrive",
        None,
        ("access_token", "refresh_token", "client_id", "client_secret"),
        key_id="client_id",
        secret="client_secret",  # noqa: S106 the option's name
    ),
}  # fmt: skip
_SHOWN_OPTIONS = {"endpoint", "region", "addressing", "checksum", "credential_path", "server_side_encryption"}
_CHECKSUMS = ("crc32c", "md5", "none")
_ADDRESSINGS = ("path", "virtual")
_DEFAULT_REGION = "us-east-1"


@dataclass(frozen=True, slots=True)
class Address:
    """A storage address that can be opened. ``label`` is for logs and start-up messages; it holds no secret."""

    scheme: str
    options: dict[str, str]
    label: str
    folder: Path | None = None
    """The folder of local storage, absolute; None for every other kind."""

    @property
    def is_remote(self) -> bool:
        """True where calls travel and may be lost: only there retries and the breaker make sense."""
        return self.scheme in SERVICES


OWN_VARIABLE = "CAIRN_STORAGE_URL"


@dataclass(frozen=True, slots=True)
class StorageUrl:
    """An address as the operator wrote it, the variable that holds it, and credentials given in other variables."""

    value: str
    variable: str = OWN_VARIABLE
    access_key_id: str = ""
    secret_access_key: str = ""

    def wrong(self, what: str) -> StorageMisconfigured:
        """Return the error that names the variable, its value without secrets, and ``what`` is the matter."""
        return StorageMisconfigured(f"{self.variable}={masked(self.value)!r}: {what}")


def parse_address(settings: Settings) -> Address:
    """Return what ``CAIRN_STORAGE_URL`` names; StorageMisconfigured shows the value with its secrets masked."""
    return parse_url(
        StorageUrl(
            settings.effective_storage_url,
            access_key_id=settings.storage_access_key_id,
            secret_access_key=settings.storage_secret_access_key,
        )
    )


def parse_url(url: StorageUrl) -> Address:
    """Return what an address names; StorageMisconfigured shows it with its secrets masked."""
    scheme, separator, rest = url.value.partition("://")
    if separator and scheme == "file":
        return _local(url, rest)
    if separator and scheme == "memory":
        if rest:
            raise url.wrong("memory:// takes nothing more")
        return Address("memory", {}, "memory")
    if not separator or scheme not in SERVICES:
        raise url.wrong(f"is none of {FORMS}")
    return _remote(url, SERVICES[scheme])


def masked(url: str) -> str:
    """Return the address with the value of every option that may be secret replaced."""
    head, _, query = url.partition("?")
    scheme, separator, rest = head.partition("://")
    if "@" in rest:
        rest = f"***@{rest.rpartition('@')[2]}"
    pairs = parse_qsl(query, keep_blank_values=True)
    shown = "&".join(f"{name}={value if name in _SHOWN_OPTIONS else '***'}" for name, value in pairs)
    return f"{scheme}{separator}{rest}" + (f"?{shown}" if query else "")


def _local(url: StorageUrl, path: str) -> Address:
    # The folder is taken as written, without percent decoding: a path with a space or a '#' is a path.
    if not path.startswith("/") or path.strip("/") == "":
        raise url.wrong("wants an absolute folder: file:///FOLDER")
    folder = Path(path)
    return Address("fs", {}, f"folder {str(folder)!r}", folder)


def _remote(url: StorageUrl, service: Service) -> Address:
    parts = urlsplit(url.value)
    if "@" in parts.netloc:
        raise url.wrong("wants credentials as options or in CAIRN_STORAGE_ACCESS_KEY_ID and …_SECRET_ACCESS_KEY")
    given = _options_of(url, parts.query, service)
    options = {**dict(service.fixed), **_credentials(service, url), **given}
    options = {name: value for name, value in options.items() if value}
    name = unquote(parts.netloc)
    root = unquote(parts.path)
    if service.container is None:
        root, name = f"/{name}{root}", name or "/"
    elif not name:
        raise url.wrong(f"names no {service.container}: {service.scheme}://{service.container.upper()}")
    else:
        options[service.container] = name
    if ".." in root.split("/"):
        raise url.wrong("may not have '..' in its prefix")
    for required in service.required:
        if required not in options:
            raise url.wrong(f"wants the option {required}{_also_variable(url, service, required)}")
    options["root"] = f"/{root.strip('/')}"
    if service.scheme == "s3":
        _settle_s3(url, options)
    return Address(service.scheme, options, f"{service.scheme} {service.container or 'folder'} {name!r}")


def _options_of(url: StorageUrl, query: str, service: Service) -> dict[str, str]:
    given: dict[str, str] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name not in service.options:
            raise url.wrong(f"has the unknown option {name!r}; {service.scheme} knows {', '.join(service.options)}")
        if name in given:
            raise url.wrong(f"has the option {name!r} twice")
        if not value:
            raise url.wrong(f"has the option {name!r} without a value")
        given[name] = value
    if "endpoint" in given and not given["endpoint"].startswith(("http://", "https://")):
        raise url.wrong("has an endpoint that is not http://HOST or https://HOST")
    return given


def _credentials(service: Service, url: StorageUrl) -> dict[str, str]:
    found = {service.key_id: url.access_key_id, service.secret: url.secret_access_key}
    return {name: value for name, value in found.items() if name and value}


def _settle_s3(url: StorageUrl, options: dict[str, str]) -> None:
    """Turn our words into OpenDAL's: path style wherever an endpoint is given, crc32c unless told otherwise."""
    checksum = options.pop("checksum", "crc32c")
    if checksum not in _CHECKSUMS:
        raise url.wrong(f"has checksum={checksum}; allowed are {', '.join(_CHECKSUMS)}")
    if checksum != "none":
        options["checksum_algorithm"] = checksum
    addressing = options.pop("addressing", "path" if "endpoint" in options else "virtual")
    if addressing not in _ADDRESSINGS:
        raise url.wrong(f"has addressing={addressing}; allowed are {', '.join(_ADDRESSINGS)}")
    if addressing == "virtual":
        options["enable_virtual_host_style"] = "true"
    options.setdefault("region", _DEFAULT_REGION)
    options.setdefault("endpoint", f"https://s3.{options['region']}.amazonaws.com")


def _also_variable(url: StorageUrl, service: Service, option: str) -> str:
    if url.variable != OWN_VARIABLE:
        return ""
    variables = {service.key_id: "CAIRN_STORAGE_ACCESS_KEY_ID", service.secret: "CAIRN_STORAGE_SECRET_ACCESS_KEY"}
    return f" or the variable {variables[option]}" if option in variables else ""
