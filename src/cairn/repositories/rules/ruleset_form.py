"""The form of a ruleset: its fields filled from a ruleset, and a ruleset read from its fields; no script is wanted.

Fields of a rule are named ``TYPE.PLACE`` and ``TYPE.PLACE.PARAMETER``, those of the bypass list ``bypass.KIND.NUMBER``.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import UnsetType
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.base.actor import Actor
from cairn.base.errors import FieldProblem, Invalid
from cairn.repositories.rules.holder import Holder
from cairn.repositories.rules.rule_actors import ActorKey, find_people, find_teams
from cairn.repositories.rules.rule_sections import METHODS, SECTIONS, Ask, RuleField, RuleSection
from cairn.repositories.rules.ruleset_json import content_json, read_ruleset_json
from cairn.repositories.rules.types import (
    ALL,
    DEFAULT_BRANCH,
    BypassActor,
    BypassKind,
    PullRequest,
    RepositoryNames,
    RuleActor,
    RulesetContent,
    Update,
)
from cairn.web.forms import Form

Fields = Mapping[str, list[Any]]
_WORDS = {"takes_default": DEFAULT_BRANCH, "takes_all": ALL}
_REPEATED_MAX = 30
_SEPARATORS = re.compile(r"[\s,]+")
FIXED_BYPASS: tuple[ActorKey, ...] = (
    (BypassKind.ROLE, 5),
    (BypassKind.ROLE, 2),
    (BypassKind.ROLE, 4),
    (BypassKind.DEPLOY_KEY, None),
    (BypassKind.SITE_ADMIN, None),
)
"""Those whom every form offers; where there is an organization, its owners too."""
ORGANIZATION_BYPASS: ActorKey = (BypassKind.ORGANIZATION_ADMIN, None)


def bypass_name(key: ActorKey) -> str:
    """Return the field that says when somebody may bypass."""
    kind, number = key
    return f"bypass.{kind.value}.{'' if number is None else number}"


def actor_word(actor: RuleActor) -> str:
    """Return somebody a rule lets through as the form's boxes name them."""
    return f"{actor.actor_type.value}:{'' if actor.actor_id is None else actor.actor_id}"


def filled_form(content: RulesetContent) -> Form[RulesetContent]:
    """Return the form as it shows a ruleset."""
    names = content.conditions.ref_name
    prefix = content.target.prefix.decode()
    values: dict[str, Any] = {
        "name": content.name,
        "target": content.target.value,
        "enforcement": content.enforcement.value,
        "include": _lines([one.removeprefix(prefix) for one in names.include if one not in _WORDS.values()]),
        "exclude": _lines([one.removeprefix(prefix) for one in names.exclude]),
    }
    values |= {field: word in names.include for field, word in _WORDS.items()}
    values |= _repositories_shown(content.conditions.repository_name)
    values |= {bypass_name((one.actor_type, one.actor_id)): one.bypass_mode.value for one in content.bypass_actors}
    places: dict[str, int] = {}
    for rule in content_json(content)["rules"]:
        place = places.setdefault(rule["type"], 0)
        places[rule["type"]] += 1
        values[f"{rule['type']}.{place}"] = True
        for field in SECTIONS[rule["type"]].fields:
            said = rule.get("parameters", {}).get(field.name)
            values[f"{rule['type']}.{place}.{field.name}"] = _shown(field, said)
    return with_defaults(Form(RulesetContent, values))


def _repositories_shown(names: RepositoryNames | UnsetType) -> dict[str, Any]:
    if not isinstance(names, RepositoryNames):
        names = RepositoryNames(include=(ALL,))
    return {
        "takes_all_repositories": ALL in names.include,
        "include_repositories": _lines([one for one in names.include if one != ALL]),
        "exclude_repositories": _lines(names.exclude),
        "keeps_names": names.protected,
    }


def with_defaults(form: Form[RulesetContent]) -> Form[RulesetContent]:
    """Return the form with what stands in fields that nobody has filled in."""
    for section in SECTIONS.values():
        for place in places_of(form, section):
            if form.values.get(f"{section.type}.{place}"):
                continue
            for field in section.fields:
                default: Any = [word for word, _ in METHODS] if field.ask is Ask.METHODS else field.value
                form.values.setdefault(f"{section.type}.{place}.{field.name}", default)
    return form


def chosen_kinds(form: Form[RulesetContent]) -> list[str]:
    """Return the names of the rules that are turned on; of one that may stand here often, if its first is."""
    return [section.type for section in SECTIONS.values() if form.values.get(f"{section.type}.0")]


def places_of(form: Form[RulesetContent], section: RuleSection) -> range:
    """Return the places a section has on the page: one, or of a repeatable rule one more than there are."""
    if not section.is_repeatable:
        return range(1)
    used = [place for place in range(_REPEATED_MAX) if form.values.get(f"{section.type}.{place}")]
    return range(max(used, default=-1) + 2)


def _lines(texts: Sequence[str]) -> str:
    return "\n".join(texts)


