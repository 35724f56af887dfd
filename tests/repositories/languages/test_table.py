"""Languages by name, ending, first line; the table itself is whole."""

import re
import tomllib
from importlib import resources

import pytest

from cairn.repositories.languages import table
from cairn.repositories.languages.table import (
    LanguageKind,
    all_languages,
    find_language,
    language_of_name,
    language_of_start,
    may_begin_with_interpreter,
)
from cairn.repositories.models import LANGUAGE_LENGTH_MAX


@pytest.mark.parametrize(
    ("name", "language"),
    [
        ("a.py", "Python"),
        ("A.PY", "Python"),
        ("types.d.ts", "TypeScript"),
        ("x.app.src", "Erlang"),
        ("Makefile", "Makefile"),
        ("makefile.am", "Makefile"),
        ("Dockerfile.alpine", "Dockerfile"),
        (".bashrc", "Shell"),
        ("CMakeLists.txt", "CMake"),
        ("notes.txt", "Text"),
        ("page.sas", "SAS"),
        ("nothing.of-the-kind", None),
        ("nothing", None),
        (".hidden", None),
        ("", None),
    ],
)
def test_a_name_tells_the_language(name: str, language: str | None) -> None:
    found = language_of_name(name.encode())
    assert (found.name if found else None) == language


@pytest.mark.parametrize(
    ("start", "language"),
    [
        (b"#!/bin/sh\nx", "Shell"),
        (b"#! /usr/bin/env python3.12\n", "Python"),
        (b"#!/usr/bin/env -S deno run\n", "JavaScript"),
        (b"#!/usr/bin/env A=1 ruby\n", "Ruby"),
        (b"#!/opt/perl5.30\n", "Perl"),
        (b"#!/usr/bin/env\n", None),
        (b"#!", None),
        (b"# !/bin/sh\n", None),
        (b"\xff\xfe#!/bin/sh", None),
        (b"", None),
    ],
)
def test_a_first_line_tells_the_interpreter(start: bytes, language: str | None) -> None:
    found = language_of_start(start)
    assert (found.name if found else None) == language


def test_a_language_is_found_by_any_of_its_names() -> None:
    for name in ("C++", "c++", "CPP", " cpp "):
        assert (found := find_language(name)) is not None
        assert found.name == "C++"
    assert find_language("vim-script") == find_language("Vim Script") == find_language("viml") is not None
    assert find_language("klingon") is None
    assert find_language("") is None


def test_no_ending_stands_twice_and_every_language_has_its_facts() -> None:
    facts = tomllib.loads((resources.files(table.__package__) / "table.toml").read_text(encoding="utf-8"))
    for field in ("endings", "files", "run", "also"):
        words = [word for one in facts.values() for word in one.get(field, "").split()]
        assert sorted(words) == sorted(set(words)), field
    names = [language.name for language in all_languages()]
    assert set(facts) <= set(names)
    assert len({name.lower() for name in names}) == len(names)
    for language in all_languages():
        assert re.fullmatch(r"#[0-9a-f]{6}", language.colour), language
        assert len(language.name) <= LANGUAGE_LENGTH_MAX
        assert language.is_counted == (language.kind in {LanguageKind.PROGRAMMING, LanguageKind.MARKUP})


def test_only_names_without_an_ending_leave_it_open() -> None:
    assert [name for name in (b"run", b".run", b"run.sh", b".a.b") if may_begin_with_interpreter(name)] == [
        b"run",
        b".run",
    ]
