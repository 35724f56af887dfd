"""Settings: environment variables, typed and checked before anything starts.

Each field of ``Settings`` is one variable, ``CAIRN_`` and the field's name in capitals; its description is the
documentation (``docs/reference/settings.md`` is generated from here). A secret may be given as a file with ``…_FILE``.
"""

import difflib
import ipaddress
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import msgspec
import msgspec.inspect
from msgspec import Meta

from cairn.base.errors import Misconfigured

PREFIX = "CAIRN_"
SECRET_KEY_CHARACTERS_MIN = 32
PORT_MAX = 65535
_BYTE_UNITS = {"": 1, "kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30, "tib": 1 << 40}
_BYTE_UNITS_SHOWN = {"TiB": 1 << 40, "GiB": 1 << 30, "MiB": 1 << 20, "KiB": 1 << 10, "bytes": 1}

KIB = 1 << 10
MIB = 1 << 20
GIB = 1 << 30

FORMS_FOLDER = "forms"

Bytes = Annotated[int, Meta(ge=0, extra_json_schema={"unit": "bytes"})]
Seconds = Annotated[int, Meta(ge=0, extra_json_schema={"unit": "seconds"})]
Count = Annotated[int, Meta(ge=1)]
Secret = Annotated[str, Meta(extra_json_schema={"secret": True})]
CommaList = Annotated[tuple[str, ...], Meta(extra_json_schema={"list": True})]


class SettingInvalid(Misconfigured):
    """An environment variable has a value Cairn cannot use; the message names it and what is allowed."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything an operator can say. Paths and URLs left empty follow ``data_dir``."""

    data_dir: Annotated[
        Path,
        Meta(description="Folder for everything kept on this machine; the only one to back up in an embedded install."),
    ] = Path("cairn-data")
    database_url: Annotated[
        Secret,
        Meta(
            description="`sqlite:///FILE`, `postgresql://USER:PASSWORD@HOST/NAME` or `mysql://USER:PASSWORD@HOST/NAME` "
            "(MariaDB too). Empty: SQLite in the data folder."
        ),
    ] = ""
    database_pool_size: Annotated[
        Count, Meta(description="Connections one program keeps open to the database server.")
    ] = 10
    redis_url: Annotated[
        Secret, Meta(description="`redis://HOST:PORT/N`. Empty: the database and the process do its work, later.")
    ] = ""
    storage_url: Annotated[
        Secret,
        Meta(
            description="`file:///FOLDER`, `s3://BUCKET/PREFIX?endpoint=URL&region=R`, "
            "`azblob://CONTAINER?endpoint=URL`, `gdrive://FOLDER`, `gcs://BUCKET`, `memory://` (tests). Credentials as "
            "query parameters or in the variables below. Empty: a folder in the data folder. "
            "Google Drive and GCS are not tested yet."
        ),
    ] = ""
    storage_access_key_id: Annotated[Secret, Meta(description="Access key id of the object store.")] = ""
    storage_secret_access_key: Annotated[Secret, Meta(description="Secret access key of the object store.")] = ""
    storage_fallback_url: Annotated[
        Secret,
        Meta(
            description="A second store, in the same form with its credentials in the query, that is only read: where "
            "the first has no such object or does not answer. For moving to another store. Empty: none."
        ),
    ] = ""
    storage_deadline_seconds: Annotated[
        int,
        Meta(
            ge=1,
            extra_json_schema={"unit": "seconds"},
            description="How long one call to the object store may take, its retries included; "
            "a transfer gets a second more for each MiB.",
        ),
    ] = 10
    backup_url: Annotated[
        Secret,
        Meta(
            description="Where backups go: an address like that of the object store, with its credentials in the "
            "query, on another disk or in another bucket. Empty: no backups are made."
        ),
    ] = ""
    backup_every_seconds: Annotated[
        Seconds, Meta(description="How often the worker makes a backup. 0: only `cairnd backup create` does.")
    ] = 86400
    deleted_kept_days: Annotated[
        Count, Meta(description="A deleted repository can be restored for this many days; then it is gone for good.")
    ] = 14
    backup_keep_count: Annotated[Count, Meta(description="So many of the newest backups are always kept.")] = 7
    backup_keep_days: Annotated[Count, Meta(description="Backups younger than this many days are kept too.")] = 30
    backup_pin_seconds: Annotated[
        Seconds,
        Meta(
            description="How long after a backup the object store keeps every pack that the backup names, so that its "
            "database alone can be put back at once."
        ),
    ] = 2 * 86400
    backup_transfers: Annotated[Count, Meta(description="Objects that a backup or a restore moves at a time.")] = 4
    backup_bytes_per_second: Annotated[
        Bytes, Meta(description="What a backup or a restore moves in a second at most. 0: as much as it can.")
    ] = 0
    backup_drill_every_seconds: Annotated[
        Seconds,
        Meta(
            description="How often the worker restores the newest backup to a scratch place and examines it. 0: never."
        ),
    ] = 7 * 86400

    cache_dir: Annotated[
        Path, Meta(description="The node's cache: may be deleted at any moment. Empty: `cache` in the data folder.")
    ] = Path()
    cache_max_bytes: Annotated[
        Bytes, Meta(description="How much the node's cache may hold before the oldest goes.")
    ] = 20 * GIB
    fetch_cache_max_age_seconds: Annotated[
        Seconds, Meta(description="Cached fetch answers in the object store older than this are deleted.")
    ] = 14 * 86400

    http_address: Annotated[str, Meta(description="Where the web program listens, `HOST:PORT`.")] = "127.0.0.1:3000"
    ssh_address: Annotated[str, Meta(description="Where the SSH program listens, `HOST:PORT`.")] = "127.0.0.1:2222"
    external_url: Annotated[
        str,
        Meta(
            description="The address people and clients use, scheme, host and port; every link carries it. "
            "Empty: `http://` and the HTTP address."
        ),
    ] = ""
    ssh_external_address: Annotated[
        str,
        Meta(description="`HOST:PORT` shown in SSH clone addresses. Empty: the external URL's host and the SSH port."),
    ] = ""
    web_workers: Annotated[Count, Meta(description="Processes that answer HTTP on this node.")] = 1
    tls_certificate: Annotated[Path, Meta(description="PEM certificate chain; with it the web program speaks TLS.")] = (
        Path()
    )
    tls_key: Annotated[Path, Meta(description="PEM PKCS#8 key of the certificate.")] = Path()
    trusted_proxies: Annotated[
        CommaList,
        Meta(description="Peer addresses or networks whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed."),
    ] = ()
    egress_allow: Annotated[
        CommaList,
        Meta(
            description="Hosts (`git.corp.example`, `*.corp.example`) and networks (`10.0.0.0/8`) beyond the public "
            "internet that imports, mirrors and web hooks may reach. Empty: none."
        ),
    ] = ()
    imports: Annotated[
        Literal["on", "off"], Meta(description="Whether people may import repositories from other servers.")
    ] = "on"
    imports_per_person: Annotated[
        Count, Meta(description="Imports that one person may have under way at the same time.")
    ] = 3
    mirrors: Annotated[
        Literal["on", "off"],
        Meta(description="Whether repositories may follow other servers' and be followed by them. `off`: none syncs."),
    ] = "on"
    mirror_minutes_min: Annotated[
        Count, Meta(description="Shortest time between two syncs of a mirror by schedule, in minutes.")
    ] = 10
    egress_ca_certificate: Annotated[
        Path,
        Meta(
            description="PEM file of the authorities that sign the certificates of the hosts Cairn connects to. Empty: "
            "the system's."
        ),
    ] = Path()
    drain_seconds: Annotated[
        Seconds, Meta(description="How long a stopping program lets running requests and clones finish.")
    ] = 30

    secret_key: Annotated[
        Secret,
        Meta(
            description="At least 32 characters; encrypts secrets at rest and signs cookies and links. "
            "The same on every node. Empty: made once and kept in the data folder (SQLite only)."
        ),
    ] = ""
    secret_keys_old: Annotated[
        tuple[str, ...],
        Meta(
            description="Secret keys of before, which still open what they sealed, until `cairnd admin rotate-keys` "
            "has sealed everything anew.",
            extra_json_schema={"list": True, "secret": True},
        ),
    ] = ()
    registration: Annotated[Literal["open", "invite", "closed"], Meta(description="Who may sign up.")] = "open"
    push_transports: Annotated[CommaList, Meta(description="Doors that accept pushes: `http`, `ssh` or both.")] = (
        "http",
        "ssh",
    )
    token_lifetime_max_days: Annotated[
        int,
        Meta(
            ge=0,
            description="Personal tokens live at most this many days; one that was made to live longer is refused. 0 "
            "sets no bound.",
        ),
    ] = 0
    session_days: Annotated[Count, Meta(description="A sign-in lasts this many days without use.")] = 30
    sudo_minutes: Annotated[
        Count,
        Meta(description="Dangerous changes on pages ask for the password again this many minutes after it was given."),
    ] = 60

    smtp_host: Annotated[
        str, Meta(description="The mail server. Empty: mails are not sent, administrators read them at `/admin/mail`.")
    ] = ""
    smtp_port: Annotated[int, Meta(ge=1, le=PORT_MAX, description="The mail server's port.")] = 587
    smtp_security: Annotated[
        Literal["starttls", "tls", "none"],
        Meta(
            description="`starttls` demands it after connecting, `tls` speaks TLS from the first byte (port 465), "
            "`none` sends in the clear and never a password."
        ),
    ] = "starttls"
    smtp_ca_certificate: Annotated[
        Path,
        Meta(description="PEM file of the authority that signed the mail server's certificate. Empty: the system's."),
    ] = Path()
    smtp_username: Annotated[str, Meta(description="The name to log in with at the mail server. Empty: no login.")] = ""
    smtp_password: Annotated[Secret, Meta(description="The password to log in with at the mail server.")] = ""
    smtp_deadline_seconds: Annotated[
        int,
        Meta(ge=1, extra_json_schema={"unit": "seconds"}, description="How long handing over one mail may take."),
    ] = 30
    mail_from: Annotated[
        str,
        Meta(
            description="Who mails are from, `NAME <ADDRESS>` or an address. Empty: `cairn@` the external URL's host."
        ),
    ] = ""
    mail_retention_days: Annotated[
        Count, Meta(description="Mails, sent or not, are forgotten after this many days.")
    ] = 7
    audit_retention_days: Annotated[
        int,
        Meta(
            ge=0,
            description="Sealed entries of the audit log older than this many days are deleted; their seals stay. "
            "0 keeps every entry.",
        ),
    ] = 1095

    max_push_bytes: Annotated[Bytes, Meta(description="Largest pack one push may send.")] = 100 * MIB
    max_push_objects: Annotated[Count, Meta(description="Most objects one push may send.")] = 50_000
    max_first_push_bytes: Annotated[Bytes, Meta(description="Largest pack of a push into an empty repository.")] = (
        10 * GIB
    )
    max_first_push_objects: Annotated[Count, Meta(description="Most objects of a push into an empty repository.")] = (
        10_000_000
    )
    max_import_bytes: Annotated[Bytes, Meta(description="Largest pack of an import.")] = 50 * GIB
    max_import_objects: Annotated[Count, Meta(description="Most objects of an import.")] = 50_000_000
    max_delta_depth: Annotated[Count, Meta(description="Longest chain of deltas in a pushed pack.")] = 100
    max_file_bytes: Annotated[Bytes, Meta(description="Largest single file (blob) in a push.")] = 100 * MIB
    max_lfs_object_bytes: Annotated[
        Bytes, Meta(description="Largest single object of Git LFS; 0: what the object store takes, 80 GiB.")
    ] = 0
    max_lfs_repository_bytes: Annotated[
        Bytes, Meta(description="Bytes that the LFS objects of one repository may have together; 0: no limit.")
    ] = 0
    max_lfs_owner_bytes: Annotated[
        Bytes,
        Meta(description="Bytes that the LFS objects of all repositories of one owner may have together; 0: no limit."),
    ] = 0
    downloads: Annotated[
        Literal["direct", "through"],
        Meta(
            description="`direct`: clients get LFS objects, files of releases and kept archives by signed addresses "
            "from the object store, where it has them and clients can reach it. `through`: always from the web program."
        ),
    ] = "direct"
    max_archive_bytes: Annotated[
        Bytes, Meta(description="Largest archive (zip, tar) of a revision, and the most its files may have together.")
    ] = 4 * GIB
    max_archive_entries: Annotated[Count, Meta(description="Most files and folders of an archive.")] = 500_000
    archive_seconds: Annotated[Seconds, Meta(description="How long making one archive may take.")] = 900
    max_release_asset_bytes: Annotated[Bytes, Meta(description="Largest single file of a release.")] = 2 * GIB
    max_release_assets: Annotated[Count, Meta(description="Most files of one release.")] = 1_000
    max_release_repository_bytes: Annotated[
        Bytes, Meta(description="Bytes of the files of all releases of one repository together; 0: no limit.")
    ] = 0
    max_push_refs: Annotated[Count, Meta(description="Most refs one push may change.")] = 10_000
    max_ref_name_bytes: Annotated[
        int, Meta(ge=20, le=1000, description="Longest ref name in bytes; the database keeps at most 1,000.")
    ] = 255
    max_request_bytes: Annotated[
        Bytes, Meta(description="Largest inflated git request without its pack: wants, haves and commands.")
    ] = 32 * MIB
    max_body_bytes: Annotated[Bytes, Meta(description="Largest body of a page form or an API request.")] = 10 * MIB
    body_deadline_seconds: Annotated[
        Seconds,
        Meta(
            description="The head of a request must arrive within this time, its body within the same plus one second "
            "per 16 KiB."
        ),
    ] = 15
    max_git_children: Annotated[
        Count, Meta(description="Git processes one program runs at the same time; the rest waits.")
    ] = 16
    max_git_packing: Annotated[
        Count,
        Meta(
            description="How many of them may gather the answer to a fetch, which takes a core and some hundred MiB "
            "each; twice the cores is enough."
        ),
    ] = 4
    git_deadline_seconds: Annotated[Seconds, Meta(description="Wall clock limit of one git process.")] = 3600
    search_seconds: Annotated[
        Seconds,
        Meta(
            description="How long one search through the files of a repository may take; what it has found until then "
            "is shown."
        ),
    ] = 10
    git_queue_seconds: Annotated[
        Seconds, Meta(description="How long a git operation waits for a free place before it is told to come back.")
    ] = 30
    send_grace_seconds: Annotated[
        int,
        Meta(
            ge=1,
            extra_json_schema={"unit": "seconds"},
            description="An answer must be taken within this time plus one second per 4 KiB; then the connection is "
            "closed.",
        ),
    ] = 60
    http_connections_per_address: Annotated[
        Count,
        Meta(
            description="HTTP connections from one address at the same time, trusted proxies excepted; beyond it those "
            "that did nothing for the longest time are closed."
        ),
    ] = 256
    http_max_connections: Annotated[Count, Meta(description="HTTP connections of one program at the same time.")] = 2000
    hooks_dir: Annotated[
        Path,
        Meta(
            description="Folder of the operator's own executables `pre-receive`, `update` and `post-receive`, run at "
            "each push; outside every repository. Empty: none."
        ),
    ] = Path()
    hook_seconds: Annotated[Seconds, Meta(description="Time limit of one such executable.")] = 30
    ssh_login_seconds: Annotated[
        Seconds, Meta(description="An SSH connection must be authenticated within this time.")
    ] = 15
    ssh_socket: Annotated[
        Path,
        Meta(
            description="Unix socket at which the SSH program takes over sessions of your own sshd "
            "(`cairnd ssh-authorized-keys`, `cairnd ssh-serve`). Empty: none."
        ),
    ] = Path()
    ssh_connections_per_address: Annotated[
        Count, Meta(description="SSH connections from one address at the same time.")
    ] = 64
    ssh_max_connections: Annotated[Count, Meta(description="SSH connections of one program at the same time.")] = 1000

    rate_api_per_hour: Annotated[
        int, Meta(ge=0, description="API requests in any hour for each token or account; 0: no limit.")
    ] = 15_000
    rate_api_anonymous_per_hour: Annotated[
        int, Meta(ge=0, description="API requests in any hour for each address that is not signed in; 0: no limit.")
    ] = 3_000
    rate_pages_per_minute: Annotated[
        int, Meta(ge=0, description="Pages in any minute for each account or address; 0: no limit.")
    ] = 6_000
    rate_git_per_minute: Annotated[
        int,
        Meta(
            ge=0,
            description="Git requests a minute for each token, account or address, all at once if need be; then one "
            "at a time at that pace; 0: no limit. A fetch has three.",
        ),
    ] = 6_000

    rate_search_per_minute: Annotated[
        int, Meta(ge=0, description="Searches over the API a minute for each token or account; 0: no limit.")
    ] = 60
    rate_search_anonymous_per_minute: Annotated[
        int, Meta(ge=0, description="The same for each address that is not signed in; 0: no limit.")
    ] = 20
    rate_costly_per_minute: Annotated[
        int,
        Meta(
            ge=0,
            description="Points for costly pages and operations a minute for each token or account, all at once if "
            "need be; then one at a time at that pace; 0: no limit. A history, blame or comparison is one point, a "
            "search or an archive two.",
        ),
    ] = 1_200
    rate_costly_anonymous_per_minute: Annotated[
        int, Meta(ge=0, description="The same for each address that is not signed in; 0: no limit.")
    ] = 240
    costly_anonymous_at_once: Annotated[
        Count,
        Meta(
            description="Points of costly work that one web program does at the same time for all together who are not "
            "signed in, crawlers above all; the rest waits a moment and is then asked to come back."
        ),
    ] = 4
    crawlers: Annotated[
        Literal["welcome", "refused"],
        Meta(
            description="What /robots.txt tells search engines: that public pages are welcome, save those without end; "
            "or that nothing is."
        ),
    ] = "welcome"

    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], Meta(description="Least severe line that is logged.")
    ] = "info"
    log_format: Annotated[
        Literal["json", "plain"], Meta(description="One JSON object a line, or text for a terminal.")
    ] = "json"
    fail_points: Annotated[
        CommaList, Meta(description="Crash tests only: `STEP=kill|pause|error[@N]`. Empty in every real install.")
    ] = ()

    def __post_init__(self) -> None:
        unknown = sorted(set(self.push_transports) - {"http", "ssh"})
        if unknown or not self.push_transports:
            raise _refused("push_transports", ",".join(self.push_transports), "wants http, ssh or both")
        for name, keys in (("secret_key", (self.secret_key,)), ("secret_keys_old", self.secret_keys_old)):
            short = [len(key) for key in keys if key and len(key) < SECRET_KEY_CHARACTERS_MIN]
            if short:
                raise SettingInvalid(
                    f"{variable(name)}: has {short[0]} characters, wants at least {SECRET_KEY_CHARACTERS_MIN}"
                )
        for name in ("http_address", "ssh_address", "ssh_external_address"):
            value = getattr(self, name)
            if value and not _is_address(value):
                raise _refused(name, value, "wants HOST:PORT, for IPv6 [HOST]:PORT, with a port up to 65535")
        if self.external_url and not re.fullmatch(r"https?://[^/?#@\s]+", self.external_url):
            raise _refused("external_url", self.external_url, "wants http(s)://HOST[:PORT] without a path")
        if (self.tls_certificate == Path()) != (self.tls_key == Path()):
            raise SettingInvalid(
                f"{variable('tls_certificate')} and {variable('tls_key')}: want both to be set, or neither"
            )
        self._check_mail()
        for peer in self.trusted_proxies:
            if not _is_network(peer):
                raise _refused("trusted_proxies", peer, "wants addresses or networks such as 10.0.0.0/8")
        for entry in self.egress_allow:
            if not _is_network(entry) and not _is_host_pattern(entry):
                raise _refused("egress_allow", entry, "wants networks such as 10.0.0.0/8 and hosts such as *.corp")

    def _check_mail(self) -> None:
        if self.smtp_host and not re.fullmatch(r"[^\s/@]+", self.smtp_host):
            raise _refused("smtp_host", self.smtp_host, "wants a host's name or address, without a port")
        if self.smtp_username and self.smtp_security == "none":
            raise _refused("smtp_security", "none", "wants starttls or tls where a password is sent")
        if bool(self.smtp_username) != bool(self.smtp_password):
            raise SettingInvalid(
                f"{variable('smtp_username')} and {variable('smtp_password')}: want both to be set, or neither"
            )
        if self.mail_from and not re.fullmatch(
            r"[^\x00-\x1f\x7f<>@]*<[^\s<>@]+@[^\s<>@]+>|[^\s<>@]+@[^\s<>@]+", self.mail_from
        ):
            raise _refused("mail_from", self.mail_from, "wants NAME <ADDRESS> or an address")

    def __repr__(self) -> str:
        """Show every field, secrets as dots: a log line or a traceback may hold this."""
        shown = {
            name: "••••" if getattr(self, name) and "secret" in annotations_of(name) else getattr(self, name)
            for name in self.__struct_fields__
        }
        return f"Settings({', '.join(f'{name}={value!r}' for name, value in shown.items())})"

    @property
    def origin(self) -> str:
        """Scheme, host and port that every link carries, without a slash at the end."""
        scheme = "https" if self.tls_certificate != Path() else "http"
        return self.external_url or f"{scheme}://{self.http_address}"

    @property
    def host(self) -> str:
        """The host people know the site by, without a port."""
        host = self.origin.split("://", 1)[1]
        return host if host.endswith("]") else host.rsplit(":", 1)[0]

    @property
    def sender(self) -> str:
        """Who mails are from."""
        return self.mail_from or f"Cairn <cairn@{self.host}>"

    @property
    def ssh_origin(self) -> str:
        """What every SSH clone address starts with, ``ssh://git@HOST[:PORT]``, without a slash at the end."""
        host, _, port = (self.ssh_external_address or self.ssh_address).rpartition(":")
        if not self.ssh_external_address:
            host = self.host
        return f"ssh://git@{host}" if port == "22" else f"ssh://git@{host}:{port}"

    @property
    def cache_path(self) -> Path:
        """The node's cache folder."""
        return self.cache_dir if self.cache_dir != Path() else self.data_dir / "cache"

    @property
    def forms_path(self) -> Path:
        """Where files that came with forms wait for their form to be answered: a folder of the node's cache."""
        return self.cache_path / FORMS_FOLDER

    @property
    def effective_database_url(self) -> str:
        """The database URL with the embedded default filled in."""
        return self.database_url or f"sqlite:///{(self.data_dir / 'cairn.db').absolute()}"

    @property
    def effective_storage_url(self) -> str:
        """The storage URL with the embedded default filled in."""
        return self.storage_url or f"file://{(self.data_dir / 'storage').absolute()}"

    @property
    def is_embedded(self) -> bool:
        """True on SQLite: one node, whose data folder holds everything."""
        return self.effective_database_url.startswith("sqlite")


