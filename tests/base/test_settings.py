"""Settings: what an operator may write, and what the answer to a wrong value says."""

from pathlib import Path

import msgspec
import pytest

from cairn.base.settings import (
    GIB,
    MIB,
    SettingInvalid,
    Settings,
    annotations_of,
    choices_of,
    default_text,
    load_settings,
    variable,
)

FIELDS = [field.name for field in msgspec.structs.fields(Settings)]
SECRET_FIELDS = [name for name in FIELDS if "secret" in annotations_of(name)]


def test_no_variable_at_all_gives_an_embedded_node_on_loopback() -> None:
    settings = load_settings({"PATH": "/bin", "HOME": "/root"})
    assert settings == Settings()
    assert settings.is_embedded
    assert settings.origin == "http://127.0.0.1:3000"
    assert settings.max_push_bytes == 100 * MIB
    assert settings.max_push_objects == 50_000


def test_paths_left_out_follow_the_data_folder() -> None:
    settings = load_settings({"CAIRN_DATA_DIR": "/srv/cairn"})
    assert settings.data_dir == Path("/srv/cairn")
    assert settings.cache_path == Path("/srv/cairn/cache")
    assert settings.effective_database_url == "sqlite:////srv/cairn/cairn.db"
    assert settings.effective_storage_url == "file:///srv/cairn/storage"
    assert load_settings({"CAIRN_CACHE_DIR": "/fast"}).cache_path == Path("/fast")


def test_a_server_database_is_not_embedded() -> None:
    assert not load_settings({"CAIRN_DATABASE_URL": "postgresql://cairn@db/cairn"}).is_embedded


@pytest.mark.parametrize(
    ("text", "wanted"), [("1048576", MIB), ("0", 0), ("3MiB", 3 * MIB), ("2 GiB", 2 * GIB), ("512kib", 512 * 1024)]
)
def test_bytes_are_a_number_with_or_without_a_unit(text: str, wanted: int) -> None:
    assert load_settings({"CAIRN_MAX_PUSH_BYTES": text}).max_push_bytes == wanted


def test_lists_are_separated_by_commas() -> None:
    settings = load_settings({"CAIRN_PUSH_TRANSPORTS": "ssh", "CAIRN_TRUSTED_PROXIES": "10.0.0.0/8, ::1,"})
    assert settings.push_transports == ("ssh",)
    assert settings.trusted_proxies == ("10.0.0.0/8", "::1")


def test_hosts_beyond_the_internet_are_networks_and_names() -> None:
    given = "10.0.0.0/8, fd00::/8, git.corp, *.corp.example, xn--bcher-kva.example"
    assert len(load_settings({"CAIRN_EGRESS_ALLOW": given}).egress_allow) == 5


@pytest.mark.parametrize("text", ["127.1", "300.0.0.1", "a b", "http://a", "*", "a.*.b", "-a", "a:80", "bücher.de"])
def test_what_is_neither_network_nor_host_is_refused(text: str) -> None:
    with pytest.raises(SettingInvalid, match="CAIRN_EGRESS_ALLOW"):
        load_settings({"CAIRN_EGRESS_ALLOW": text})


def test_a_variable_set_to_nothing_counts_as_not_set() -> None:
    assert load_settings({"CAIRN_REGISTRATION": "", "CAIRN_WEB_WORKERS": "", "CAIRN_SECRET_KEY_FILE": ""}) == Settings()


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("REGISTRATION", "x", "CAIRN_REGISTRATION='x': wants one of open, invite, closed (default open)"),
        ("LOG_LEVEL", "loud", "CAIRN_LOG_LEVEL='loud': wants one of debug, info, warning, error (default info)"),
        ("WEB_WORKERS", "0", "CAIRN_WEB_WORKERS='0': wants a number of at least 1 (default 1)"),
        ("WEB_WORKERS", "-1", "CAIRN_WEB_WORKERS='-1': wants a whole number of at least 1 (default 1)"),
        ("WEB_WORKERS", "2.5", "CAIRN_WEB_WORKERS='2.5': wants a whole number of at least 1 (default 1)"),
        ("WEB_WORKERS", "1 KiB", "CAIRN_WEB_WORKERS='1 KiB': wants a whole number of at least 1 (default 1)"),
        ("WEB_WORKERS", "٣", "CAIRN_WEB_WORKERS='٣': wants a whole number of at least 1 (default 1)"),
        (
            "MAX_REF_NAME_BYTES",
            "2000",
            "CAIRN_MAX_REF_NAME_BYTES='2000': wants a number from 20 to 1,000 (default 255)",
        ),
        (
            "MAX_PUSH_BYTES",
            "100 MB",
            (
                "CAIRN_MAX_PUSH_BYTES='100 MB': wants a number of bytes, or one with KiB, MiB, GiB or TiB, "
                "of at least 0 (default 100 MiB)"
            ),
        ),
        ("PUSH_TRANSPORTS", "ftp", "CAIRN_PUSH_TRANSPORTS='ftp': wants http, ssh or both (default http,ssh)"),
        ("PUSH_TRANSPORTS", ",", "CAIRN_PUSH_TRANSPORTS='': wants http, ssh or both (default http,ssh)"),
        (
            "TRUSTED_PROXIES",
            "10.0.0.0/8,proxy",
            "CAIRN_TRUSTED_PROXIES='proxy': wants addresses or networks such as 10.0.0.0/8",
        ),
    ],
)
def test_a_wrong_value_is_answered_with_what_is_allowed_and_the_default(name: str, text: str, sentence: str) -> None:
    with pytest.raises(SettingInvalid) as caught:
        load_settings({f"CAIRN_{name}": text})
    assert caught.value.message == sentence


