"""Forms: reading them into structs with a message per field, and refusing those that another site made.

A page reads with ``read_form``; ``form.require()`` gives the struct or raises Invalid, as domain functions do, so that
one ``except Invalid`` re-renders the form with the values and messages in place.
"""

import re
import types
import typing
from collections.abc import Iterable, Mapping
from typing import Any, Generic, Self, TypeVar, cast
from urllib.parse import parse_qsl, urlsplit

import msgspec
from litestar.enums import RequestEncodingType

from cairn.base.errors import FieldProblem, Forbidden, Invalid, Malformed
from cairn.web.asgi import Receive
from cairn.web.context import RequestContext, Via, WebRequest, context_of
from cairn.web.ends import REST_BYTES_MAX, take_rest
from cairn.web.multipart import UploadedFile, read_parts, upload_folder

T = TypeVar("T", bound=msgspec.Struct)

CSRF_FIELD = "csrf_token"
CSRF_HEADER = "x-csrf-token"
FIELDS_MAX = 1000
_DISCARD_SECONDS = 5
_FALSE = {"", "0", "false", "off", "no"}


class CrossSite(Forbidden):
    """The request came from another site, or its form is older than the session."""


class FormOutOfDate(CrossSite):
    """A form of ours that was made for another session: the person signed in, or out, after it was opened."""


class Form(Generic[T]):
    """One form: what was typed, what is wrong with it, and the struct if nothing is."""

    def __init__(self, kind: type[T], values: Mapping[str, Any]) -> None:
        self.kind = kind
        self.values: dict[str, Any] = dict(values)
        self.problems: dict[str, str] = {}
        self.summary = ""
        self.value: T | None = None
        self._found: list[FieldProblem] = []

    @property
    def has_problems(self) -> bool:
        """True when something must be corrected."""
        return bool(self.problems or self.summary)

    def require(self) -> T:
        """Return the struct; Invalid with every field's problem if it could not be made."""
        if self.value is None:
            raise Invalid("Please correct the marked fields.", *self._found)
        return self.value

    def reject(self, error: Invalid) -> Self:
        """Show a domain function's refusal at its fields; what names no field of this form goes on top."""
        names = {field.name for field in msgspec.structs.fields(self.kind)}
        rest = [problem for problem in error.problems if problem.field not in names]
        self.problems |= {problem.field: problem.message for problem in error.problems if problem.field in names}
        said = [problem.message for problem in rest] if error.problems else [error.message]
        self.summary = " ".join(said)
        return self


def blank_form(kind: type[T], **values: object) -> Form[T]:
    """Return a form nobody has filled in yet, with defaults of the struct and then ``values`` in its fields."""
    known = {
        field.name: field.default
        for field in msgspec.structs.fields(kind)
        if field.default is not msgspec.NODEFAULT and field.default is not None
    }
    return Form(kind, known | values)


async def read_form(request: WebRequest, kind: type[T]) -> Form[T]:
    """Return the posted form, each field parsed into the type its struct gives it.

    Text keeps its blanks, line ends become ``\\n``. A missing checkbox is False; an empty text for an optional field is
    None. Fields the struct does not have are ignored, except that nothing reads them.
    """
    fields = await read_fields(context_of(request))
    form: Form[T] = Form(kind, {})
    converted: dict[str, Any] = {}
    for spec in msgspec.structs.fields(kind):
        raw = _raw_value(spec.type, fields.get(spec.encode_name, []))
        form.values[spec.name] = "" if raw is None else raw
        if raw is None and spec.default is not msgspec.NODEFAULT:
            continue
        if raw is None and spec.default_factory is not msgspec.NODEFAULT:
            continue
        if raw is None and not _is_optional(spec.type):
            _note(form, spec.name, "missing_field", "Fill this in.")
            continue
        try:
            converted[spec.name] = (
                raw if isinstance(raw, UploadedFile) else msgspec.convert(raw, spec.type, strict=False)
            )
        except msgspec.ValidationError as error:
            _note(form, spec.name, "invalid", _explain(spec.type, str(error)))
    if not form.problems:
        try:
            form.value = kind(**converted)
        except ValueError as error:
            form.summary = str(error)
            form._found.append(FieldProblem("", "custom", str(error)))  # noqa: SLF001 (its maker)
    return form


def _note(form: Form[T], name: str, code: str, message: str) -> None:
    form.problems[name] = message
    form._found.append(FieldProblem(name, code, message))  # noqa: SLF001 (its maker)


def _raw_value(kind: object, sent: list[Any]) -> Any:  # noqa: ANN401 (text, list of texts, bool or file)
    base = _base(kind)
    if base is bool:
        return bool(sent) and str(sent[-1]).lower() not in _FALSE
    if typing.get_origin(base) in {list, tuple, set, frozenset}:
        return list(sent)
    if not sent:
        return None
    if sent[-1] == "" and (_is_optional(kind) or base is not str):
        return None
    return sent[-1]


def _base(kind: object) -> object:
    """Return the type without ``Annotated`` and ``| None``."""
    while typing.get_origin(kind) is typing.Annotated:
        kind = typing.get_args(kind)[0]
    if _is_optional(kind):
        rest = [part for part in typing.get_args(kind) if part is not type(None)]
        return _base(rest[0]) if len(rest) == 1 else kind
    return kind