def variable(field: str) -> str:
    """Return the environment variable of a settings field."""
    return PREFIX + field.upper()


def annotations_of(field: str) -> dict[str, Any]:
    """Return what is said of a field: ``description``, and ``unit``, ``secret`` or ``list`` where they apply."""
    found: dict[str, Any] = {}
    hint = Settings.__annotations__[field]
    for meta in getattr(hint, "__metadata__", ()):
        if isinstance(meta, Meta):
            found |= meta.extra_json_schema or {}
            if meta.description:
                found["description"] = meta.description
    return found


def choices_of(field: str) -> tuple[str, ...]:
    """Return what an enumerated field allows, in the order of its declaration; empty for any other field."""
    hint = get_args(Settings.__annotations__[field])[0]
    return get_args(hint) if get_origin(hint) is Literal else ()


def default_text(field: str) -> str:
    """Return a field's default as an operator would write it; empty if it has none."""
    return value_text(field, next(found.default for found in msgspec.structs.fields(Settings) if found.name == field))


def value_text(field: str, value: object) -> str:
    """Return a field's value as an operator would write it; empty if it says nothing."""
    if isinstance(value, tuple):
        return ",".join(value)
    if isinstance(value, int) and annotations_of(field).get("unit") == "bytes" and value:
        return next(f"{value // size} {unit}" for unit, size in _BYTE_UNITS_SHOWN.items() if value % size == 0)
    return "" if value in {"", Path()} else str(value)