@pytest.mark.parametrize("text", ["localhost", ":3000", "h:99999", "::1:3000", "[::1]", "a b:1", "h:30 00"])
def test_an_address_without_host_and_port_is_refused(text: str) -> None:
    with pytest.raises(SettingInvalid, match=r"CAIRN_HTTP_ADDRESS='.*': wants HOST:PORT"):
        load_settings({"CAIRN_HTTP_ADDRESS": text})


@pytest.mark.parametrize("text", ["0.0.0.0:80", "[::]:3000", "cairn.example:65535"])
def test_an_address_is_host_and_port(text: str) -> None:
    assert load_settings({"CAIRN_HTTP_ADDRESS": text}).http_address == text


@pytest.mark.parametrize(
    "text",
    ["ftp://h", "h:3000", "http://", "http://h/", "https://h/cairn", "https://u:p@h", "https://h?x", "http://a b"],
)
def test_an_external_url_with_anything_but_scheme_host_and_port_is_refused(text: str) -> None:
    with pytest.raises(SettingInvalid, match=r"CAIRN_EXTERNAL_URL=.* wants http\(s\)://HOST"):
        load_settings({"CAIRN_EXTERNAL_URL": text})


def test_links_carry_the_external_url_or_else_the_listening_address() -> None:
    assert load_settings({"CAIRN_EXTERNAL_URL": "https://code.example"}).origin == "https://code.example"
    with_tls = load_settings({"CAIRN_TLS_CERTIFICATE": "c.pem", "CAIRN_TLS_KEY": "k.pem"})
    assert with_tls.origin == "https://127.0.0.1:3000"


def test_a_certificate_without_its_key_is_refused() -> None:
    for name in ("CAIRN_TLS_CERTIFICATE", "CAIRN_TLS_KEY"):
        with pytest.raises(SettingInvalid, match="want both to be set, or neither"):
            load_settings({name: "x.pem"})


def test_an_unknown_variable_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(SettingInvalid, match="CAIRN_REGISTRATON: no such setting; did you mean CAIRN_REGISTRATION"):
        load_settings({"CAIRN_REGISTRATON": "open"})
    with pytest.raises(SettingInvalid, match=r"docs/reference/settings\.md lists all"):
        load_settings({"CAIRN_XYZ": "open"})


_COMPANIONS = {"smtp_password": {"CAIRN_SMTP_USERNAME": "cairn"}}
"""What must be set beside a secret."""


class TestSecrets:
    """Secrets: from files too, and never in what a person or a log may see."""

    @pytest.mark.parametrize("name", SECRET_FIELDS)
    def test_every_secret_may_come_from_a_file(self, name: str, tmp_path: Path) -> None:
        file = tmp_path / "secret"
        file.write_text("s" * 40 + "\n")
        settings = load_settings(_COMPANIONS.get(name, {}) | {variable(name) + "_FILE": str(file)})
        assert getattr(settings, name) == (("s" * 40,) if name == "secret_keys_old" else "s" * 40)

    def test_a_missing_file_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(SettingInvalid, match=r"CAIRN_SECRET_KEY_FILE='.*/none': cannot be read \(No such file"):
            load_settings({"CAIRN_SECRET_KEY_FILE": str(tmp_path / "none")})

    def test_an_empty_file_and_one_that_is_not_text_are_refused(self, tmp_path: Path) -> None:
        for content, complaint in ((b" \n", "the file is empty"), (b"\xff\xfe", "is not UTF-8 text")):
            (tmp_path / "secret").write_bytes(content)
            with pytest.raises(SettingInvalid, match=complaint):
                load_settings({"CAIRN_SECRET_KEY_FILE": str(tmp_path / "secret")})

    def test_a_secret_and_its_file_together_are_refused(self, tmp_path: Path) -> None:
        with pytest.raises(SettingInvalid, match="CAIRN_REDIS_URL and CAIRN_REDIS_URL_FILE: both are set"):
            load_settings({"CAIRN_REDIS_URL": "redis://h", "CAIRN_REDIS_URL_FILE": str(tmp_path)})

    def test_what_is_no_secret_does_not_come_from_a_file(self) -> None:
        with pytest.raises(SettingInvalid, match="CAIRN_REGISTRATION_FILE: only secrets may come from a file"):
            load_settings({"CAIRN_REGISTRATION_FILE": "/etc/hostname"})

    def test_a_short_secret_key_is_refused_without_showing_it(self) -> None:
        with pytest.raises(SettingInvalid) as caught:
            load_settings({"CAIRN_SECRET_KEY": "hunter2"})
        assert caught.value.message == "CAIRN_SECRET_KEY: has 7 characters, wants at least 32"

    def test_the_text_form_of_the_settings_shows_no_secret(self) -> None:
        companions = {key: value for others in _COMPANIONS.values() for key, value in others.items()}
        settings = load_settings(companions | {variable(name): "hunter2" * 8 for name in SECRET_FIELDS})
        for text in (repr(settings), str(settings), f"{settings}"):
            assert "hunter2" not in text
            assert "registration='open'" in text


@pytest.mark.parametrize("name", FIELDS)
def test_every_setting_says_what_it_is_and_takes_its_documented_default(name: str) -> None:
    assert str(annotations_of(name)["description"]).endswith((".", ".)"))
    default = default_text(name)
    if default:
        assert getattr(load_settings({variable(name): default}), name) == getattr(Settings(), name)


def test_choices_keep_the_order_of_their_declaration() -> None:
    assert choices_of("registration") == ("open", "invite", "closed")
    assert choices_of("web_workers") == ()
    assert choices_of("http_address") == ()
