"""Sending a release's file, and counting who took it."""

import asyncio

from litestar import Response
from litestar.response import Stream
from sqlalchemy import update

from cairn.base.errors import CairnError
from cairn.base.log import get_logger
from cairn.db.database import Database
from cairn.repositories.releases.assets import PLAIN_TYPE
from cairn.repositories.releases.models import ReleaseAsset
from cairn.repositories.releases.queries import AssetView
from cairn.web.context import RequestContext
from cairn.web.downloads import answer_file, attachment, signed_redirect
from cairn.web.tally import Tally

FLUSH_SECONDS = 10
_KIND = "release asset"
_log = get_logger(__name__)


async def answer_asset(context: RequestContext, asset: AssetView) -> Response[bytes] | Stream:
    """Return a file's bytes, or the address that the object store signed for them.

    Always to be kept, never shown: its type is what its uploader said. The caller may see the release.
    """
    engine = context.site.engine
    disposition = attachment(asset.name)
    if context.request.method == "GET" and context.request.headers.get("range", "bytes=0-").startswith("bytes=0-"):
        # A download that is resumed was counted when it began.
        context.site.tally.add(_KIND, asset.id)
    direct = await signed_redirect(context, engine.storage, asset.key, PLAIN_TYPE, disposition)
    if direct is not None:
        return direct
    return await answer_file(
        context,
        asset.size,
        lambda start, end: engine.storage.stream(asset.key, offset=start, size=end - start),
        etag=f'"{asset.sha256}"',
        media_type=asset.content_type,
        headers={"Content-Disposition": disposition},
    )


async def flush_downloads(database: Database, tally: Tally) -> None:
    """Add what was counted since the last time to the files; a failure loses only counts."""
    counted = tally.take(_KIND)
    if not counted:
        return
    try:
        async with database.write() as session:
            # In one order everywhere, so that two nodes never wait for each other.
            for asset_id, count in sorted(counted.items()):
                statement = update(ReleaseAsset).where(ReleaseAsset.id == asset_id)
                await session.execute(
                    statement.values(download_count=ReleaseAsset.download_count + count).execution_options(
                        synchronize_session=False
                    )
                )
    except CairnError as error:
        _log.warning("downloads_uncounted", files=len(counted), error=error.message)


async def flush_downloads_forever(database: Database, tally: Tally) -> None:
    """Write the counts every few seconds and once more at the end."""
    try:
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            await flush_downloads(database, tally)
    finally:
        await asyncio.shield(flush_downloads(database, tally))