def source_of(field: str, environ: Mapping[str, str]) -> Literal["default", "environment", "file"]:
    """Return where a field's value comes from when settings are read from ``environ``."""
    if environ.get(variable(field)):
        return "environment"
    return "file" if environ.get(variable(field) + "_FILE") else "default"


def load_settings(environ: Mapping[str, str]) -> Settings:
    """Read every ``CAIRN_`` variable; SettingInvalid names the first that is unknown or has a wrong value.

    A variable that is set to nothing counts as not set.
    """
    fields = {variable(name): name for name in _types()}
    values: dict[str, Any] = {}
    given_by: dict[str, str] = {}
    for key in sorted(environ):
        text = environ[key]
        if not key.startswith(PREFIX) or text == "":
            continue
        name, is_file = _field_of(key, fields)
        if name in given_by:
            raise SettingInvalid(f"{given_by[name]} and {key}: both are set, want one of them")
        given_by[name] = key
        values[name] = _parse(name, _read_secret_file(key, text) if is_file else text)
    return Settings(**values)


def _field_of(key: str, fields: Mapping[str, str]) -> tuple[str, bool]:
    """Return the field that a variable sets and whether its value is the path of a secret's file."""
    if key in fields:
        return fields[key], False
    name = fields.get(key.removesuffix("_FILE"))
    if name is not None and "secret" in annotations_of(name):
        return name, True
    if name is not None:
        raise SettingInvalid(f"{key}: only secrets may come from a file; set {variable(name)}")
    close = difflib.get_close_matches(key.removeprefix(PREFIX).lower(), fields.values(), n=1)
    hint = f"did you mean {variable(close[0])}?" if close else "docs/reference/settings.md lists all"
    raise SettingInvalid(f"{key}: no such setting; {hint}")


