"""reStructuredText to HTML by docutils, with all that reaches outside of the text switched off."""

import mimetypes
import pkgutil
from functools import lru_cache
from importlib import import_module
from typing import Any

from markupsafe import Markup, escape

from cairn.web.markup.code_blocks import CodeBlocks
from cairn.web.markup.documents import TextUnreadable
from cairn.web.markup.formulas import render_formula
from cairn.web.markup.sanitise import place, without_marks

_SETTINGS: dict[str, object] = {
    "_disable_config": True,  # no file of the node decides what a text becomes
    "file_insertion_enabled": False,
    "raw_enabled": False,
    "embed_stylesheet": False,
    "stylesheet_path": None,
    "stylesheet": None,
    "image_loading": "link",
    "halt_level": 5,
    "report_level": 5,
    "traceback": True,  # what is wrong with docutils is raised, not printed
    "warning_stream": False,
    "syntax_highlight": "none",  # ours is used
    "doctitle_xform": True,
    "sectsubtitle_xform": False,
    "initial_header_level": 2,
    "toc_backlinks": False,
    "smart_quotes": False,
    "line_length_limit": 20_000,
    "input_encoding": "unicode",
    "output_encoding": "unicode",
    "auto_id_prefix": "id-",
}
_KINDS = {
    "hint": "tip",
    "tip": "tip",
    "important": "important",
    "attention": "warning",
    "warning": "warning",
    "caution": "caution",
    "danger": "caution",
    "error": "caution",
}
"""Which of Markdown's alerts an admonition looks like, by its class; all others are notes."""


class RstRefused(TextUnreadable):
    """docutils gave a text up."""


def to_html(text: str, pieces: list[Markup]) -> str:
    """Return reStructuredText as HTML that still has to be sanitised; formulas are appended to ``pieces``.

    Directives that put files, addresses or raw HTML into a text do nothing. Errors: RstRefused.
    """
    from docutils.core import publish_parts
    from docutils.utils import SystemMessage

    _know_sphinx()
    writer = _writer_class()()
    writer.pieces = pieces
    try:
        parts = publish_parts(without_marks(text), writer=writer, settings_overrides=dict(_SETTINGS))
    except SystemMessage as error:
        raise RstRefused(str(error)) from error
    return str(parts["html_body"])


def load() -> None:
    """Everything of docutils is imported that it would import by itself when a text first needs it."""
    from docutils import transforms
    from docutils.parsers.rst import directives

    for package in (directives, transforms):
        for module in pkgutil.iter_modules(package.__path__, package.__name__ + "."):
            import_module(module.name)
    for name in ("languages.en", "parsers.rst.languages.en", "readers.standalone"):
        import_module(f"docutils.{name}")
    mimetypes.init()
    _know_sphinx()


@lru_cache(maxsize=1)
def _know_sphinx() -> None:
    """Let the commonest words of Sphinx mean something: notes become notes, references their text."""
    from docutils import nodes
    from docutils.parsers.rst import Directive, directives, roles
    from docutils.parsers.rst.directives.admonitions import BaseAdmonition

    class SeeAlso(BaseAdmonition):
        node_class = nodes.admonition

        def run(self) -> list[nodes.Node]:
            """Return a box with a title of its own."""
            self.arguments = ["See also"]
            return list(super().run())

    class Shown(Directive):
        """Stands for a directive that only Sphinx can follow: its content is shown as it is."""

        optional_arguments = 1
        final_argument_whitespace = True
        has_content = True

        def run(self) -> list[nodes.Node]:
            """Return the directive's own lines."""
            shown = self.block_text
            return [nodes.literal_block(shown, shown)]

    directives.register_directive("seealso", SeeAlso)
    for name in ("toctree", "automodule", "autoclass", "autofunction", "literalinclude"):
        directives.register_directive(name, Shown)
    literal = ("class", "func", "meth", "mod", "attr", "exc", "data", "const", "obj", "option", "envvar", "file", "kbd")
    for name in (
        *literal,
        *(f"py:{name}" for name in literal),
        "samp",
        "command",
        "program",
        "guilabel",
        "menuselection",
    ):
        roles.register_generic_role(name, nodes.literal)
    for name in ("ref", "doc", "term", "numref", "any", "download", "abbr"):
        roles.register_generic_role(name, nodes.inline)


