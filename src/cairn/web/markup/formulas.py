"""LaTeX formulas as MathML, which browsers set by themselves: no script, no pictures."""

import re
from html import unescape
from typing import TYPE_CHECKING

import nh3
from markupsafe import Markup, escape

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

FORMULA_CHARACTERS_MAX = 10_000
"""Longer ones are shown as they are written."""

_NODES_MAX = 20_000
_DEPTH_MAX = 200
_SIZES = frozenset({"width", "height", "depth", "lspace", "rspace", "voffset"})
_OPERATOR = (
    "accent fence form largeop lspace mathvariant maxsize minsize movablelimits rspace separator stretchy symmetric"
)
_TABLE = "columnalign columnlines columnspacing displaystyle frame rowalign rowlines rowspacing"
_ATTRIBUTES: dict[str, frozenset[str]] = {
    "math": frozenset({"display", "alttext"}),
    "menclose": frozenset({"notation"}),
    "merror": frozenset(),
    "mfrac": frozenset({"linethickness", "displaystyle"}),
    "mi": frozenset({"mathvariant"}),
    "mmultiscripts": frozenset(),
    "mn": frozenset({"mathvariant"}),
    "mo": frozenset(_OPERATOR.split()),
    "mover": frozenset({"accent"}),
    "mpadded": _SIZES,
    "mphantom": frozenset(),
    "mprescripts": frozenset(),
    "mroot": frozenset(),
    "mrow": frozenset(),
    "mspace": frozenset({"width", "height", "depth"}),
    "msqrt": frozenset(),
    "mstyle": frozenset({"displaystyle", "scriptlevel", "mathcolor", "mathbackground", "mathsize", "mathvariant"}),
    "msub": frozenset(),
    "msubsup": frozenset(),
    "msup": frozenset(),
    "mtable": frozenset(_TABLE.split()),
    "mtd": frozenset({"columnalign", "columnspan", "rowalign", "rowspan"}),
    "mtext": frozenset({"mathvariant"}),
    "mtr": frozenset({"columnalign", "rowalign"}),
    "munder": frozenset({"accentunder"}),
    "munderover": frozenset({"accent", "accentunder"}),
}
"""Every element that may stand in a formula, with what it may say of itself: nothing that leads or acts."""

_PARTS = {"mfrac": 2, "mover": 2, "mroot": 2, "msub": 2, "msubsup": 3, "msup": 2, "munder": 2, "munderover": 3}
"""How many parts these have, the base first; browsers set none with more."""

_VALUE = re.compile(r"[\w .,%#+-]{1,100}")
_UNKNOWN_COMMAND = re.compile(r"\\[A-Za-z]+")


class FormulaRefused(Exception):
    """A formula cannot be set: it is wrong, too long, or uses what is unknown here."""


def render_formula(latex: str, *, is_display: bool) -> Markup:
    """Return a formula as safe HTML; as its source where it cannot be set."""
    try:
        mathml = to_mathml(latex, is_display=is_display)
    except FormulaRefused:
        return Markup('<code class="math-source">{}</code>').format(latex.strip("\n"))
    return Markup('<span class="math-display">{}</span>').format(mathml) if is_display else mathml


def to_mathml(latex: str, *, is_display: bool) -> Markup:
    """Return a formula as a ``<math>`` element that the sanitiser has passed; FormulaRefused."""
    from latex2mathml.converter import convert_to_element

    if len(latex) > FORMULA_CHARACTERS_MAX or not latex.strip():
        raise FormulaRefused(f"a formula has 1 to {FORMULA_CHARACTERS_MAX:,} characters")
    try:
        root = convert_to_element(latex, display="block" if is_display else "inline")
    except MemoryError:
        raise
    except Exception as error:  # the library has no error of its own for much that is wrong
        raise FormulaRefused(str(error)) from error
    root.set("alttext", " ".join(latex.split())[:1000])
    out: list[str] = []
    _write(root, out, 0)
    attributes = {tag: set(names) for tag, names in _ATTRIBUTES.items() if names}
    # What was built from the allow-list above is read once more as a browser reads it.
    cleaned = nh3.clean("".join(out), tags=set(_ATTRIBUTES), attributes=attributes, link_rel=None)
    return Markup(cleaned)  # noqa: S704 (the sanitiser's own output)


def _write(element: "Element", out: list[str], depth: int) -> None:
    """Append an element and what is in it: of those that are unknown only what they contain."""
    tag = element.tag.rpartition("}")[2]
    if depth > _DEPTH_MAX or len(out) > _NODES_MAX:
        raise FormulaRefused("a formula this large is shown as it is written")
    allowed = _ATTRIBUTES.get(tag)
    if allowed is not None:
        said = [(n, v) for n, v in element.items() if n in allowed and (n == "alttext" or _VALUE.fullmatch(v))]
        out += [f"<{tag}", *(Markup(' {}="{}"').format(name, value) for name, value in said), ">"]
    if element.text:
        out.append(_text(element.text))
    # The library gives a matrix in brackets as three bases of its exponent.
    surplus = len(element) - _PARTS.get(tag, len(element))
    for number, child in enumerate(element):
        out.append("<mrow>" if surplus > 0 and number == 0 else "")
        _write(child, out, depth + 1)
        out.append(_text(child.tail or ""))
        out.append("</mrow>" if surplus > 0 and number == surplus else "")
    if allowed is not None:
        out.append(f"</{tag}>")


def _text(text: str) -> str:
    """Return text escaped; the library writes symbols as character references."""
    plain = unescape(text)
    if _UNKNOWN_COMMAND.fullmatch(plain):
        raise FormulaRefused(f"{plain} is no command known here")
    return str(escape(plain))
