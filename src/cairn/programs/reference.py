"""``make docs``: write the reference pages that are made from the code, so that they cannot say anything else.

``tests/test_tidy.py`` fails while a page on the disk differs from what is made here.
"""

import pkgutil
import sys
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from inspect import cleandoc
from pathlib import Path

import msgspec

import cairn
from cairn.access.actions import FACTS, Action
from cairn.access.roles import roles_with
from cairn.base.settings import Settings, annotations_of, choices_of, default_text, variable

EVENTS_PACKAGE = "cairn.events"
NOTICE = "<!-- Made from the code by `make docs`; do not edit. -->"


def main() -> None:
    """Write every page into the folder that the command line names."""
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        print("Usage: python -m cairn.programs.reference FOLDER\n\nWrite the generated reference pages into FOLDER.")
        sys.exit(0 if sys.argv[1:] in (["-h"], ["--help"]) else 2)
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, make in PAGES.items():
        (folder / name).write_text(make(), "utf-8")
        print(folder / name)


def settings_page() -> str:
    """Return the page of every environment variable, in the order of their declaration."""
    rows = [_setting_row(field.name) for field in msgspec.structs.fields(Settings)]
    return _page(
        "Settings",
        "Cairn reads its settings from environment variables when a program starts. A name it does not know or a value "
        "it cannot use stops the start with a sentence that says what is allowed. A variable set to nothing counts as "
        "not set.",
        "Sizes are bytes, or a number with `KiB`, `MiB`, `GiB` or `TiB`. Lists are separated by commas. A variable "
        "marked *secret* may instead be given as a file: add `_FILE` to its name and set it to the file's path.",
        _table(("Variable", "Value", "Default", "What it does"), rows),
    )


def actions_page() -> str:
    """Return the page of every action, the roles that contain it and the token scopes that allow it."""
    rows = []
    for action in Action:
        facts = FACTS[action]
        roles = ", ".join(role.value for role in roles_with(action)) or "none"
        scopes = ", ".join(f"`{scope}`" for scope in sorted(facts.token_scopes)) or "any token"
        permission = f"`{facts.permission}`" if facts.permission else "none" if facts.token_scopes else "any token"
        rows.append((f"`{action.value}`", facts.resource.value, facts.meaning, roles, scopes, permission))
    return _page(
        "Actions",
        "Everything an actor can ask for has a name here. A role on a repository is a set of actions; a token narrows "
        "its owner's rights to the actions that one of its scopes allows. `(none)` is a scope no token can carry: such "
        "an action wants a person who signed in.",
        "A fine-grained token carries permissions instead, on what belongs to one owner: the column *Permission* has "
        "the one an action needs.",
        "An action without roles is not decided by a role on a repository but by being that account, by being an owner "
        "or member of that organization or team, or by being an administrator of the site.",
        _table(("Action", "Done to", "Meaning", "Roles", "Token scopes (any one)", "Permission"), rows),
    )


def events_page() -> str:
    """Return the page of every event type with its fields."""
    sections = [
        f"## `{event.__name__}`\n\n{cleandoc(event.__doc__ or '')}\n\n"
        + _table(("Field", "Type"), [(f"`{name}`", f"`{kind}`") for name, kind in _fields_of(event)])
        for event in event_types()
    ]
    return _page(
        "Events",
        "An event is a fact, written in the transaction of the change that made it true. Every subscriber gets it at "
        "least once, as a job.",
        *(sections or ["No event type is declared yet."]),
    )


def event_types() -> list[type]:
    """Return every concrete event type, by name; they live in each feature's ``events`` module."""
    for module in _event_modules():
        import_module(module)
    found: set[type] = set()
    for base in _event_bases():
        pending: list[type] = base.__subclasses__()
        while pending:
            kind = pending.pop()
            pending += kind.__subclasses__()
            if kind.__module__.startswith("cairn."):
                found.add(kind)
    return sorted(found, key=lambda kind: kind.__name__)


def _event_modules() -> Iterator[str]:
    for package in pkgutil.iter_modules(cairn.__path__, "cairn."):
        if not package.ispkg:
            continue
        for module in pkgutil.walk_packages(import_module(package.name).__path__, package.name + "."):
            if module.name.endswith(".events") or package.name == EVENTS_PACKAGE:
                yield module.name


def _event_bases() -> list[type]:
    """Return the class named Event that the events package declares."""
    modules = [module for name, module in sys.modules.items() if f"{name}.".startswith(f"{EVENTS_PACKAGE}.")]
    return list({kind for module in modules if isinstance(kind := getattr(module, "Event", None), type)})


def _fields_of(kind: type) -> list[tuple[str, str]]:
    fields: dict[str, str] = {}
    for part in reversed(kind.__mro__):
        for name, hint in getattr(part, "__annotations__", {}).items():
            text = hint if isinstance(hint, str) else getattr(hint, "__name__", str(hint))
            if not name.startswith("_") and "ClassVar" not in str(hint):
                fields[name] = text
    return list(fields.items())


def _setting_row(name: str) -> tuple[str, ...]:
    said = annotations_of(name)
    default = default_text(name)
    return (
        f"`{variable(name)}`" + (" *secret*" if "secret" in said else ""),
        _value_kind(name),
        f"`{default}`" if default else "",
        str(said["description"]),
    )


def _value_kind(name: str) -> str:
    said, choices = annotations_of(name), choices_of(name)
    if choices:
        return ", ".join(f"`{choice}`" for choice in choices)
    if said.get("unit"):
        return str(said["unit"])
    if said.get("list"):
        return "list"
    if isinstance(_default(name), Path):
        return "path"
    return "number" if isinstance(_default(name), int) else "text"


def _default(name: str) -> object:
    return next(field.default for field in msgspec.structs.fields(Settings) if field.name == name)


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in (head, *rows)]
    return "\n".join([lines[0], "|" + "---|" * len(head), *lines[1:]])


def _page(title: str, *parts: str) -> str:
    return "\n\n".join([f"# {title}", NOTICE, *parts]) + "\n"


PAGES: dict[str, Callable[[], str]] = {
    "settings.md": settings_page,
    "actions.md": actions_page,
    "events.md": events_page,
}

if __name__ == "__main__":
    main()
