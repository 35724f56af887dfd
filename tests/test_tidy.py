"""The tree keeps its shape: tests mirror sources, reference pages are current, names say what a file holds.

A list of exceptions stands here with the reason for each; a new entry wants a reason a reviewer would accept.
"""

import ast
import re
import subprocess
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path, PurePosixPath

import msgspec
import pytest

from cairn.access.actions import FACTS, Action
from cairn.base.settings import Settings
from cairn.programs.reference import PAGES, event_types

ROOT = Path(__file__).parents[1]
SOURCES = PurePosixPath("src/cairn")

PURE_DECLARATIONS = {
    "__init__.py": "a docstring: what the package owns",
    "models.py": "tables; the migration test compares them with the schema, the queries' tests use them",
    "schemas.py": "shapes of requests and answers; the routes' tests use them",
    "events.py": "shapes of facts; the tests of the verbs that emit them use them",
}
"""Sources that need no test file of their own, by name."""

TESTED_ELSEWHERE: dict[str, str] = {
    "src/cairn/db/migrations/": "run as a whole on every database by tests/db",
}
"""Sources, or folders of them, whose tests are not found by name."""

TESTS_WITHOUT_SOURCE = {
    "tests/git_compat": "stock git against both doors",
    "tests/stories": "end to end: several features together",
    "tests/browser": "pages in a real browser",
    "tests/services": "the private servers the tests start",
    "tests/factories": "what tests are made of",
}
"""Folders of tests that prove something no single source file holds."""

LINES_MAX = 500
LONG_FILES: dict[str, str] = {
    "src/cairn/base/settings.py": "one field for each setting, with its documentation; the reading of them is short",
}
"""Python files over the limit, each with the reason why it is not split."""

VAGUE_NAMES = {"utils", "util", "helpers", "helper", "common", "manager", "managers", "misc", "stuff"}


@cache
def tracked_files() -> tuple[str, ...]:
    """Return every file that is, or would be, committed."""
    command = ["git", "-c", "safe.directory=*", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, timeout=60)
    names = done.stdout.decode().split("\0")
    return tuple(sorted({name for name in names if name and (ROOT / name).is_file()}))


def python_files(folder: str) -> Iterator[PurePosixPath]:
    """Yield the tracked Python files below a folder."""
    for name in tracked_files():
        if name.startswith(folder) and name.endswith(".py"):
            yield PurePosixPath(name)


def texts() -> Iterator[tuple[str, str]]:
    """Yield name and content of every tracked text file except this one."""
    for name in tracked_files():
        content = (ROOT / name).read_bytes()
        if b"\0" not in content[:8000] and ROOT / name != Path(__file__):
            yield name, content.decode("utf-8", "replace")


def test_every_source_has_its_test() -> None:
    missing = []
    for source in python_files("src/cairn/"):
        if source.name in PURE_DECLARATIONS or any(str(source).startswith(place) for place in TESTED_ELSEWHERE):
            continue
        wanted = PurePosixPath("tests") / source.relative_to(SOURCES).parent / f"test_{source.name}"
        if not (ROOT / wanted).is_file():
            missing.append(f"{source} wants {wanted}")
    assert not missing, "\n".join(missing)


def test_every_test_has_its_source() -> None:
    lost = []
    for test in python_files("tests/"):
        if not test.name.startswith("test_") or test.name == Path(__file__).name:
            continue
        if any(str(test).startswith(f"{folder}/") for folder in TESTS_WITHOUT_SOURCE):
            continue
        wanted = SOURCES / test.relative_to("tests").parent / test.name.removeprefix("test_")
        if not (ROOT / wanted).is_file():
            lost.append(f"{test} has no {wanted}")
    assert not lost, "\n".join(lost)


def test_exceptions_are_still_needed() -> None:
    for place in (*TESTED_ELSEWHERE, *LONG_FILES):
        assert (ROOT / place).exists(), place
    for name in LONG_FILES:
        assert len((ROOT / name).read_text("utf-8").splitlines()) > LINES_MAX, name


@pytest.mark.parametrize("page", PAGES)
def test_a_reference_page_says_what_the_code_says(page: str) -> None:
    on_disk = (ROOT / "docs" / "reference" / page).read_text("utf-8")
    assert on_disk == PAGES[page](), f"docs/reference/{page} is out of date: make docs"


def test_every_setting_is_read_somewhere() -> None:
    names = {field.name for field in msgspec.structs.fields(Settings)}
    settings_file = PurePosixPath("src/cairn/base/settings.py")
    for source in python_files("src/cairn/"):
        text = (ROOT / source).read_text("utf-8")
        pattern = r"\bself\.(\w+)" if source == settings_file else r"\.(\w+)"
        names -= set(re.findall(pattern, text))
    assert not names, f"an operator could set these and nothing would happen: {', '.join(sorted(names))}"