def _is_optional(kind: object) -> bool:
    while typing.get_origin(kind) is typing.Annotated:
        kind = typing.get_args(kind)[0]
    return typing.get_origin(kind) in {typing.Union, types.UnionType} and type(None) in typing.get_args(kind)


def _explain(kind: object, message: str) -> str:
    """Turn msgspec's message into one for a person; ``Meta(extra_json_schema={"message": …})`` has the last word."""
    for meta in getattr(kind, "__metadata__", ()):
        said = (getattr(meta, "extra_json_schema", None) or {}).get("message")
        if said:
            return str(said)
    if match := re.search(r"length >= (\d+)", message):
        return "Fill this in." if match[1] == "1" else f"Write at least {match[1]} characters."
    if match := re.search(r"length <= (\d+)", message):
        return f"Write at most {match[1]} characters."
    if match := re.search(r"`int` (>=|<=) (-?\d+)", message):
        return f"Give a number of at {'least' if match[1] == '>=' else 'most'} {match[2]}."
    if "Invalid enum value" in message:
        return "Choose one of the options."
    if "Expected `int" in message:
        return "Give a whole number."
    return "This does not have the expected form."


async def read_fields(context: RequestContext) -> Mapping[str, list[Any]]:
    """Return the posted fields, texts and files, parsed once; Malformed if they cannot be read or are over 1,000."""
    if context.fields is None:
        context.fields = await _parse_fields(context, context.request)
    return context.fields


async def receive_body(context: RequestContext, request: WebRequest) -> None:
    """Return when the whole body is here: in memory, but for the files of a form.

    ``request`` is the handler's, whose body has the route's limits.
    """
    if request.content_type[0] == RequestEncodingType.MULTI_PART:
        context.fields = await _parse_fields(context, request)
    else:
        await request.body()


async def discard_body(request: WebRequest) -> None:
    """Return when the rest of a body that nobody reads is here and gone, unless it is large or slow.

    Otherwise the server's answer would say, and end the connection, or not, by how the body's bytes happened to be cut:
    a client that still sends might not hear why, and two refusals that must be the same would differ.
    """
    declared = request.headers.get("content-length", "")
    if not request.is_connected or (declared.isdigit() and int(declared[:19]) > REST_BYTES_MAX):
        return
    await take_rest(cast("Receive", request.receive), seconds=_DISCARD_SECONDS)


async def _parse_fields(context: RequestContext, request: WebRequest) -> dict[str, list[Any]]:
    content_type, options = request.content_type
    if content_type == RequestEncodingType.MULTI_PART:
        folder = context.held.enter_context(upload_folder(context.settings.forms_path))
        boundary = options.get("boundary", "").encode()
        if not boundary:
            raise Malformed("The form cannot be read: it does not say where its fields end.")
        pairs: Iterable[tuple[str, Any]] = await read_parts(request.stream(), boundary, folder, parts_max=FIELDS_MAX)
    elif content_type == RequestEncodingType.URL_ENCODED:
        body = await request.body()
        try:
            pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=FIELDS_MAX, errors="strict")
        except ValueError:
            raise Malformed("The form cannot be read: it is not UTF-8 or has over 1,000 fields.") from None
    else:
        return {}
    fields: dict[str, list[Any]] = {}
    for name, value in pairs:
        fields.setdefault(name, []).append(value.replace("\r\n", "\n") if isinstance(value, str) else value)
    return fields


async def require_same_site(context: RequestContext, *, is_api: bool) -> None:
    """Return if this write was made by our own page or by a program with its own credential; CrossSite otherwise.

    Programs prove themselves in a header that no foreign page can send, so only requests that a browser could
    authenticate by itself are checked: every form, and API calls made with the session's cookie.
    """
    if is_api and context.authentication.via is not Via.SESSION:
        return
    headers = context.request.headers
    if headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"}:
        raise CrossSite(
            "This form was sent from another site, so nothing was changed. Open the page here and try again."
        )
    origin = headers.get("origin")
    if origin is not None and not is_own_origin(context, origin):
        raise CrossSite(
            "This form was sent from another site, so nothing was changed. Open the page here and try again."
        )
    token = headers.get(CSRF_HEADER, "")
    if not token and not is_api:
        sent = (await read_fields(context)).get(CSRF_FIELD, [])
        token = str(sent[0]) if sent else ""
    if not context.csrf_token_is_valid(token):
        raise FormOutOfDate("This form is out of date, so nothing was changed. Reload the page and try again.")


def is_own_origin(context: RequestContext, origin: str) -> bool:
    """Tell whether an Origin header names this site, by its configured address or by the one it was reached at."""
    if origin == context.settings.origin:
        return True
    # Reached by another name (localhost beside 127.0.0.1): the browser sends cookies only to the host it names.
    scope = context.request.scope
    own = f"{scope.get('scheme', 'http')}://{context.request.headers.get('host', '')}"
    return origin == own and urlsplit(origin).netloc != ""
