"""A sealed secret opens in its own place, with its own key, unchanged, and nowhere else."""

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cairn.base.secret_box import (
    SecretBox,
    SecretUnreadable,
    forget_old_key_file,
    load_key_ring,
    load_secret_key,
    replace_key_file,
)
from cairn.base.settings import SettingInvalid, Settings

KEY, OTHER = "k" * 32, "o" * 32
PLACE = {"table": "instance_secret", "column": "sealed", "row": "ssh_host_ed25519"}


@given(st.binary(max_size=300))
def test_what_is_sealed_opens_again_and_looks_different_each_time(plain: bytes) -> None:
    box = SecretBox([KEY])
    sealed = box.seal(plain, **PLACE)
    assert box.open(sealed, **PLACE) == plain
    assert len(sealed) == len(plain) + 33
    assert box.seal(plain, **PLACE) != sealed


@pytest.mark.parametrize("moved", [{"table": "x"}, {"column": "x"}, {"row": "x"}])
def test_a_value_moved_to_another_place_does_not_open(moved: dict[str, str]) -> None:
    """Attack: with write access to the database, copy an administrator's sealed secret into one's own row."""
    box = SecretBox([KEY])
    with pytest.raises(SecretUnreadable, match="sealed for another place"):
        box.open(box.seal(b"secret", **PLACE), **(PLACE | moved))


def test_parts_of_the_place_do_not_run_into_each_other() -> None:
    box = SecretBox([KEY])
    sealed = box.seal(b"secret", table="a", column="bc", row=1)
    with pytest.raises(SecretUnreadable):
        box.open(sealed, table="ab", column="c", row=1)


def test_every_changed_bit_is_noticed() -> None:
    box = SecretBox([KEY])
    sealed = box.seal(b"secret", **PLACE)
    for position in range(len(sealed) * 8):
        broken = bytearray(sealed)
        broken[position // 8] ^= 1 << position % 8
        with pytest.raises(SecretUnreadable):
            box.open(bytes(broken), **PLACE)


@pytest.mark.parametrize("junk", [b"", b"\x01", b"\x01" * 32, b"plain text"])
def test_junk_is_no_sealed_value(junk: bytes) -> None:
    with pytest.raises(SecretUnreadable, match="holds no sealed value"):
        SecretBox([KEY]).open(junk, **PLACE)


def test_another_key_is_named_as_the_reason() -> None:
    sealed = SecretBox([KEY]).seal(b"secret", **PLACE)
    with pytest.raises(SecretUnreadable, match="another secret key"):
        SecretBox([OTHER]).open(sealed, **PLACE)


def test_a_ring_opens_old_values_and_seals_with_the_first_key() -> None:
    old = SecretBox([KEY]).seal(b"secret", **PLACE)
    ring = SecretBox([OTHER, KEY])
    assert ring.open(old, **PLACE) == b"secret"
    assert not ring.is_current(old)
    new = ring.seal(b"secret", **PLACE)
    assert ring.is_current(new)
    assert SecretBox([OTHER]).open(new, **PLACE) == b"secret"


def test_an_embedded_install_makes_its_key_once_for_its_owner_only(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "data")
    with ThreadPoolExecutor(8) as threads:
        keys = set(threads.map(lambda _: load_secret_key(settings), range(8)))
    assert len(keys) == 1
    path = tmp_path / "data" / "secret_key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [each.name for each in path.parent.iterdir()] == ["secret_key"]


def test_the_setting_wins_and_makes_no_file(tmp_path: Path) -> None:
    assert load_secret_key(Settings(data_dir=tmp_path, secret_key=KEY)) == KEY
    assert list(tmp_path.iterdir()) == []


def test_on_a_database_server_a_missing_key_is_refused_not_made(tmp_path: Path) -> None:
    with pytest.raises(SettingInvalid, match="CAIRN_SECRET_KEY"):
        load_secret_key(Settings(data_dir=tmp_path, database_url="postgresql://h/n"))
    assert list(tmp_path.iterdir()) == []


def test_a_key_file_that_lost_its_content_is_refused(tmp_path: Path) -> None:
    (tmp_path / "secret_key").write_text("\n")
    with pytest.raises(SettingInvalid, match="wants at least 32"):
        load_secret_key(Settings(data_dir=tmp_path))


def test_the_ring_has_the_current_key_first_and_each_once(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, secret_key=KEY, secret_keys_old=(OTHER, KEY))
    assert load_key_ring(settings) == (KEY, OTHER)


def test_a_new_key_file_keeps_the_ones_before(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    [first] = load_key_ring(settings)
    replace_key_file(settings)
    second, *old = load_key_ring(settings)
    assert old == [first]
    replace_key_file(settings)
    assert load_key_ring(settings)[1:] == (second, first)
    for path in tmp_path.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    forget_old_key_file(settings)
    assert len(load_key_ring(settings)) == 1


def test_where_a_setting_has_the_key_no_file_is_made(tmp_path: Path) -> None:
    with pytest.raises(SettingInvalid, match="CAIRN_SECRET_KEYS_OLD"):
        replace_key_file(Settings(data_dir=tmp_path, secret_key=KEY))
    assert list(tmp_path.iterdir()) == []
