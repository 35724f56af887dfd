"""What rendered texts need of the site: the frame that diagrams are drawn in, and the emoji by their names."""

from litestar import Response
from litestar.handlers import HTTPRouteHandler

from cairn.base.errors import NotFound
from cairn.web.context import RequestContext
from cairn.web.markup.emojis import emoji_names
from cairn.web.render import HTML
from cairn.web.routing import PUBLIC, api, page


def diagram_policy(nonce: str) -> str:
    """Return the content policy of the frame: it runs one library, without an origin, and asks nobody for anything."""
    return (
        f"default-src 'none'; script-src 'nonce-{nonce}' 'strict-dynamic'; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'self'; sandbox allow-scripts"
    )


@page.get("/-/diagram", action=PUBLIC, resource="none")
async def diagram(context: RequestContext) -> Response[str]:
    """Answer the document that draws a diagram its page sends it."""
    if not context.site.renderer.library_url("mermaid"):
        raise NotFound("Diagrams cannot be drawn here: the browser libraries are not installed.")
    text = context.site.renderer.text("web/diagram.html", {"nonce": context.nonce})
    return Response(content=text, media_type=HTML, headers={"Content-Security-Policy": diagram_policy(context.nonce)})


@api.get("/api/v3/emojis", action=PUBLIC, resource="none")
async def emojis(context: RequestContext) -> dict[str, str]:
    """Answer every shortcode with the address of its picture."""
    origin = context.settings.origin
    return {name: f"{origin}/-/emoji/{_code(characters)}.svg" for name, characters in sorted(emoji_names().items())}


@page.get("/-/emoji/{file_name:str}", action=PUBLIC, resource="none")
async def emoji_picture(file_name: str) -> Response[bytes]:
    """Answer an emoji as a picture: its characters, as the reader's own system draws them."""
    code, _, suffix = file_name.partition(".")
    known = {_code(characters): characters for characters in emoji_names().values()} if suffix == "svg" else {}
    if code not in known:
        raise NotFound("There is no such emoji.")
    picture = (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 20 20" width="20" height="20">'
        f'<text x="10" y="16" font-size="16" text-anchor="middle">{known[code]}</text></svg>'
    )
    headers = {"Cache-Control": "public, max-age=31536000, immutable"}
    return Response(content=picture.encode(), media_type="image/svg+xml", headers=headers)


def _code(characters: str) -> str:
    """Return the code points of an emoji as its file is named: ``1f680``, ``1f1e9-1f1ea``."""
    return "-".join(f"{ord(character):x}" for character in characters)


route_handlers: list[HTTPRouteHandler] = [diagram, emojis, emoji_picture]
