"""Where the walk over all routes goes: what stands for parameters, and what is there for nobody."""

from cairn.web.routing import DeclaredRoute

ADDRESSES = {
    "/git/ref/": "heads/main",
    "/git/matching-refs/": "heads/main",
    "/git/refs/": "heads/main",
    "/contents/": "src/main.py",
    "/readme/": "src",
    "/blob/": "main/README.md",
    "/blame/": "main/README.md",
    "/edit/": "main/README.md",
    "/delete/": "main/README.md",
    "/compare/": "main...main",
    "/range-diff/": "main...main",
    "/raw/": "main/README.md",
    "/tree/": "main/src",
    "/archive/": "main.zip",
    "/releases/download/": "v1.0/engine.bin",
    "PUT /api/v3/repos/{owner}/{repo}/branches/": "main/protection",
    "POST /{owner}/{repo}/wiki/": "Home/_edit",
    "/wiki/": "Home",
}
"""What stands for ``{address}`` where a method and path have these in them; elsewhere the branch ``main``."""


def address_of(route: DeclaredRoute) -> str:
    """Return what stands for ``{address}`` in a route's path."""
    named = f"{route.method} {route.path}"
    return next((value for part, value in ADDRESSES.items() if part in named), "main")


QUERIES = {
    **dict.fromkeys((f"/api/v3/search/{kind}" for kind in ("repositories", "users", "topics")), "?q=x"),
    "/api/v3/search/code": "?q=x+repo:ada/open",
    "/{owner}/{repo}/branches/edit": "?name=main",
    "/api/uploads/repos/{owner}/{repo}/releases/{release_id}/assets": "?name=engine.bin",
}
"""What operations are asked that answer nobody without a question."""


FORKING = {"/api/v3/repos/{owner}/{repo}/forks", "/{owner}/{repo}/fork"}
"""A repository's owner may not."""
GENERATING = {"/api/v3/repos/{owner}/{repo}/generate", "/{owner}/{repo}/generate"}
LIKING = {
    *("/api/v3/user/starred/{owner}/{repo}", "/api/v3/repos/{owner}/{repo}/subscription"),
    *("/{owner}/{repo}/star", "/{owner}/{repo}/watch"),
}
WHO_ASKS = {"/api/v3/user/starred/{owner}/{repo}", "/api/v3/repos/{owner}/{repo}/subscription"}
"""Reading these of a repository is about "me": they want to know who asks, once it may be known to exist."""
FOR_READERS = FORKING | GENERATING | LIKING
"""Who reads a repository may do this with it, so on a public one that is everybody with an account."""
REFUSED_FOR_WHAT_IT_IS = {
    # Not imported, and the address of the walk is refused.
    "/api/v3/repos/{owner}/{repo}/import": "hidden",
    "PUT /api/v3/repos/{owner}/{repo}/import": "error 422",
    "/{owner}/{repo}/import": "error 422",
    "/{owner}/{repo}/import/retry": "hidden",
    # No mirror, and no number of one.
    **dict.fromkeys(
        (
            *(f"/api/v3/repos/{{owner}}/{{repo}}/{rest}" for rest in ("mirror", "mirror-sync")),
            "/api/v3/repos/{owner}/{repo}/push_mirrors/{mirror_id}",
            *(f"/{{owner}}/{{repo}}/settings/mirroring/{{mirror_id}}{rest}" for rest in ("", "/step")),
        ),
        "hidden",
    ),
    "PUT /api/v3/repos/{owner}/{repo}/mirror": "error 422",
    "/api/v3/repos/{owner}/{repo}/push_mirrors": "error 422",
    "/{owner}/{repo}/settings/mirroring/new": "error 422",
    "/api/v3/repos/{owner}/{repo}/merge-upstream": "error 422",
    # No template.
    **dict.fromkeys(GENERATING, "error 422"),
    "/api/v3/orgs/{org}/teams/{slug}/repos/{owner}/{repo}": "hidden",
    "/api/v3/repos/{owner}/{repo}/keys/{key_id}": "hidden",
    "/{owner}/{repo}/settings/keys/delete": "hidden",
    **dict.fromkeys(
        (
            *("/api/v3/repos/{owner}/{repo}/rulesets/{ruleset_id}", "/{owner}/{repo}/settings/rules/{ruleset_id}"),
            "/{owner}/{repo}/settings/rules/{ruleset_id}/delete",
            "/api/v3/repos/{owner}/{repo}/branches/{address}",
        ),
        "hidden",
    ),
    "/{owner}/{repo}/settings/lfs/unlock": "hidden",
    **dict.fromkeys(
        (
            *(f"/api/v3/repos/{{owner}}/{{repo}}/releases/{rest}" for rest in ("{release_id}", "assets/{asset_id}")),
            "/api/uploads/repos/{owner}/{repo}/releases/{release_id}/assets",
            *(
                f"/{{owner}}/{{repo}}/releases/{{release_id}}/{rest}"
                for rest in ("edit", "delete", "assets", "assets/delete")
            ),
        ),
        "hidden",
    ),
    "/{owner}/{repo}/settings/access/teams": "error 422",
    "/{owner}/{repo}/settings/access/teams/remove": "hidden",
    "/api/cairn/v1/repos/{owner}/{repo}/purge": "hidden",
    "/{owner}/{repo}/settings/purge": "hidden",
    # Their repository has no commit yet.
    "/{owner}/{repo}/edit/{address}": "error 409",
    "/{owner}/{repo}/delete/{address}": "hidden",
    "/{owner}/{repo}/wiki/{address}": "hidden",
    "DELETE /api/v3/repos/{owner}/{repo}/contents/{address}": "hidden",
    "/{owner}/{repo}/upload/{address}": "error 422",
    "/{owner}/{repo}/wiki/_upload": "error 422",
    **dict.fromkeys(
        (
            *(f"/api/v3/repos/{{owner}}/{{repo}}/git/{rest}" for rest in ("refs", "refs/{address}", "commits", "tags")),
            "/{owner}/{repo}/branches/new",
            "/api/v3/repos/{owner}/{repo}/releases/generate-notes",
        ),
        "error 422",
    ),
    "/api/v3/repos/{owner}/{repo}/merges": "hidden",
    **dict.fromkeys(
        (*(f"/{{owner}}/{{repo}}/branches/{rest}" for rest in ("rename", "delete")), "/{owner}/{repo}/tags/delete"),
        "hidden",
    ),
}
"""What even an owner is refused: the repository of the test is no fork, has no keys, no locks and belongs to no
organization; and a purge reaches the forks of others, so it is for administrators of the site."""


