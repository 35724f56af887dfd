"""What an event is. Each feature declares its own types in its ``events`` module."""

import re

import msgspec


def _type_name(class_name: str) -> str:
    """Return the name rows keep: ``PullMerged`` is ``pull_merged``."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", class_name).lower()


class Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag=_type_name):
    """A fact, written in the transaction that made it true.

    Stored rows name the type after its class, so a class that is renamed says ``tag="old_name"``; a field that is added
    has a default, because older rows lack it.
    """

    repository_id: int | None = None
    """The repository it belongs to, if any: deliveries can be ordered by it."""


def type_of(kind: type[Event]) -> str:
    """Return the name that rows of this event type carry."""
    tag = kind.__struct_config__.tag
    assert isinstance(tag, str)
    return tag
