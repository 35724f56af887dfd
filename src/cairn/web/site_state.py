"""What pages show of the installation's state: announcements, whether strangers may sign up, whether it is set up.

Pages are rendered without asking the database for it: the program renews the state every few seconds.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

FRESH_SECONDS = 5
"""How old the state may be."""


@dataclass(frozen=True, slots=True)
class Banner:
    """An announcement; None at ``ends_at`` is until it is taken down."""

    id: int
    text: str
    level: Literal["notice", "warning", "danger"]
    is_dismissible: bool
    starts_at: datetime
    ends_at: datetime | None


@dataclass(slots=True)
class SiteState:
    """The state as last read; ``registration`` empty means: as the setting says.

    ``awaits_administrator`` is true until the first one is made, and None before anybody looked.
    """

    banners: Sequence[Banner] = ()
    registration: str = ""
    awaits_administrator: bool | None = None

    def banners_at(self, moment: datetime, dismissed: Collection[str]) -> list[Banner]:
        """Return what is announced at a moment to a browser that has put some announcements away."""
        return [
            banner
            for banner in self.banners
            if banner.starts_at <= moment
            and (banner.ends_at is None or moment < banner.ends_at)
            and not (banner.is_dismissible and str(banner.id) in dismissed)
        ]