def test_every_action_says_what_it_means() -> None:
    assert set(FACTS) == set(Action)
    for action in Action:
        assert action.facts.meaning.endswith("."), action


def test_every_event_says_what_it_means() -> None:
    for event in event_types():
        assert event.__doc__, event
        assert event.__doc__ != event.__base__.__doc__, f"{event} says no more than its base"


def test_every_package_says_what_it_owns() -> None:
    packages = {source.parent for source in python_files("src/cairn/")}
    silent = []
    for package in packages:
        if package.name == "versions":  # Alembic's files; their folder is no package
            continue
        file = ROOT / package / "__init__.py"
        if not file.is_file() or not ast.get_docstring(ast.parse(file.read_text("utf-8"))):
            silent.append(str(package))
    assert not silent, "\n".join(sorted(silent))


def test_no_file_hides_what_it_holds_behind_a_vague_name() -> None:
    vague = [
        name
        for name in tracked_files()
        if VAGUE_NAMES & set(re.split(r"[/_.-]", name.removeprefix("tests/").replace("test_", "")))
    ]
    assert not vague, "\n".join(vague)


def test_no_file_is_too_long_without_a_reason() -> None:
    long = []
    for name in tracked_files():
        if name.endswith(".py") and name not in LONG_FILES:
            lines = len((ROOT / name).read_text("utf-8").splitlines())
            if lines > LINES_MAX:
                long.append(f"{name}: {lines} lines")
    assert not long, "\n".join(long)


def test_only_programs_and_the_command_line_may_print() -> None:
    ruff = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["ruff"]["lint"]
    assert "T20" in ruff["select"]
    free = {folder for folder, rules in ruff["per-file-ignores"].items() if "T20" in rules}
    assert free == {"tests/**", "bench/**", "src/cairn/programs/**", "src/cairn/cli/**"}


@pytest.mark.parametrize(
    ("what", "pattern"),
    [
        ("package registry", r"pypi\.org|pythonhosted\.org|npmjs\.(org|com)|proxy\.golang\.org|crates\.io|--index-url"),
        ("path of one machine", r"(?<![\w.<>\"'/-])/(work|root|home/\w+|opt/wheels)/"),
    ],
)
def test_no_file_names_a_registry_or_a_path_of_one_machine(what: str, pattern: str) -> None:
    found = [f"{name}: {match[0]!r}" for name, text in texts() if (match := re.search(pattern, text))]
    assert not found, "\n".join([what, *found])


def test_every_relative_link_in_the_documentation_leads_somewhere() -> None:
    broken = []
    for name, text in texts():
        if not name.endswith(".md"):
            continue
        targets = re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", text)
        broken += [f"{name}: {target}" for target in targets if not (ROOT / name).parent.joinpath(target).exists()]
    assert not broken, "\n".join(broken)


def test_every_test_that_shows_a_guarantee_exists() -> None:
    page = (ROOT / "docs/reference/guarantees.md").read_text()
    named = re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", page)
    assert len(named) == page.count("`tests/"), "a test is named by its file and its function"
    assert [f"{file}::{name}" for file, name in named if not _has_function(file, name)] == []


def _has_function(file: str, name: str) -> bool:
    path = ROOT / file
    return path.is_file() and re.search(rf"^(async )?def {name}\(", path.read_text(), re.MULTILINE) is not None


def test_requirements_name_a_hash_for_every_package() -> None:
    for name in ("server", "build", "dev"):
        text = (ROOT / "requirements" / f"{name}.txt").read_text("utf-8").replace("\\\n", " ")
        lines = [line for line in text.splitlines() if line and not line.lstrip().startswith("#")]
        assert lines
        assert all("==" in line and "--hash=sha256:" in line for line in lines)


def test_the_development_set_holds_the_very_versions_of_the_others() -> None:
    def versions(name: str) -> set[str]:
        text = (ROOT / "requirements" / f"{name}.txt").read_text("utf-8")
        return set(re.findall(r"^([\w.-]+(?:\[[\w,-]+\])?==[^\s;]+)", text, re.MULTILINE))

    assert versions("server") | versions("build") <= versions("dev")


def test_the_index_of_the_documentation_names_every_page_and_no_other() -> None:
    docs = ROOT / "docs"
    linked = {
        (docs / link).resolve() for link in re.findall(r"\]\(([^)#:]+)\)", (docs / "README.md").read_text("utf-8"))
    }
    assert [path for path in linked if not path.is_file()] == []
    pages = {
        *docs.glob("guides/*.md"),
        *docs.glob("reference/*.md"),
        docs / "glossary.md",
        docs / "decisions/README.md",
    }
    assert sorted(page.name for page in pages if page.resolve() not in linked) == []