def _shown(field: RuleField, said: Any) -> Any:  # noqa: ANN401 (JSON)
    match field.ask:
        case Ask.LINES:
            return _lines(said or [])
        case Ask.CHECKS:
            numbers = [(one["context"], one.get("integration_id")) for one in said or []]
            return _lines([name if number is None else f"{name} = {number}" for name, number in numbers])
        case Ask.SECRETS:
            return _lines([f"{one['name']} = {one['pattern']}" for one in said or []])
        case Ask.ACTORS:
            return [f"{one['actor_type']}:{one.get('actor_id') or ''}" for one in said or []]
        case Ask.METHODS:
            return list(said or [])
        case Ask.NUMBER:
            return field.value if said is None else str(said)
    return said


def read_ruleset_form(fields: Fields) -> Form[RulesetContent]:
    """Return the form as it was sent, with nothing judged yet."""
    values: dict[str, Any] = {
        name: str(_one(fields, name))
        for name in (
            *("name", "target", "enforcement", "include", "exclude"),
            *("include_repositories", "exclude_repositories"),
        )
    }
    values |= {field: bool(_one(fields, field)) for field in (*_WORDS, "takes_all_repositories", "keeps_names")}
    for name in fields:
        if name.startswith("bypass."):
            values[name] = str(_one(fields, name))
    for section in SECTIONS.values():
        for place in range(_REPEATED_MAX if section.is_repeatable else 1):
            name = f"{section.type}.{place}"
            values[name] = bool(_one(fields, name))
            values |= {f"{name}.{field.name}": _sent(fields, f"{name}.{field.name}", field) for field in section.fields}
            values |= {
                f"{name}.{field.name}.add": str(_one(fields, f"{name}.{field.name}.add"))
                for field in section.fields
                if field.ask is Ask.ACTORS
            }
    return Form(RulesetContent, values)


def _one(fields: Fields, name: str) -> Any:  # noqa: ANN401 (text, or a file)
    found = fields.get(name) or [""]
    return found[-1]


def _sent(fields: Fields, name: str, field: RuleField) -> Any:  # noqa: ANN401 (as the field has it)
    match field.ask:
        case Ask.FLAG:
            return bool(_one(fields, name))
        case Ask.METHODS | Ask.ACTORS:
            return [str(one) for one in fields.get(name, []) if str(one)]
    return str(_one(fields, name))


async def content_of(
    session: AsyncSession,
    actor: Actor,
    holder: Holder,
    form: Form[RulesetContent],
    *,
    before: RulesetContent | None = None,
) -> RulesetContent:
    """Return the ruleset a form says. Errors: Invalid, with the fields it is about."""
    values = form.values
    if not str(values["name"]).strip():
        raise _wrong("name", "Give the ruleset a name.")
    words = [word for field, word in _WORDS.items() if values.get(field)]
    body: dict[str, Any] = {
        "name": str(values["name"]).strip(),
        "target": values["target"] or "branch",
        "enforcement": values["enforcement"] or "active",
        "conditions": {
            "ref_name": {"include": [*words, *_split(values["include"])], "exclude": _split(values["exclude"])}
        },
    }
    if holder.repository_id is None:
        body["conditions"]["repository_name"] = _repositories_said(values)
    body["rules"] = [
        await _rule(session, actor, holder, form, section, place, before=before)
        for section in SECTIONS.values()
        for place in range(_REPEATED_MAX if section.is_repeatable else 1)
        if values.get(f"{section.type}.{place}")
    ]
    body["bypass_actors"] = await _bypass(session, actor, holder, values)
    return read_ruleset_json(body)


def _repositories_said(values: Mapping[str, Any]) -> dict[str, Any]:
    every = [ALL] if values["takes_all_repositories"] else []
    return {
        "include": [*every, *_split(values["include_repositories"])],
        "exclude": _split(values["exclude_repositories"]),
        "protected": values["keeps_names"],
    }


def _split(text: str) -> list[str]:
    return [line.strip() for line in str(text).splitlines() if line.strip()]


async def _rule(
    session: AsyncSession,
    actor: Actor,
    holder: Holder,
    form: Form[RulesetContent],
    section: RuleSection,
    place: int,
    *,
    before: RulesetContent | None,
) -> dict[str, Any]:
    parameters: dict[str, Any] = {}
    for field in section.fields:
        name = f"{section.type}.{place}.{field.name}"
        if field.ask is Ask.ACTORS:
            parameters[field.name] = await _actors(session, actor, holder, form.values, name)
        else:
            parameters[field.name] = _said(field, name, form.values.get(name, ""))
    _keep_empty_lists(section, parameters, before)
    return {"type": section.type} | ({"parameters": parameters} if parameters else {})


def _keep_empty_lists(section: RuleSection, parameters: dict[str, Any], before: RulesetContent | None) -> None:
    """An empty list that says "nobody at all" and none that says "not asked" look the same on a page."""
    name = {"update": "allowed_actors", "pull_request": "dismissal_actors"}.get(section.type)
    if name is None or parameters[name]:
        return
    kind = Update if section.type == "update" else PullRequest
    known = next((rule for rule in (before.rules if before else ()) if isinstance(rule, kind)), None)
    if known is None or getattr(known.parameters, name) is None:
        parameters[name] = None


