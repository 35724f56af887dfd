"""The signatures of commits and tags, verified: for pages and the API."""

from collections.abc import Iterable, Mapping

from cairn.git.history import Objects
from cairn.git.signed_objects import read_signed_objects
from cairn.git.types import Oid
from cairn.identity.signature_verifier import UNSIGNED, Verification, verify_objects
from cairn.repositories.code.browse import Code
from cairn.repositories.serializers import Json
from cairn.web.context import RequestContext

Signatures = Mapping[Oid, Verification]
"""What came of the signatures of some commits or tags, by their ids."""


async def signatures_of(context: RequestContext, code: Code, oids: Iterable[Oid]) -> Signatures:
    """Return what came of the signatures of commits and tags that the caller has proved reachable."""
    _, _, view = code.parts
    objects = await read_signed_objects(Objects(view.path), oids)
    return await verify_objects(context.site.database, context.settings.host, objects.values())


def verification_json(signatures: Signatures, oid: Oid) -> Json:
    """Return GitHub's ``verification`` of an object: signature and payload stand there if it is signed.

    ``verified_at`` is null: nothing is stored, the answer is that of the present keys and addresses.
    """
    found = signatures.get(oid, UNSIGNED)
    return {
        "verified": found.is_verified,
        "reason": found.finding.reason.value,
        "signature": None if found.signature is None else _text(found.signature.rstrip(b"\n")),
        "payload": None if found.signature is None else _text(found.payload),
        "verified_at": None,
    }


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")
