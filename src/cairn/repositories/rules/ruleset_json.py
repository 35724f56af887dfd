"""Rulesets as GitHub's API and its exported files write them, and what somebody sends read into one."""

from collections.abc import Mapping
from typing import Any, get_args

import msgspec

from cairn.base.errors import FieldProblem, Invalid
from cairn.repositories.rules.holder import Holder
from cairn.repositories.rules.types import Rule, Ruleset, RulesetContent
from cairn.repositories.serializers import Json
from cairn.web.api import api_time
from cairn.web.node_ids import make_node_id
from cairn.web.urls import path_join

RULE_TYPES: tuple[str, ...] = tuple(str(kind.__struct_config__.tag) for kind in get_args(Rule))
"""The name of every rule there is."""

_SAID = RulesetContent.__struct_fields__
_ANSWERED_ONLY = frozenset(
    {
        "id",
        "node_id",
        "source",
        "source_type",
        "created_at",
        "updated_at",
        "current_user_can_bypass",
        "_links",
    }
)
"""What answers and exported files say besides: a ruleset may be sent back as it came."""

_OWN = frozenset({"allowed_actors", "dismissal_actors"})


class RulesetUnreadable(Invalid):
    """What was sent is no ruleset; the message names the part."""


def read_ruleset_json(body: Mapping[str, Any], *, before: RulesetContent | None = None) -> RulesetContent:
    """Return the ruleset somebody sent; what they left out is as in ``before``, or as where nothing is said.

    Errors: RulesetUnreadable, which names unknown keys and unknown rules.
    """
    unknown = sorted(set(body) - set(_SAID) - _ANSWERED_ONLY)
    if unknown:
        known = ", ".join(_SAID)
        raise _unreadable(unknown[0], f"{', '.join(unknown)[:200]} is nothing a ruleset has; it has {known}.")
    said = {name: value for name, value in body.items() if name in _SAID}
    if "rules" in said:
        said["rules"] = [msgspec.to_builtins(rule) for rule in _read_rules(said["rules"])]
    kept: dict[str, Any] = {} if before is None else msgspec.to_builtins(before)
    if kept and isinstance(said.get("conditions"), dict):
        # Who says which branches has not said that it is about all repositories.
        said["conditions"] = kept["conditions"] | said["conditions"]
    try:
        return msgspec.convert(kept | said, RulesetContent)
    except msgspec.ValidationError as error:
        raise _refused(str(error)) from None


def _read_rules(sent: object) -> list[Rule]:
    if not isinstance(sent, list) or not all(isinstance(rule, dict) for rule in sent):
        raise _unreadable("rules", "rules is a list of objects, each with its type.")
    unknown = sorted({str(rule.get("type"))[:60] for rule in sent if rule.get("type") not in RULE_TYPES})
    if unknown:
        raise _unreadable("rules", f"There is no rule {', '.join(unknown)}; the rules are {', '.join(RULE_TYPES)}.")
    return [_read_rule(place, rule) for place, rule in enumerate(sent)]


def _read_rule(place: int, sent: dict[str, Any]) -> Rule:
    try:
        # GitHub writes null where it has no name for a pattern, and parameters where a rule takes none.
        parameters = sent.get("parameters")
        if isinstance(parameters, dict):
            sent = sent | {"parameters": {name: value for name, value in parameters.items() if value is not None}}
        elif parameters is None:
            sent = {name: value for name, value in sent.items() if name != "parameters"}
        found: Rule = msgspec.convert(sent, Rule)
    except msgspec.ValidationError as error:
        said, _, path = str(error).partition(" - at `$")
        raise _unreadable("rules", f"rules[{place}]{path.strip('`')} ({sent['type']}): {said}") from None
    return found


def _refused(message: str) -> RulesetUnreadable:
    said, _, path = message.partition(" - at `$")
    place = path.strip("`.")
    field = place.split("[")[0].split(".")[0] or "name"
    for name in _SAID:
        if f"`{name}`" in said and not place:
            field = name
    return _unreadable(field, f"{place or field}: {said}")


def _unreadable(field: str, message: str) -> RulesetUnreadable:
    return RulesetUnreadable(f"Validation Failed: {message}", FieldProblem(field, "invalid", message[:1000], "Ruleset"))


def source_of(holder: Holder, ruleset: Ruleset) -> Json:
    """Return whose ruleset it is, in GitHub's words."""
    if ruleset.repository_id is None:
        return {"source_type": "Organization", "source": holder.owner}
    return {"source_type": "Repository", "source": holder.name}


def _addresses(holder: Holder, ruleset: Ruleset) -> tuple[str, str]:
    """Return where a ruleset stands, in the API and as a page."""
    if ruleset.repository_id is None:
        settings = path_join("organizations", holder.owner, "settings", "rules")
        return f"{path_join('orgs', holder.owner)}/rulesets/{ruleset.id}", f"{settings}/{ruleset.id}"
    path = "/" + holder.name
    return f"/repos{path}/rulesets/{ruleset.id}", f"{path}/rules#ruleset-{ruleset.id}"


def ruleset_json(origin: str, holder: Holder, ruleset: Ruleset) -> Json:
    """Return a ruleset as lists have it."""
    content = ruleset.content
    api, page = _addresses(holder, ruleset)
    return {
        "id": ruleset.id,
        "name": content.name,
        "target": content.target.value,
        **source_of(holder, ruleset),
        "enforcement": content.enforcement.value,
        "node_id": make_node_id("RRS", ruleset.id),
        "_links": {"self": {"href": f"{origin}/api/v3{api}"}, "html": {"href": origin + page}},
        "created_at": api_time(ruleset.created_at),
        "updated_at": api_time(ruleset.updated_at),
    }


def full_ruleset_json(origin: str, holder: Holder, ruleset: Ruleset, *, may_edit: bool, bypass: str = "") -> Json:
    """Return a ruleset with its rules; who may bypass is for those who look after it.

    ``bypass`` says whether the caller may: always, pull_requests_only, never. GitHub says it of a repository only.
    """
    said = content_json(ruleset.content)
    body = ruleset_json(origin, holder, ruleset) | {
        "conditions": said["conditions"],
        "rules": said["rules"],
    }
    if bypass:
        body["current_user_can_bypass"] = bypass
    if may_edit:
        body["bypass_actors"] = said["bypass_actors"]
    return body


def content_json(content: RulesetContent) -> Json:
    """Return what people say of a ruleset, as an exported file has it."""
    found: Json = msgspec.to_builtins(content)
    return found | {"rules": [plain_rule(rule) for rule in content.rules]}


def plain_rule(rule: Rule) -> Json:
    """Return a rule as GitHub writes it; what Cairn adds stands there only where somebody said it."""
    found: Json = msgspec.to_builtins(rule)
    parameters = {name: value for name, value in found.pop("parameters", {}).items() if name not in _OWN or value}
    return found | ({"parameters": parameters} if parameters else {})


def rule_json(holder: Holder, ruleset: Ruleset, rule: Rule) -> Json:
    """Return a rule that applies somewhere, with where it comes from."""
    source = source_of(holder, ruleset)
    return plain_rule(rule) | {
        "ruleset_source_type": source["source_type"],
        "ruleset_source": source["source"],
        "ruleset_id": ruleset.id,
    }
