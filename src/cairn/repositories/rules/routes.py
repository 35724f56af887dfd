"""Every page and every operation of the API about rules."""

from litestar.handlers import HTTPRouteHandler

from cairn.repositories.rules import (
    insights_pages,
    organization_rules_pages,
    organization_rulesets_api,
    protection_api,
    ref_rules_pages,
    rules_pages,
    rulesets_api,
    suites_api,
)

PAGES: tuple[HTTPRouteHandler, ...] = (
    *ref_rules_pages.route_handlers,
    *rules_pages.route_handlers,
    *insights_pages.route_handlers,
    *organization_rules_pages.route_handlers,
)
API: tuple[HTTPRouteHandler, ...] = (
    *rulesets_api.route_handlers,
    *suites_api.route_handlers,
    *organization_rulesets_api.route_handlers,
    *protection_api.route_handlers,
)
