"""Nothing changes without a trace: every address that is not only read leads to ``record``, or says here why not.

The walk follows names from each handler through the functions of Cairn. It tells that a trace can be left, not that it
is at every turn; what each verb writes is tested beside the verb.
"""

import builtins
import inspect
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any, get_type_hints

from cairn.audit.record import record
from cairn.base.settings import Settings
from cairn.identity.queries import read_profile
from cairn.programs.services import open_services
from cairn.programs.web_features import make_web_features
from cairn.repositories.delete import delete_repository
from cairn.repositories.lists import list_repositories
from cairn.repositories.queries import find_repository
from cairn.web import pages as web_pages
from cairn.web.context import RequestContext

UNRECORDED: dict[tuple[str, str], str] = {
    ("POST", "/-/appearance"): "changes a cookie of one's own browser and no row",
    ("POST", "/-/announcements/{announcement_id:int}/put-away"): "changes a cookie of one's own browser and no row",
    (
        "POST",
        "/password/forgot",
    ): "a stranger asks for a mail and could fill the log; the link's use is recorded",
    ("POST", "/api/v3/markdown"): "answers what it was sent, rendered; keeps nothing",
    ("POST", "/api/v3/markdown/raw"): "answers what it was sent, rendered; keeps nothing",
    (
        "POST",
        "/{owner:str}/{repo:str}/settings/rules/import",
    ): "fills a form with what was sent; keeps nothing before it is saved",
    (
        "POST",
        "/organizations/{org:str}/settings/rules/import",
    ): "fills a form with what was sent; keeps nothing before it is saved",
    (
        "POST",
        "/api/v3/repos/{owner:str}/{repo:str}/releases/generate-notes",
    ): "answers what the notes of a release could be; keeps nothing",
    ("POST", "/settings/emails/resend"): "sends the same link to the same address again; its use is recorded",
}
"""Addresses that may change something without an entry, each with the reason."""

READING = {"GET", "HEAD"}


def reaches_record(start: Callable[..., Any]) -> bool:
    """Tell whether a function may come to ``record``."""
    pending: list[Any] = [inspect.unwrap(start)]
    seen: set[int] = set()
    while pending:
        function = pending.pop()
        if function is record:
            return True
        if id(function) not in seen and inspect.isfunction(function) and function.__module__.startswith("cairn."):
            seen.add(id(function))
            pending += map(inspect.unwrap, _named_in(function))
    return False


def _named_in(function: FunctionType) -> Iterator[Any]:
    """Yield the functions of Cairn that a function's code names: global ones, of modules, of what it is given."""
    names = {name for code in _codes(function.__code__) for name in code.co_names}
    found = [function.__globals__.get(name) for name in names]
    cells = [cell.cell_contents for cell in function.__closure__ or ()]
    yield from (value for value in (*found, *cells) if inspect.isfunction(value))
    places = [value for value in found if inspect.isclass(value) or inspect.ismodule(value)]
    places += [type(value) for value in cells] + _classes_given_to(function)
    for place in places:
        if getattr(place, "__module__", getattr(place, "__name__", "")).startswith("cairn."):
            yield from (value for name, value in vars(place).items() if name in names and inspect.isfunction(value))


def _classes_given_to(function: FunctionType) -> list[type]:
    """Return the classes of the parameters, and of a method's own object."""
    hints = get_type_hints(function, localns=_NamesOfTypes(function, RequestContext=RequestContext))
    owner = function.__qualname__.rpartition(".")[0]
    return [kind for kind in (*hints.values(), function.__globals__.get(owner)) if inspect.isclass(kind)]


class _NamesOfTypes(dict[str, Any]):
    """What a module imports for its types only: classes of Cairn are given; others say nothing of ``record``."""

    def __init__(self, function: FunctionType, **given: type) -> None:
        super().__init__(given)
        self._known = function.__globals__.keys() | vars(builtins).keys()

    def __missing__(self, name: str) -> Any:
        if name in self._known:
            raise KeyError(name)  # so that it is looked up there
        return object


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


async def test_every_address_that_changes_something_leads_to_an_entry(tmp_path: Path, sqlite_template: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    shutil.copyfile(sqlite_template, settings.effective_database_url.removeprefix("sqlite:///"))
    async with open_services(settings) as services:
        handlers = [*web_pages.route_handlers, *make_web_features(services).route_handlers]
    writing = [
        (str(method), path, handler)
        for handler in handlers
        for method in handler.http_methods - READING
        for path in sorted(handler.paths)
    ]
    assert len(writing) > 20
    silent = {(method, path) for method, path, handler in writing if not reaches_record(handler.fn)}
    assert silent - set(UNRECORDED) == set()
    assert set(UNRECORDED) - silent == set(), "these leave an entry now: take them off the list"


def test_the_walk_tells_who_records_from_who_does_not() -> None:
    """Without this the test above could pass by finding ``record`` everywhere."""
    assert reaches_record(delete_repository)
    assert not any(reaches_record(reading) for reading in (read_profile, find_repository, list_repositories))
