"""What search engines and other crawlers are told to leave alone: whatever has no end, by what routes declare."""

import re
from collections.abc import Iterable

from litestar import Response
from litestar.handlers import HTTPRouteHandler

from cairn.web.context import RequestContext
from cairn.web.costs import Cost
from cairn.web.routing import PUBLIC, DeclaredRoute, declared_routes, page

CRAWL_DELAY_SECONDS = 2
_ALWAYS = ("/api/", "/-/", "/login", "/join", "/settings", "/admin", "/*/*/raw/", "/*/*/settings", "/*?*")
"""Doors of programs and forms, bytes that are no pages, and every other way to look at one page."""


@page.get("/robots.txt", action=PUBLIC, resource="none")
async def robots_txt(context: RequestContext) -> Response[str]:
    """Answer what crawlers may ask for (RFC 9309): as the operator wants it, nothing or what is not endless."""
    refused = ["/"] if context.settings.crawlers == "refused" else endless(declared_routes(context.request.app))
    lines = ["User-agent: *", *(f"Disallow: {path}" for path in refused), f"Crawl-delay: {CRAWL_DELAY_SECONDS}", ""]
    headers = {"Cache-Control": "public, max-age=86400"}
    return Response(content="\n".join(lines), media_type="text/plain", headers=headers)


def endless(routes: Iterable[DeclaredRoute]) -> list[str]:
    """Return the patterns of addresses that crawlers should not follow: of each page that costs, and a few more."""
    costly = {
        re.sub(r"\{[^}]*\}", "*", route.path).removesuffix("/*")
        for route in routes
        if route.declaration.kind == "page" and route.declaration.cost is not Cost.LIGHT
    }
    return sorted({*_ALWAYS, *costly})


route_handlers: list[HTTPRouteHandler] = [robots_txt]
