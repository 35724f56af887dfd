"""What the pages of rulesets do, whoever has them: a repository or an organization. Every one is a plain form."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from litestar import Response
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.access.actions import Action
from cairn.access.authorize import may_in_organization
from cairn.base.actor import Actor
from cairn.base.errors import Conflict, Invalid
from cairn.repositories.queries import RepositoryView
from cairn.repositories.rules.checks import RULESET_BYTES_MAX
from cairn.repositories.rules.holder import Holder, create_for, delete_for, list_for, read_for, update_for
from cairn.repositories.rules.presets import PRESETS, find_preset
from cairn.repositories.rules.ref_rules_pages import read_ref_name, rules_for
from cairn.repositories.rules.rule_actors import ActorNames, read_actor_names
from cairn.repositories.rules.rule_sections import GROUPS, METHODS, OPERATORS
from cairn.repositories.rules.rule_words import deletion_warning
from cairn.repositories.rules.ruleset_form import (
    FIXED_BYPASS,
    ORGANIZATION_BYPASS,
    actors_of,
    bypass_name,
    bypass_of,
    chosen_kinds,
    content_of,
    filled_form,
    places_of,
    read_ruleset_form,
    show_refusal,
    with_defaults,
)
from cairn.repositories.rules.ruleset_json import full_ruleset_json, read_ruleset_json
from cairn.repositories.rules.types import (
    ROLE_OF_NUMBER,
    RULESETS_MAX,
    BypassKind,
    Conditions,
    Enforcement,
    RefNames,
    Ruleset,
    RulesetContent,
    type_of,
)
from cairn.web.context import RequestContext
from cairn.web.forms import Form, read_fields
from cairn.web.multipart import UploadedFile
from cairn.web.render import redirect, render

_BLANK = RulesetContent(name="", enforcement=Enforcement.ACTIVE, conditions=Conditions(RefNames()))


@dataclass(frozen=True, slots=True)
class Screen:
    """One request for a page of somebody's rulesets; whoever makes one has authorized."""

    context: RequestContext
    session: AsyncSession
    actor: Actor
    holder: Holder
    frame: dict[str, Any]
    """What the page around wants; ``rules_frame`` names its template."""
    repository: RepositoryView | None = None
    """None where they are an organization's."""

    def render(self, template: str, *, status: int = 200, **values: object) -> Response[Any]:
        """Return a page of the rules."""
        return render(
            self.context,
            f"repositories/rules/{template}",
            status=status,
            headers={"Cache-Control": "no-store"},
            **self.frame,
            holder=self.holder,
            **values,
        )


async def show_list(screen: Screen, *, problem: str = "", typed: str = "") -> Response[Any]:
    """Return the list of rulesets, with some to begin with; a repository's says too which are about a ref."""
    found = await list_for(screen.session, screen.holder)
    own = [one for one in found if one.repository_id == screen.holder.repository_id]
    return screen.render(
        "rulesets.html",
        status=422 if problem else 200,
        rulesets=found,
        own={one.id for one in own},
        may_add=len(own) < RULESETS_MAX,
        rulesets_max=RULESETS_MAX,
        presets=PRESETS,
        problem=problem,
        typed=typed,
        **await _of_repository(screen, found),
    )


async def _of_repository(screen: Screen, rulesets: Sequence[Ruleset]) -> dict[str, Any]:
    """Return the ref that the address asks about, the rulesets about it, and whether the owner's can be changed."""
    repository = screen.repository
    if repository is None:
        return {}
    asked = read_ref_name(screen.context)
    return {
        "asked": asked,
        "applying": rules_for(rulesets, asked, repository) if asked.name else [],
        "may_edit_owners": any(one.repository_id is None for one in rulesets)
        and await may_in_organization(screen.session, screen.actor, Action.ORGANIZATION_EDIT, repository.owner_id),
    }


async def show_new(screen: Screen, preset: str) -> Response[Any]:
    """Return the form of a new ruleset, filled with a preset if one is named."""
    chosen = find_preset(preset)
    return await _show_form(screen, filled_form(_BLANK if chosen is None else chosen.content))


async def _show_form(
    screen: Screen, form: Form[RulesetContent], *, ruleset: Ruleset | None = None, status: int = 200, note: str = ""
) -> Response[Any]:
    fixed = [*FIXED_BYPASS, *([ORGANIZATION_BYPASS] if screen.holder.has_owners else [])]
    named = [(one.actor_type, one.actor_id) for one in bypass_of(form)]
    keys = [*fixed, *(key for key in named if key not in fixed)]
    names = await read_actor_names(screen.session, screen.actor, screen.holder, [*keys, *actors_of(form)])
    return screen.render(
        "ruleset.html",
        status=status,
        form=form,
        ruleset=ruleset,
        groups=GROUPS,
        operators=OPERATORS,
        methods=METHODS,
        places_of=lambda section: places_of(form, section),
        label_of=lambda word: _label(names, word),
        bypass=[(bypass_name(key), names.label(key), key in fixed) for key in keys],
        note=note,
        warning=deletion_warning(chosen_kinds(form)),
    )


def _label(names: ActorNames, word: str) -> str:
    kind, _, number = word.partition(":")
    return (
        names.label((BypassKind(kind), int(number) if number.isdecimal() else None))
        if kind in set(BypassKind)
        else word
    )


async def create(screen: Screen) -> Response[Any]:
    """Keep a new ruleset as the form says, and lead back to the list."""
    session, actor = screen.session, screen.actor
    form = read_ruleset_form(await read_fields(screen.context))
    try:
        content = await content_of(session, actor, screen.holder, form)
        made = await create_for(session, actor, screen.holder, content)
    except Invalid as error:
        return await _show_form(screen, _refused(form, error), status=422)
    screen.context.flash(_said(made))
    return redirect(screen.holder.path)