NOTHING_THERE = {
    "/api/v3/repos/{owner}/{repo}/releases/latest",
    "/api/v3/repos/{owner}/{repo}/releases/tags/{address}",
    "/{owner}/{repo}/releases/tag/{address}",
    "/{owner}/{repo}/releases/download/{address}",
    "/{owner}/{repo}/releases/latest/download/{name}",
    "/api/v3/user/memberships/orgs/{org}",
    "/orgs/{org}/invitation",
    "/-/emails/verify",
    "/password/reset",
    "/{owner}/{repo}/tags/delete",
    "/api/v3/user/outgoing_key",
    "/api/v3/user/known_hosts",
    "/settings/keys/outgoing/delete",
    "/settings/keys/hosts/forget",
    "/api/v3/repos/{owner}/{repo}/import",
    "/{owner}/{repo}/import/retry",
    "/api/v3/repos/{owner}/{repo}/license",
    "/api/v3/repos/{owner}/{repo}/mirror",
    "/api/v3/repos/{owner}/{repo}/mirror-sync",
    "/{owner}/{repo}/wiki/_compare",
    "/{owner}/{repo}/wiki/_compare/{address}",
    "/{owner}/{repo}/wiki/_files/{address}",
}
"""Whoever may ask is told that there is no such thing: no release, no licence, no wiki, nothing imported."""


def names_nothing(route: DeclaredRoute) -> bool:
    """Tell whether the sample values name nothing for anybody: one-time links, keys by number, who is no member."""
    return bool(
        route.parameters & {"secret", "token_id", "pat_id", "avatar_id", "announcement_id", "invitation_id"}
        or route.parameters & {"key_id", "gpg_key_id", "ssh_signing_key_id", "ruleset_id", "suite_id"}
        or route.parameters & {"release_id", "asset_id", "deleted_id", "mirror_id"}
        or {"org", "username"} <= route.parameters
        or {"slug", "repo"} <= route.parameters
        or route.path in NOTHING_THERE
        or (route.path in WHO_ASKS and route.method in {"GET", "HEAD"})
    )
