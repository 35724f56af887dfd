"""What the walk over all routes sends: for each that writes, a body that would be accepted."""

from typing import Any

import asyncssh
from pysequoia import Tsk

BODIES: dict[tuple[str, str], dict[str, Any]] = {
    ("PATCH", "/api/v3/repos/{owner}/{repo}"): {"description": "changed"},
    ("PATCH", "/api/v3/repositories/{repository_id}"): {"description": "changed"},
    ("PATCH", "/api/v3/user"): {"bio": "changed"},
    ("POST", "/api/v3/user/repos"): {"name": "made"},
    ("PUT", "/api/v3/repos/{owner}/{repo}/collaborators/{username}"): {"permission": "admin"},
    ("PUT", "/api/v3/repos/{owner}/{repo}/topics"): {"names": ["walked"]},
    ("POST", "/api/v3/markdown"): {"text": "*x*"},
    ("POST", "/api/v3/repos/{owner}/{repo}/git/blobs"): {"content": "walked"},
    ("POST", "/api/v3/repos/{owner}/{repo}/git/trees"): {"tree": [{"path": "walked", "content": "walked"}]},
    ("POST", "/api/v3/repos/{owner}/{repo}/git/commits"): {"message": "Walked", "tree": "0" * 39 + "1"},
    ("POST", "/api/v3/repos/{owner}/{repo}/git/tags"): {
        "tag": "walked",
        "message": "Walked",
        "object": "0" * 39 + "1",
        "type": "commit",
    },
    ("PUT", "/api/v3/repos/{owner}/{repo}/contents/{address}"): {"message": "Walked", "content": "d2Fsa2Vk"},
    ("DELETE", "/api/v3/repos/{owner}/{repo}/contents/{address}"): {"message": "Walked", "sha": "0" * 39 + "1"},
    ("POST", "/api/v3/repos/{owner}/{repo}/git/refs"): {"ref": "refs/heads/walked", "sha": "0" * 39 + "1"},
    ("PATCH", "/api/v3/repos/{owner}/{repo}/git/refs/{address}"): {"sha": "0" * 39 + "1"},
    ("PUT", "/api/v3/repos/{owner}/{repo}/branches/{address}"): dict.fromkeys(
        ("required_status_checks", "enforce_admins", "required_pull_request_reviews", "restrictions")
    ),
    ("POST", "/api/v3/repos/{owner}/{repo}/merges"): {"base": "main", "head": "main"},
    ("POST", "/{owner}/{repo}/branches/new"): {"name": "walked", "start": "main"},
    ("POST", "/{owner}/{repo}/branches/rename"): {"branch": "walked-away", "name": "walked"},
    ("POST", "/{owner}/{repo}/branches/delete"): {"name": "main", "oid": "0" * 39 + "1"},
    ("POST", "/{owner}/{repo}/tags/delete"): {"name": "walked", "oid": "0" * 39 + "1"},
    ("POST", "/new"): {"name": "made", "visibility": "public"},
    # An address that is refused before anything is asked of it.
    ("POST", "/new/import"): {"url": "http://127.1/walked", "name": "imported"},
    ("POST", "/{owner}/{repo}/import"): {"url": "http://127.1/walked"},
    ("PUT", "/api/v3/repos/{owner}/{repo}/import"): {"vcs_url": "http://127.1/walked"},
    ("PATCH", "/api/v3/repos/{owner}/{repo}/import"): {"vcs_username": "walked"},
    ("PUT", "/api/v3/repos/{owner}/{repo}/mirror"): {"remote_address": "http://127.1/walked"},
    ("PATCH", "/api/v3/repos/{owner}/{repo}/mirror"): {"paused": True},
    ("POST", "/api/v3/repos/{owner}/{repo}/push_mirrors"): {"remote_address": "http://127.1/walked"},
    ("PATCH", "/api/v3/repos/{owner}/{repo}/push_mirrors/{mirror_id}"): {"paused": True},
    ("POST", "/{owner}/{repo}/settings/mirroring/new"): {"url": "http://127.1/walked"},
    ("POST", "/{owner}/{repo}/settings/mirroring/{mirror_id}"): {"url": "http://127.1/walked"},
    ("POST", "/{owner}/{repo}/settings/mirroring/{mirror_id}/step"): {"step": "pause"},
    ("POST", "/api/v3/repos/{owner}/{repo}/merge-upstream"): {"branch": "main"},
    ("POST", "/{owner}/{repo}/fork"): {"name": "fork-of-{repo}"},
    ("POST", "/{owner}/{repo}/sync"): {"branch": "main"},
    ("POST", "/{owner}/{repo}/new/{address}"): {"path": "walked.txt", "content": "walked"},
    ("POST", "/{owner}/{repo}/edit/{address}"): {"path": "README.md", "content": "walked"},
    ("POST", "/{owner}/{repo}/delete/{address}"): {"message": "Walked"},
    ("POST", "/{owner}/{repo}/settings"): {"description": "changed"},
    ("POST", "/{owner}/{repo}/settings/rename"): {"name": "renamed"},
    ("POST", "/{owner}/{repo}/settings/visibility"): {"visibility": "public"},
    ("POST", "/{owner}/{repo}/settings/archive"): {"archived": "true"},
    ("POST", "/{owner}/{repo}/settings/delete"): {"full_name": "ada/{repo}"},
    ("POST", "/{owner}/{repo}/settings/purge"): {"objects": "0" * 39 + "1", "full_name": "ada/{repo}"},
    ("POST", "/api/cairn/v1/repos/{owner}/{repo}/purge"): {"objects": ["0" * 39 + "1"], "dry_run": True},
    ("POST", "/{owner}/{repo}/settings/transfer"): {"new_owner": "wim", "full_name": "ada/{repo}"},
    ("POST", "/settings/transfers/accept"): {"repository": "1"},
    ("POST", "/settings/transfers/decline"): {"repository": "1"},
    ("POST", "/{owner}/{repo}/settings/access/people"): {"username": "stan", "role": "admin"},
    ("POST", "/{owner}/{repo}/settings/access/people/remove"): {"username": "wim"},
    ("POST", "/{owner}/{repo}/settings/access/teams"): {"team": "core", "role": "admin"},
    ("POST", "/{owner}/{repo}/settings/access/teams/remove"): {"team": "core"},
    ("POST", "/settings/profile"): {"name": "changed"},
    ("POST", "/settings/password"): {"current": "not this one", "password": "another horse battery"},
    ("POST", "/settings/sessions/revoke"): {"session_id": "0" * 64},
    ("POST", "/settings/tokens/new"): {"name": "made", "lifetime": "30"},
    ("POST", "/settings/tokens/revoke"): {"id": "1"},
    ("POST", "/settings/tokens/regenerate"): {"id": "1", "lifetime": "30"},
    ("POST", "/settings/tokens/fine-grained/new"): {"name": "made", "lifetime": "30", "reach": "public"},
    ("POST", "/settings/keys/delete"): {"id": "1"},
    ("POST", "/{owner}/{repo}/settings/keys/delete"): {"id": "999999"},
    ("POST", "/{owner}/{repo}/settings/lfs"): {"has_lfs_in_archives": "true"},
    ("POST", "/{owner}/{repo}/settings/lfs/unlock"): {"id": "0" * 32},
    ("POST", "/api/v3/repos/{owner}/{repo}/releases"): {"tag_name": "walked", "draft": True},
    ("POST", "/api/v3/repos/{owner}/{repo}/releases/generate-notes"): {"tag_name": "walked"},
    ("POST", "/{owner}/{repo}/releases/new"): {"tag": "walked", "do": "draft"},
    ("POST", "/{owner}/{repo}/releases/{release_id}/edit"): {"tag": "walked", "do": "draft"},
    ("POST", "/{owner}/{repo}/releases/{release_id}/assets/delete"): {"asset": "999999"},
    ("POST", "/api/v3/repos/{owner}/{repo}/generate"): {"name": "from-{repo}"},
    ("POST", "/{owner}/{repo}/generate"): {"name": "from-{repo}"},
    ("PUT", "/api/v3/repos/{owner}/{repo}/subscription"): {"subscribed": True},
    ("POST", "/{owner}/{repo}/star"): {"starred": "true"},
    ("POST", "/{owner}/{repo}/watch"): {"level": "all"},
    ("POST", "/{owner}/{repo}/wiki/_new"): {"title": "Walked", "text": "walked"},
    ("POST", "/{owner}/{repo}/wiki/{address}"): {"title": "Home", "text": "walked"},
    ("POST", "/{owner}/{repo}/settings/wiki"): {"has_wiki": "true"},
    **{
        ("POST", f"{place}/deleted/{deed}"): {"repository": "999999", "name": "walked"}
        for place in ("/settings", "/orgs/{org}", "/admin")
        for deed in ("restore", "erase")
    },
    ("POST", "/api/v3/repos/{owner}/{repo}/rulesets"): {"name": "walked", "enforcement": "disabled"},
    ("PUT", "/api/v3/repos/{owner}/{repo}/rulesets/{ruleset_id}"): {"name": "walked"},
    ("POST", "/api/v3/orgs/{org}/rulesets"): {"name": "walked", "enforcement": "disabled"},
    ("PUT", "/api/v3/orgs/{org}/rulesets/{ruleset_id}"): {"name": "walked"},
    **{
        ("POST", f"{place}/settings/rules{rest}"): body
        for place in ("/{owner}/{repo}", "/organizations/{org}")
        for rest, body in (
            ("", {"name": "walked by form", "enforcement": "disabled"}),
            ("/import", {"json": '{"name": "x", "enforcement": "active"}'}),
        )
    },
    ("POST", "/admin/announcements"): {"text": "Hello"},
    ("POST", "/admin/registration"): {"mode": "open"},
    ("POST", "/admin/users/new"): {"login": "newcomer", "email": "newcomer@example.org", "password": "a horse battery"},
    ("POST", "/api/v3/admin/organizations"): {"login": "founded", "admin": "ada"},
    ("POST", "/api/v3/admin/users"): {"login": "newcomer", "email": "newcomer@example.org"},
    ("PATCH", "/api/v3/admin/users/{username}"): {"login": "wim2"},
    ("POST", "/api/v3/orgs/{org}/repos"): {"name": "made"},
    ("POST", "/api/v3/orgs/{org}/teams"): {"name": "made"},
    ("POST", "/api/v3/repos/{owner}/{repo}/transfer"): {"new_owner": "wim"},
    ("PATCH", "/api/v3/user/email/visibility"): {"visibility": "private"},
    ("DELETE", "/api/v3/user/emails"): {"emails": ["other@example.org"]},
    ("POST", "/api/v3/user/emails"): {"emails": ["other@example.org"]},
    ("POST", "/organizations/new"): {"login": "founded"},
    ("POST", "/api/v3/orgs/{org}/personal-access-tokens"): {"action": "revoke", "pat_ids": [999_999]},
    ("POST", "/api/v3/orgs/{org}/personal-access-tokens/{pat_id}"): {"action": "revoke"},
    ("POST", "/organizations/{org}/settings/tokens/revoke"): {"id": "999999"},
    ("POST", "/orgs/{org}/people"): {"username": "stan"},
    ("POST", "/orgs/{org}/people/remove"): {"username": "adele"},
    ("POST", "/orgs/{org}/invitations"): {"invitee": "stan"},
    ("POST", "/orgs/{org}/invitation"): {"answer": "accept"},
    ("POST", "/api/v3/orgs/{org}/invitations"): {"email": "newcomer@example.org"},
    ("PATCH", "/api/v3/user/memberships/orgs/{org}"): {"state": "active"},
    ("POST", "/settings/keys/hosts/forget"): {"host": "git.example:22"},
    ("POST", "/orgs/{org}/people/visibility"): {"username": "adele"},
    ("POST", "/orgs/{org}/outside-collaborators"): {"username": "wim"},
    ("POST", "/orgs/{org}/outside-collaborators/remove"): {"username": "wim"},
    ("POST", "/orgs/{org}/teams"): {"name": "made"},
    ("POST", "/orgs/{org}/teams/{slug}/members"): {"username": "adele"},
    ("POST", "/orgs/{org}/teams/{slug}/members/remove"): {"username": "adele"},
    ("POST", "/orgs/{org}/teams/{slug}/repositories"): {"repository": "acme/tool", "role": "admin"},
    ("POST", "/orgs/{org}/teams/{slug}/repositories/remove"): {"repository": "acme/tool"},
    ("POST", "/orgs/{org}/teams/{slug}/settings"): {"name": "made"},
    ("POST", "/orgs/{org}/teams/{slug}/settings/delete"): {"slug": "core"},
}
"""A body that would be accepted: what is refused must be refused for who asks, not for what was sent."""

TAKING_A_KEY = {
    *(("POST", "/api/v3/user/keys"), ("POST", "/settings/keys/new")),
    *(("POST", "/api/v3/repos/{owner}/{repo}/keys"), ("POST", "/{owner}/{repo}/settings/keys")),
    *(("POST", "/api/v3/user/ssh_signing_keys"), ("POST", "/settings/keys/signing/new")),
}
TAKING_A_GPG_KEY = {("POST", "/api/v3/user/gpg_keys"), ("POST", "/settings/keys/gpg/new")}


def body_of(method: str, path: str) -> dict[str, Any]:
    """Return the body for a route, a new key in it where it takes one; nothing where none is wanted."""
    if (method, path) in TAKING_A_KEY:
        return {"title": "laptop", "key": asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode()}
    if (method, path) in TAKING_A_GPG_KEY:
        return {"name": "laptop", "armored_public_key": gpg_key()}
    return BODIES.get((method, path), {})


def gpg_key() -> str:
    """Return a new public GPG key."""
    return str(Tsk.generate("Somebody <somebody@example.test>").extract_certificate())
