"""Banners stand in their time, for who has not put them away."""

from datetime import UTC, datetime, timedelta

from cairn.web.site_state import Banner, SiteState

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def test_banners_stand_in_their_time_for_who_has_not_put_them_away() -> None:
    state = SiteState(
        [
            Banner(1, "now", "notice", is_dismissible=True, starts_at=NOON - HOUR, ends_at=NOON + HOUR),
            Banner(2, "later", "notice", is_dismissible=True, starts_at=NOON + HOUR, ends_at=None),
            Banner(3, "over", "notice", is_dismissible=True, starts_at=NOON - HOUR, ends_at=NOON),
            Banner(4, "stays", "danger", is_dismissible=False, starts_at=NOON, ends_at=None),
        ]
    )
    assert [banner.id for banner in state.banners_at(NOON, [])] == [1, 4]
    assert [banner.id for banner in state.banners_at(NOON, ["1", "4"])] == [4]
    assert [banner.id for banner in state.banners_at(NOON + 2 * HOUR, [])] == [2, 4]