def _refused(form: Form[RulesetContent], error: Invalid) -> Form[RulesetContent]:
    return with_defaults(show_refusal(form, error))


def _said(ruleset: Ruleset) -> str:
    state = {
        Enforcement.ACTIVE: "is in force now",
        Enforcement.EVALUATE: "is on trial: nothing is refused, and what would be stands under Insights",
        Enforcement.DISABLED: "is kept, and does nothing until it is turned on",
    }[ruleset.content.enforcement]
    warning = deletion_warning([type_of(rule) for rule in ruleset.content.rules])
    return f"The ruleset {ruleset.name} {state}. {warning}".strip()


async def show_ruleset(screen: Screen, ruleset_id: int) -> Response[Any]:
    """Return the form of a ruleset."""
    found = await read_for(screen.session, screen.holder, ruleset_id)
    form = filled_form(found.content)
    form.values["version"] = str(found.version)
    return await _show_form(screen, form, ruleset=found)


async def save(screen: Screen, ruleset_id: int) -> Response[Any]:
    """Make the ruleset what the form says, unless somebody else changed it since the form was opened."""
    session, actor, holder = screen.session, screen.actor, screen.holder
    before = await read_for(session, holder, ruleset_id)
    fields = await read_fields(screen.context)
    form = read_ruleset_form(fields)
    seen = str((fields.get("version") or [""])[-1])
    form.values["version"] = seen
    expected = int(seen) if seen.isdecimal() and len(seen) < 10 else None
    try:
        content = await content_of(session, actor, holder, form, before=before.content)
        changed = await update_for(session, actor, holder, ruleset_id, content, expected_version=expected)
    except Invalid as error:
        return await _show_form(screen, _refused(form, error), ruleset=before, status=422)
    except Conflict as error:
        form.summary = error.message
        form.values["version"] = str(before.version)
        return await _show_form(screen, with_defaults(form), ruleset=before, status=409)
    screen.context.flash(_said(changed))
    return redirect(holder.path)


async def delete(screen: Screen, ruleset_id: int) -> Response[Any]:
    """Forget a ruleset, and lead back to the list."""
    found = await read_for(screen.session, screen.holder, ruleset_id)
    await delete_for(screen.session, screen.actor, screen.holder, ruleset_id)
    screen.context.flash(f"The ruleset {found.name} is deleted.")
    return redirect(screen.holder.path)


async def export(screen: Screen, ruleset_id: int) -> Response[Any]:
    """Return a ruleset as the JSON file that import takes, here and on GitHub."""
    found = await read_for(screen.session, screen.holder, ruleset_id, includes_parents=True)
    body = full_ruleset_json(screen.context.settings.origin, screen.holder, found, may_edit=True)
    shown = {name: value for name, value in body.items() if name not in _NOT_EXPORTED}
    return Response(
        content=msgspec.json.format(msgspec.json.encode(shown), indent=2),
        media_type="application/json; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="ruleset-{ruleset_id}.json"'},
    )


_NOT_EXPORTED = frozenset({"_links", "node_id", "created_at", "updated_at"})


async def import_(screen: Screen) -> Response[Any]:
    """Return the form of a new ruleset filled from a JSON file; nothing is kept before it is looked at and saved."""
    text = ""
    try:
        text = await _sent_text(await read_fields(screen.context))
        content = read_ruleset_json(_object(text))
    except Invalid as error:
        said = "; ".join(problem.message for problem in error.problems) or error.message
        return await show_list(screen, problem=said, typed=text[:RULESET_BYTES_MAX])
    kept, note = await _known_here(screen, content)
    return await _show_form(screen, filled_form(kept), note=note)


async def _sent_text(fields: Any) -> str:  # noqa: ANN401 (names to lists of texts and files)
    found = (fields.get("file") or [""])[-1]
    if isinstance(found, UploadedFile):
        if found.size_bytes > RULESET_BYTES_MAX:
            raise _too_long()
        return (await found.read()).decode("utf-8", "replace")
    return str((fields.get("json") or [""])[-1])


def _too_long() -> Invalid:
    return Invalid(f"A ruleset has at most {RULESET_BYTES_MAX:,} bytes.")


def _object(text: str) -> dict[str, Any]:
    if len(text) > RULESET_BYTES_MAX:
        raise _too_long()
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise Invalid("This is no JSON.") from None
    if not isinstance(found, dict):
        raise Invalid("This is no JSON object with a ruleset in it.")
    return found


async def _known_here(screen: Screen, content: RulesetContent) -> tuple[RulesetContent, str]:
    """Return the ruleset without those who bypass it elsewhere and are nobody here, and a note that says so."""
    keys = [(one.actor_type, one.actor_id) for one in content.bypass_actors]
    names = await read_actor_names(screen.session, screen.actor, screen.holder, keys)
    known: dict[BypassKind, Any] = {
        BypassKind.ROLE: ROLE_OF_NUMBER,
        BypassKind.USER: names.people,
        BypassKind.TEAM: names.teams,
        BypassKind.DEPLOY_KEY: {None: "", **names.keys},
    }
    kept = tuple(
        one for one in content.bypass_actors if one.actor_type not in known or one.actor_id in known[one.actor_type]
    )
    left_out = len(content.bypass_actors) - len(kept)
    note = f"{left_out} of those who may bypass it are not known here and were left out." if left_out else ""
    return msgspec.structs.replace(content, bypass_actors=kept), note
