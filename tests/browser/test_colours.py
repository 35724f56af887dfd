"""The colours of all four looks keep their contrast: computed from the tokens, for every pair that pages put together.

Text has 4.5:1 on its ground (WCAG AA), in high contrast 7:1 (AAA). What is no text but must be seen has 3:1.
"""

import re
from itertools import product

import pytest

from cairn.web.static_files import StaticFiles

PALETTES = ("light", "dark", "light, high contrast", "dark, high contrast")
GROUNDS = ("paper", "surface", "sunken", "raised", "hover", "header")
TOLD = ("accent", "success", "warning", "danger", "notice")
"""Colours that say something; each has a soft ground of its own."""
LINES = ("surface", "sunken", "add-bg", "add-mark", "del-bg", "del-mark", "warning-soft")
"""Grounds of code: plain, in prose, added, added word, removed, removed word, chosen line."""
SYNTAX = tuple(f"hl-{code}" for code in "cksnftbmv")
SOFT = tuple(f"{name}-soft" for name in TOLD)
TEXT = (
    *product(("ink",), (*GROUNDS, *SOFT, *LINES)),
    *product(("ink-soft",), (*GROUNDS, *SOFT, *LINES)),
    *product(("ink-faint",), GROUNDS),
    *((name, ground) for name in TOLD for ground in (*GROUNDS, f"{name}-soft")),
    *product(SYNTAX, LINES),
    *product(("success", "danger"), ("add-bg", "del-bg")),
    ("accent-ink", "accent"),
    ("accent-ink", "accent-hover"),
    ("danger-hover", "surface"),
)
SEEN = (
    *product(("field-line",), ("paper", "surface", "sunken")),
    *product(("accent",), (*GROUNDS, "accent-soft")),  # the focus ring
    *product(("folder", *(f"stone-{number}" for number in range(8))), ("surface", "raised", "header")),
)


def stylesheet() -> str:
    static = StaticFiles(("cairn.web",))
    found = static.find(static.url("app.css"))
    assert found is not None
    return found.body.decode()


def high_contrast_blocks(css: str) -> tuple[str, str]:
    """Return what high contrast changes by choice, and by the system."""
    by_choice = re.search(r'^:root\[data-contrast="more"\] \{\n(.*?)\n\}', css, re.DOTALL | re.MULTILINE)
    by_system = re.search(
        r'^@media \(prefers-contrast: more\) \{ :root:not\(\[data-contrast="less"\]\) \{\n(.*?)\n\} \}',
        css,
        re.DOTALL | re.MULTILINE,
    )
    assert by_choice is not None
    assert by_system is not None
    return by_choice[1], by_system[1]


def pairs_of(block: str) -> dict[str, tuple[str, str]]:
    """Return name, and colour in light and in dark, of each token of a block."""
    return {found[1]: (found[2], found[3]) for found in re.finditer(r"--([\w-]+): light-dark\((#\w+), (#\w+)\)", block)}


def palette(name: str) -> dict[str, str]:
    """Return the colours of one look."""
    css = stylesheet()
    colours = pairs_of(css.split(":root {", 1)[1].split("\n}", 1)[0])
    if "high contrast" in name:
        colours |= pairs_of(high_contrast_blocks(css)[0])
    return {token: pair[name.startswith("dark")] for token, pair in colours.items()}


def luminance(colour: str) -> float:
    """Return a colour's relative luminance. Source: WCAG 2.2, "relative luminance"."""
    digits = colour.removeprefix("#")
    digits = digits if len(digits) == 6 else "".join(2 * digit for digit in digits)
    channels = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """Return the contrast of two colours, 1 to 21."""
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def test_contrast_is_computed_as_the_guideline_says() -> None:
    assert contrast("#000", "#ffffff") == 21
    assert contrast("#777777", "#fff") == pytest.approx(4.48, abs=0.005)


@pytest.mark.parametrize("name", PALETTES)
def test_text_is_read_on_every_ground_it_stands_on(name: str) -> None:
    colours = palette(name)
    wanted = 7 if "high contrast" in name else 4.5
    weak = {
        f"{text} on {ground}": round(found, 2)
        for text, ground in TEXT
        if (found := contrast(colours[text], colours[ground])) < wanted
    }
    assert weak == {}


@pytest.mark.parametrize("name", PALETTES)
def test_fields_focus_and_pictures_are_seen(name: str) -> None:
    colours = palette(name)
    weak = {
        f"{mark} on {ground}": round(found, 2)
        for mark, ground in SEEN
        if (found := contrast(colours[mark], colours[ground])) < 3
    }
    assert weak == {}


def test_every_colour_is_a_token() -> None:
    """A colour beside the tokens would be the same in all four looks."""
    css = stylesheet()
    rules = css[css.index("/* Elements */") :].split("@media print", 1)[0]
    assert re.findall(r"(?<=[: ])#[0-9a-fA-F]{3,8}\b(?! \d)", rules.replace("#000 1.75rem", "")) == []


def test_high_contrast_by_choice_is_high_contrast_by_system() -> None:
    """The style sheet has it twice, since CSS cannot say "or" between a query and an attribute."""
    by_choice, by_system = high_contrast_blocks(stylesheet())
    assert by_choice.split() == by_system.split()


def test_high_contrast_says_every_colour_of_text_anew() -> None:
    changed = pairs_of(high_contrast_blocks(stylesheet())[0])
    assert {text for text, _ in TEXT} - {"danger-hover"} <= changed.keys()
