"""Random names: long enough, of the promised alphabet, never twice."""

import importlib
import pkgutil
import re
from collections.abc import Iterator

import msgspec

import cairn
from cairn.base.ids import HEX_ID_LENGTH, random_id, random_secret

COUNTS = {
    "OrganizationForm.token_lifetime_max_days",
    *(f"{form}.interval_minutes" for form in ("NewMirror", "ChangedMirror", "MirrorForm")),
}
"""What is no row's number; the domain says how much it may be."""


def test_an_id_is_32_lower_case_hex_digits() -> None:
    assert re.fullmatch(r"[0-9a-f]{32}", random_id())
    assert HEX_ID_LENGTH == 32


def test_a_secret_has_256_bits_and_needs_no_quoting_in_a_url() -> None:
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}", random_secret())


def test_a_thousand_ids_and_secrets_differ() -> None:
    assert len({random_id() for _ in range(1000)}) == 1000
    assert len({random_secret() for _ in range(1000)}) == 1000


def _sent() -> Iterator[type[msgspec.Struct]]:
    """Yield every form and body: the structs of the modules with routes."""
    for module in pkgutil.walk_packages(cairn.__path__, "cairn."):
        if re.search(r"\.(admin_\w+|(\w+_)?(pages|api))$", module.name):
            for found in vars(importlib.import_module(module.name)).values():
                if isinstance(found, type) and issubclass(found, msgspec.Struct) and found.__module__ == module.name:
                    yield found


def test_a_number_that_no_column_holds_is_refused_where_it_is_sent() -> None:
    """Attack: a form or body with a row's number that no driver takes is a failure of ours, a 500."""
    taken, looked_at = set(), 0
    for struct in _sent():
        for field in msgspec.structs.fields(struct):
            looked_at += 1
            for sent in (2**63, [2**63]):
                try:
                    value = msgspec.convert(sent, field.type)
                except msgspec.ValidationError:
                    continue
                if not isinstance(value, bool | float):
                    taken.add(f"{struct.__name__}.{field.name}")
    assert looked_at > 100
    assert taken == COUNTS
