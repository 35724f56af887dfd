"""A user and password for another server: sealed for the row of the import or mirror that needs them."""

import base64
from dataclasses import dataclass, field

import msgspec

from cairn.base.errors import FieldProblem, Invalid
from cairn.base.secret_box import SecretBox, load_key_ring
from cairn.base.settings import Settings

LENGTH_MAX = 1000
_USER_OF_A_TOKEN = "x-access-token"  # noqa: S105 (a name that servers take beside a token, no secret)


@dataclass(frozen=True, slots=True)
class Credentials:
    """What another server wants to see; both empty for nothing. The password may be a token."""

    user: str = ""
    password: str = field(default="", repr=False)

    @property
    def authorization(self) -> str:
        """The value of the header that carries them; empty for none."""
        if not self.user and not self.password:
            return ""
        text = f"{self.user or _USER_OF_A_TOKEN}:{self.password}"
        return "Basic " + base64.b64encode(text.encode()).decode("ascii")


NO_CREDENTIALS = Credentials()


def check_credentials(user: str, password: str) -> Credentials:
    """Return the credentials if a header can carry them. Errors: Invalid names the field, never the value."""
    for name, value in (("user", user), ("password", password)):
        if len(value) > LENGTH_MAX or any(ord(letter) < 32 or ord(letter) == 127 for letter in value):
            message = f"The {name} has more than {LENGTH_MAX} characters, or control characters."
            raise Invalid(message, FieldProblem(name, "invalid", message, "Import"))
    if ":" in user:
        message = "A user's name has no colon."
        raise Invalid(message, FieldProblem("user", "invalid", message, "Import"))
    return Credentials(user, password)


def seal_credentials(settings: Settings, table: str, row_id: int, credentials: Credentials) -> bytes | None:
    """Return what the column ``sealed`` of a row keeps: nothing where there is nothing to keep."""
    if not credentials.authorization:
        return None
    plain = msgspec.json.encode([credentials.user, credentials.password])
    return _box(settings).seal(plain, table=table, column="sealed", row=row_id)


def open_credentials(settings: Settings, table: str, row_id: int, sealed: bytes | None) -> Credentials:
    """Return the credentials that a row keeps. Errors: SecretUnreadable."""
    if sealed is None:
        return Credentials()
    plain = _box(settings).open(sealed, table=table, column="sealed", row=row_id)
    user, password = msgspec.json.decode(plain, type=tuple[str, str])
    return Credentials(user, password)


def _box(settings: Settings) -> SecretBox:
    return SecretBox(load_key_ring(settings))