@lru_cache(maxsize=1)
def _writer_class() -> Any:  # noqa: ANN401 (a class made once docutils is loaded)
    """Return a writer whose code, formulas and admonitions look as those of Markdown do."""
    from docutils import nodes
    from docutils.writers.html5_polyglot import HTMLTranslator, Writer

    class Translator(HTMLTranslator):
        def __init__(self, document: nodes.document) -> None:
            super().__init__(document)
            self.pieces: list[Markup] = []
            self._code = CodeBlocks()

        def visit_literal_block(self, node: nodes.literal_block) -> None:
            """Write code in our own colours."""
            language = (
                next((name for name in node["classes"] if name != "code"), "") if "code" in node["classes"] else ""
            )
            self.body.append(self._code.html(node.astext(), language))
            raise nodes.SkipNode

        def visit_doctest_block(self, node: nodes.doctest_block) -> None:
            """Write a session at the interpreter's prompt."""
            self.body.append(self._code.html(node.astext(), "pycon"))
            raise nodes.SkipNode

        def visit_math(self, node: nodes.math) -> None:
            """Leave a place for a formula."""
            self._formula(node, is_display=False)

        def visit_math_block(self, node: nodes.math_block) -> None:
            """Leave a place for a formula in a line of its own."""
            self._formula(node, is_display=True)

        def visit_admonition(self, node: nodes.Element) -> None:
            """Open a box."""
            kind = next((_KINDS[name] for name in node["classes"] if name in _KINDS), "note")
            self.body.append(f'<div class="markdown-alert markdown-alert-{kind}">\n')

        def depart_admonition(self, node: nodes.Element | None = None) -> None:
            """Close a box."""
            del node
            self.body.append("</div>\n")

        def visit_section(self, node: nodes.section) -> None:
            """Give the section's ids to its heading: there is one place to link to."""
            if isinstance(node[0], nodes.title):
                node[0]["ids"], node["ids"] = node["ids"], []
            super().visit_section(node)

        def visit_title(self, node: nodes.title) -> None:
            """Write a heading, or the title of a box."""
            if isinstance(node.parent, nodes.Admonition | nodes.admonition):
                self.body.append('<p class="markdown-alert-title">')
                self.context.append("</p>\n")
            else:
                super().visit_title(node)

        def visit_subtitle(self, node: nodes.subtitle) -> None:
            """Write a subtitle as the heading it was written as."""
            self.body.append(self.starttag(node, "h2", ""))

        def depart_subtitle(self, node: nodes.subtitle) -> None:
            """Close it."""
            del node
            self.body.append("</h2>\n")

        def visit_literal(self, node: nodes.literal) -> None:
            """Write code in a line."""
            self.body.append(f"<code>{escape(node.astext())}</code>")
            raise nodes.SkipNode

        def visit_system_message(self, node: nodes.system_message) -> None:
            """Say nothing of what is wrong with the text."""
            raise nodes.SkipNode

        def _formula(self, node: nodes.Element, *, is_display: bool) -> None:
            self.pieces.append(render_formula(node.astext(), is_display=is_display))
            found = place(len(self.pieces) - 1)
            self.body.append(f"<p>{found}</p>\n" if is_display else found)
            raise nodes.SkipNode

    class PageWriter(Writer):
        pieces: list[Markup]

        def __init__(self) -> None:
            super().__init__()
            self.translator_class = self._translator  # type: ignore[assignment]  # it is only called

        def apply_template(self) -> str:
            """Return nothing: the parts are what is asked for, and the frame around them lies in a file."""
            return ""

        def _translator(self, document: nodes.document) -> Translator:
            translator = Translator(document)
            translator.pieces = self.pieces
            return translator

    return PageWriter
