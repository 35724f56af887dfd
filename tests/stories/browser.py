"""A person without a browser: opens pages, fills in the forms that stand on them, keeps cookies."""

from dataclasses import dataclass, field
from html.parser import HTMLParser
from types import TracebackType
from urllib.parse import urljoin, urlsplit

import httpx2

REDIRECTS_MAX = 5


@dataclass
class Form:
    """A form as it stands on a page: where it goes, and its fields with what is in them."""

    action: str
    method: str
    fields: dict[str, str] = field(default_factory=dict)
    names: set[str] = field(default_factory=set)
    """Every name a field has, those of boxes that are not ticked too."""


class _Forms(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self._open: Form | None = None
        self._select = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note forms and their fields."""
        found = dict(attrs)
        name = found.get("name") or ""
        if tag == "form":
            self._open = Form(found.get("action") or "", (found.get("method") or "get").lower())
            self.forms.append(self._open)
            return
        if self._open is None:
            return
        if name:
            self._open.names.add(name)
        if tag == "select":
            self._select = name
        elif tag == "option" and self._select and ("selected" in found or self._select not in self._open.fields):
            self._open.fields[self._select] = found.get("value") or ""
        elif tag == "textarea" and name:
            self._open.fields[name] = ""
        elif tag in {"input", "button"} and name:
            self._note_input(name, found)

    def handle_endtag(self, tag: str) -> None:
        """Note where forms end."""
        if tag == "form":
            self._open = None
        elif tag == "select":
            self._select = ""

    def _note_input(self, name: str, found: dict[str, str | None]) -> None:
        assert self._open is not None
        if found.get("type") in {"checkbox", "radio"} and "checked" not in found:
            return
        self._open.fields.setdefault(name, found.get("value") or "")


def forms_of(html: str) -> list[Form]:
    """Return every form of a page."""
    parser = _Forms()
    parser.feed(html)
    return parser.forms


class Browser:
    """One person's browser."""

    def __init__(self, client: httpx2.Client) -> None:
        self._client = client
        self.page: httpx2.Response | None = None

    def __enter__(self) -> "Browser":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._client.close()

    def open(self, path: str) -> httpx2.Response:
        """Open a page, following redirects; any status will do."""
        self.page = self._follow(self._client.get(path))
        return self.page

    def submit(self, **fields: str) -> httpx2.Response:
        """Fill these fields into the one form of the page that has them all, and send it as a browser would."""
        assert self.page is not None, "open a page first"
        fitting = [form for form in forms_of(self.page.text) if form.method == "post" and set(fields) <= form.names]
        assert len(fitting) == 1, (
            f"{len(fitting)} forms with {sorted(fields)} on {self.page.url} ({self.page.status_code})"
        )
        return self.post(fitting[0], fields)

    def form(self, action: str) -> Form:
        """Return the page's form that goes to an address ending like this."""
        assert self.page is not None, "open a page first"
        return next(form for form in forms_of(self.page.text) if form.action.endswith(action))

    def post(self, form: Form, fields: dict[str, str] | None = None) -> httpx2.Response:
        """Send a form of the open page with some fields changed, following redirects."""
        assert self.page is not None, "open a page first"
        here = urlsplit(str(self.page.url))
        headers = {"origin": f"{here.scheme}://{here.netloc}", "sec-fetch-site": "same-origin"}
        target = urljoin(str(self.page.url), form.action)
        self.page = self._follow(self._client.post(target, data=form.fields | (fields or {}), headers=headers))
        return self.page

    def _follow(self, answer: httpx2.Response) -> httpx2.Response:
        for _ in range(REDIRECTS_MAX):
            if answer.status_code not in {301, 302, 303, 307}:
                return answer
            answer = self._client.get(urljoin(str(answer.url), answer.headers["location"]))
        raise AssertionError(f"more than {REDIRECTS_MAX} redirects, last to {answer.url}")
