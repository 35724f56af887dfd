"""Jupyter notebooks as documents: words, code and what it gave, none of it run."""

import json
import re
from typing import Any

import msgspec
from markupsafe import Markup, escape

from cairn.web.markup import markdown
from cairn.web.markup.code_blocks import CodeBlocks
from cairn.web.markup.documents import Source, TextUnreadable
from cairn.web.markup.formulas import render_formula
from cairn.web.markup.sanitise import place, sanitise, without_marks

CELLS_MAX = 1_000
OUTPUTS_MAX = 100
"""So many outputs of one cell are shown."""

OUTPUT_CHARACTERS_MAX = 50_000
"""Longer printed output is cut."""

_PICTURES = ("image/png", "image/jpeg", "image/gif", "image/webp", "image/svg+xml")
_BASE64 = re.compile(r"[A-Za-z0-9+/\s]+={0,2}\s*")
_ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class NotebookUnreadable(TextUnreadable):
    """A text is no notebook of a version that is known."""


class _Notebook:
    """Writes one notebook's cells."""

    def __init__(self, source: Source, pieces: list[Markup], language: str) -> None:
        self._source = source
        self._pieces = pieces
        self._language = language
        self._code = CodeBlocks()

    def cell(self, cell: dict[str, Any]) -> str:
        """Return one cell."""
        text = _joined(cell.get("source", cell.get("input", "")))
        match cell.get("cell_type"):
            case "markdown" | "heading":
                return self._markdown(text)
            case "code":
                outputs = cell.get("outputs")
                shown = [self._output(each) for each in (outputs if isinstance(outputs, list) else [])[:OUTPUTS_MAX]]
                count = cell.get("execution_count", cell.get("prompt_number"))
                said = f'<p class="cell-count">In [{count if isinstance(count, int) else " "}]:</p>'
                return f'<div class="cell">{said}{self._code.html(text, self._language)}{"".join(shown)}</div>\n'
            case _:
                return self._code.html(text, "")

    def _markdown(self, text: str) -> str:
        """Return a cell of words."""
        html = markdown.to_html(msgspec.structs.replace(self._source, text=text), self._pieces)
        return f"<section>{html}</section>\n"

    def _output(self, output: object) -> str:
        if not isinstance(output, dict):
            return ""
        match output.get("output_type"):
            case "stream":
                return self._printed(_joined(output.get("text", "")))
            case "error" | "pyerr":
                trace = output.get("traceback")
                return self._printed("\n".join(map(str, trace)) if isinstance(trace, list) else "")
            case "display_data" | "execute_result" | "pyout":
                data = output.get("data")
                return self._data(data if isinstance(data, dict) else {})
            case _:
                return ""

    def _data(self, data: dict[str, Any]) -> str:
        """Return the richest of an output's forms that can be shown."""
        for kind in _PICTURES:
            if kind in data and (picture := _picture(kind, _joined(data[kind]))):
                self._pieces.append(picture)
                return f'<div class="cell-out">{place(len(self._pieces) - 1)}</div>'
        if "text/latex" in data:
            latex = _joined(data["text/latex"]).strip()
            self._pieces.append(render_formula(latex.strip("$").strip(), is_display=latex.startswith("$$")))
            return f'<div class="cell-out"><p>{place(len(self._pieces) - 1)}</p></div>'
        if "text/html" in data:
            safe, _, _ = sanitise(without_marks(_joined(data["text/html"])))
            return f'<div class="cell-out">{safe}</div>'
        if "text/markdown" in data:
            return f'<div class="cell-out">{self._markdown(_joined(data["text/markdown"]))}</div>'
        return self._printed(_joined(data.get("text/plain", "")))

    def _printed(self, text: str) -> str:
        plain = without_marks(_ANSI.sub("", text))
        if not plain.strip():
            return ""
        cut = plain if len(plain) <= OUTPUT_CHARACTERS_MAX else plain[:OUTPUT_CHARACTERS_MAX] + "\n…"
        return f'<div class="cell-out"><pre>{escape(cut)}</pre></div>'


def to_html(source: Source, pieces: list[Markup]) -> str:
    """Return a notebook as HTML that still has to be sanitised; NotebookUnreadable."""
    try:
        notebook = json.loads(source.text)
    except ValueError as error:
        raise NotebookUnreadable(str(error)) from error
    if not isinstance(notebook, dict):
        raise NotebookUnreadable("a notebook is a JSON object")
    cells = notebook.get("cells")
    if cells is None and isinstance(sheets := notebook.get("worksheets"), list) and sheets:
        cells = sheets[0].get("cells") if isinstance(sheets[0], dict) else None
    if not isinstance(cells, list):
        raise NotebookUnreadable("a notebook has cells")
    writer = _Notebook(source, pieces, _language_of(notebook))
    return "".join(writer.cell(cell) for cell in cells[:CELLS_MAX] if isinstance(cell, dict))


def _language_of(notebook: dict[str, Any]) -> str:
    metadata = notebook.get("metadata")
    said = metadata.get("language_info") if isinstance(metadata, dict) else None
    name = said.get("name") if isinstance(said, dict) else None
    return name.lower() if isinstance(name, str) and re.fullmatch(r"[\w+#.-]{1,40}", name) else "python"


def _joined(value: object) -> str:
    """Return a notebook's text: a string, or the list of its lines."""
    if isinstance(value, list):
        return "".join(line for line in value if isinstance(line, str))
    return value if isinstance(value, str) else ""


def _picture(kind: str, data: str) -> Markup | None:
    """Return a picture that carries its own bytes; no browser runs what is in one."""
    import base64

    if kind == "image/svg+xml":
        data = base64.b64encode(data.encode("utf-8", "replace")).decode()
    packed = "".join(data.split())
    if not packed or not _BASE64.fullmatch(packed):
        return None
    return Markup('<img src="data:{};base64,{}" alt="Output of the cell">').format(kind, packed)
