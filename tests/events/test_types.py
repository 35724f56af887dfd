"""How event types are named in rows."""

from cairn.events.types import Event, type_of


class PageRead(Event, frozen=True):
    number: int


class PageTorn(Event, frozen=True):
    number: int
    by: str = "nobody"


def test_the_name_of_a_type_is_its_class_in_snake_case() -> None:
    assert type_of(PageRead) == "page_read"
    assert type_of(PageTorn) == "page_torn"