def _said(field: RuleField, name: str, value: Any) -> Any:  # noqa: ANN401 (JSON)
    match field.ask:
        case Ask.NUMBER:
            if not re.fullmatch(r"\d{1,9}", str(value).strip(), re.ASCII):
                raise _wrong(name, "Give a whole number.")
            return int(value)
        case Ask.LINES:
            return _split(value)
        case Ask.CHECKS:
            return [_check(line) for line in _split(value)]
        case Ask.SECRETS:
            return [_secret(line, name) for line in _split(value)]
    return value


def _check(line: str) -> dict[str, Any]:
    found = re.fullmatch(r"(.*\S)\s+=\s+(\d{1,18})", line, re.ASCII)
    return {"context": line} if found is None else {"context": found[1], "integration_id": int(found[2])}


def _secret(line: str, name: str) -> dict[str, str]:
    called, mark, pattern = line.partition("=")
    if not mark or not called.strip() or not pattern.strip():
        raise _wrong(name, f"{line[:60]!r} has no name and expression; write name = expression.")
    return {"name": called.strip(), "pattern": pattern.strip()}


async def _actors(
    session: AsyncSession, actor: Actor, holder: Holder, values: Mapping[str, Any], name: str
) -> list[dict[str, Any]]:
    kept = [_actor(word, name) for word in values.get(name, [])]
    added = await _named(session, actor, holder, str(values.get(f"{name}.add", "")), name)
    return [{"actor_type": kind.value, "actor_id": number} for kind, number in dict.fromkeys([*kept, *added])]


def _actor(word: str, name: str) -> ActorKey:
    kind, _, number = word.partition(":")
    if kind not in set(BypassKind) or not re.fullmatch(r"\d{0,18}", number, re.ASCII):
        raise _wrong(name, f"{word[:60]!r} is nobody.")
    return BypassKind(kind), int(number) if number else None


async def _named(session: AsyncSession, actor: Actor, holder: Holder, text: str, where: str) -> list[ActorKey]:
    """Return people and teams by what somebody typed: logins, and teams as ``OWNER/TEAM``, with blanks between."""
    words = [word for word in _SEPARATORS.split(text.strip()) if word]
    people = [word for word in words if "/" not in word]
    teams = [word.rpartition("/")[2] for word in words if "/" in word]
    found: list[ActorKey] = []
    if people:
        found += [(BypassKind.USER, one) for one in await find_people(session, people, where=where)]
    if teams:
        found += [(BypassKind.TEAM, one) for one in await find_teams(session, actor, holder, teams, where=where)]
    return found


async def _bypass(
    session: AsyncSession, actor: Actor, holder: Holder, values: Mapping[str, Any]
) -> list[dict[str, Any]]:
    found: dict[ActorKey, str] = {}
    for name, mode in values.items():
        if name.startswith("bypass.") and name.count(".") == 2 and mode:
            found[_actor(name.removeprefix("bypass.").replace(".", ":"), name)] = str(mode)
    mode = str(values.get("bypass.mode") or "always")
    named = await _named(session, actor, holder, str(values.get("bypass.add", "")), "bypass.add")
    found |= {key: found.get(key) or mode for key in named}
    return [
        {"actor_type": kind.value, "actor_id": number, "bypass_mode": said} for (kind, number), said in found.items()
    ]


def bypass_of(form: Form[RulesetContent]) -> list[BypassActor]:
    """Return who stands in the bypass list of a form, whatever it says of them."""
    names = [name for name in form.values if name.startswith("bypass.") and name.count(".") == 2]
    keys = []
    for name in names:
        try:
            keys.append(_actor(name.removeprefix("bypass.").replace(".", ":"), name))
        except Invalid:
            continue
    return [BypassActor(kind, number) for kind, number in keys]


def actors_of(form: Form[RulesetContent]) -> list[ActorKey]:
    """Return everybody whom a form names by number, for their names."""
    words = [
        word
        for section in SECTIONS.values()
        for field in section.fields
        if field.ask is Ask.ACTORS
        for word in form.values.get(f"{section.type}.0.{field.name}", [])
    ]
    found = [(one.actor_type, one.actor_id) for one in bypass_of(form)]
    for word in words:
        try:
            found.append(_actor(word, ""))
        except Invalid:
            continue
    return found


def show_refusal(form: Form[RulesetContent], error: Invalid) -> Form[RulesetContent]:
    """Return the form with a refusal at the field or the rule it is about; the rest stands on top."""
    said: list[str] = []
    for problem in error.problems:
        rule = problem.message.partition(":")[0]
        if problem.field == "rules" and rule in SECTIONS:
            form.problems[f"{rule}.0"] = problem.message.partition(": ")[2]
        elif problem.field == "bypass.add" or (
            problem.field in form.values and not problem.field.startswith("bypass.")
        ):
            form.problems[problem.field] = problem.message
        elif problem.field == "conditions":
            form.problems["include"] = problem.message
        else:
            said.append(problem.message)
    form.summary = " ".join(said) if error.problems else error.message
    return form


def _wrong(name: str, message: str) -> Invalid:
    return Invalid(message, FieldProblem(name, "invalid", message, "Ruleset"))
