"""Icons: inline, well formed, and there under every name a page asks for."""

import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from markupsafe import Markup

import cairn
from cairn.web.icons import icon, icon_names

SOURCES = Path(cairn.__file__).parent
CALL = re.compile(r"\bicon\(([^)]*)\)")
NAME_IN_CALL = re.compile(r'(?<!=)(?<!== )"([a-z0-9-]+)"(?!:)')
ARGUMENT = re.compile(r'\bicon_name="([a-z0-9-]+)"')
LAST_ARGUMENT = re.compile(r'\b(?:empty_state|list_row)\([^{}%]*"([a-z0-9-]+)"\)')


def asked_for() -> dict[str, str]:
    """Return every name that a template or a module asks for, with one place that does."""
    asked = {}
    for path in [*SOURCES.rglob("*.html"), *SOURCES.rglob("*.py")]:
        text = path.read_text("utf-8")
        named = [*ARGUMENT.findall(text), *LAST_ARGUMENT.findall(text)]
        for name in [*named, *NAME_IN_CALL.findall("\n".join(CALL.findall(text)))]:
            asked[name] = str(path.relative_to(SOURCES))
    return asked


def test_every_icon_a_page_asks_for_exists() -> None:
    """A name that is missing is an error 500 on the page, seen only by who opens that page."""
    asked = asked_for()
    assert {"gear", "verified", "tag", "file-submodule", "circle-slash"} <= set(asked)
    assert {name: place for name, place in asked.items() if name not in icon_names()} == {}


def test_an_icon_that_does_not_exist_is_an_error_not_an_empty_picture() -> None:
    with pytest.raises(KeyError):
        icon("no-such-icon")


@pytest.mark.parametrize("name", icon_names())
def test_an_icon_is_one_drawing_and_nothing_a_browser_would_run(name: str) -> None:
    drawing = ET.fromstring(icon(name))
    assert drawing.tag == "svg"
    assert drawing.attrib["viewBox"] == "0 0 16 16"
    assert len(drawing) >= 1
    for shape in drawing:
        assert shape.tag == "path"
        assert set(shape.attrib) <= {"d", "fill-rule"}
        assert re.fullmatch(r"[MmLlHhVvCcSsAaQqTtZz0-9eE .,-]+", shape.attrib["d"])


def test_a_size_is_the_width_and_the_height() -> None:
    drawing = ET.fromstring(icon("repo", 24))
    assert (drawing.attrib["width"], drawing.attrib["height"]) == ("24", "24")


def test_a_label_is_read_aloud_and_is_text_never_markup() -> None:
    drawn = icon("alert", label='"><script>alert(1)</script>')
    assert isinstance(drawn, Markup)
    drawing = ET.fromstring(drawn)
    assert drawing.attrib["aria-label"] == '"><script>alert(1)</script>'
    assert drawing.attrib["role"] == "img"
    assert "aria-hidden" not in drawing.attrib
    assert ET.fromstring(icon("alert")).attrib["aria-hidden"] == "true"


def test_names_are_sorted_and_each_has_a_picture_of_its_own() -> None:
    names = icon_names()
    assert names == sorted(names)
    assert len({icon(name) for name in names}) == len(names)