def _read_secret_file(key: str, path: str) -> str:
    try:
        secret = Path(path).read_text("utf-8").strip()
    except OSError as error:
        raise SettingInvalid(f"{key}={path!r}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise SettingInvalid(f"{key}={path!r}: is not UTF-8 text") from None
    if not secret:
        raise SettingInvalid(f"{key}={path!r}: the file is empty")
    return secret


def _parse(name: str, text: str) -> object:
    """Turn the text of a variable into its field's type; SettingInvalid says what is allowed."""
    match _types()[name]:
        case msgspec.inspect.LiteralType(values=allowed):
            if text not in allowed:
                raise _refused(name, text, f"wants one of {', '.join(choices_of(name))}")
            return text
        case msgspec.inspect.IntType(ge=low, le=high):
            return _parse_number(name, text, low=low or 0, high=high)
        case msgspec.inspect.VarTupleType():
            return tuple(part.strip() for part in re.split("[,\n]", text) if part.strip())
        case msgspec.inspect.CustomType():
            return Path(text)
        case _:
            return text


def _parse_number(name: str, text: str, *, low: int, high: int | None) -> int:
    is_bytes = annotations_of(name).get("unit") == "bytes"
    match = re.fullmatch(r"([0-9]{1,18})\s*([kmgt]ib)?" if is_bytes else r"([0-9]{1,18})", text.strip().lower())
    bounds = f"from {low:,} to {high:,}" if high is not None else f"of at least {low:,}"
    if match is None:
        kind = "a number of bytes, or one with KiB, MiB, GiB or TiB," if is_bytes else "a whole number"
        raise _refused(name, text, f"wants {kind} {bounds}")
    number = int(match[1]) * _BYTE_UNITS[(match[2] or "") if is_bytes else ""]
    if number < low or (high is not None and number > high):
        raise _refused(name, text, f"wants a number {bounds}")
    return number


@cache
def _types() -> dict[str, msgspec.inspect.Type]:
    """Return every field's type, without what is said about it."""
    found = msgspec.inspect.type_info(Settings)
    assert isinstance(found, msgspec.inspect.StructType)
    types = {field.name: field.type for field in found.fields}
    return {name: kind.type if isinstance(kind, msgspec.inspect.Metadata) else kind for name, kind in types.items()}


def _refused(name: str, text: str, wants: str) -> SettingInvalid:
    """Return the error for a value: the variable, the value unless it is secret, what is allowed, the default."""
    default = default_text(name)
    shown = "" if "secret" in annotations_of(name) else f"={text!r}"
    return SettingInvalid(f"{variable(name)}{shown}: {wants}" + (f" (default {default})" if default else ""))


def _is_address(text: str) -> bool:
    match = re.fullmatch(r"(?:\[[0-9a-fA-F:]+\]|[^:\[\]\s]+):([0-9]{1,5})", text)
    return match is not None and int(match[1]) <= PORT_MAX


def _is_host_pattern(text: str) -> bool:
    """Tell whether this is a host's name in ASCII, or ``*.`` before one: what ends in a number is an address."""
    name = r"(?!-)[a-zA-Z0-9_-]{1,63}(?<!-)"
    return re.fullmatch(rf"(?:\*\.)?(?:{name}\.)*(?![0-9]+\Z){name}", text) is not None


def _is_network(text: str) -> bool:
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        return False
    return True
