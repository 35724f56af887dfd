"""Error families: a feature raises a subclass beside its code, a door turns the family into its own answer.

A message is one sentence for the person who caused the error: it has the values and the next step.
"""

from dataclasses import dataclass


class CairnError(Exception):
    """Base of every error that Cairn explains to its caller."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class NotFound(CairnError):
    """The thing is absent, or the actor may not know that it is there: both look the same."""


class NotFoundHere(NotFound):
    """Something is absent from a thing that the actor sees, so a page may say what, and lead back there."""


class Misconfigured(CairnError):
    """A program cannot start until the operator changes a setting or what it points to; a retry does not help."""


class Unauthenticated(CairnError):
    """Nobody is signed in, or the credential is wrong; signing in could help."""


class Forbidden(CairnError):
    """The actor sees the thing but may not do this to it."""


class Conflict(CairnError):
    """The state changed or already holds something that excludes the request."""


@dataclass(frozen=True, slots=True)
class FieldProblem:
    """One rejected input value, in GitHub's vocabulary.

    ``code`` is missing, missing_field, invalid, already_exists, unprocessable or custom.
    """

    field: str
    code: str
    message: str
    resource: str = ""


class Invalid(CairnError):
    """The input is understood but not acceptable; ``problems`` names the fields."""

    def __init__(self, message: str, *problems: FieldProblem) -> None:
        super().__init__(message)
        self.problems = problems


class Malformed(CairnError):
    """The input cannot be read at all (broken JSON, broken protocol)."""


class TooLarge(CairnError):
    """A stated limit is exceeded; the message names the limit and the setting that moves it."""


class RateLimited(CairnError):
    """Too many requests; ``retry_after_seconds`` says when the next one is welcome."""

    def __init__(self, message: str, *, retry_after_seconds: int) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class Unavailable(CairnError):
    """A dependency (database, object store, git child) did not answer in time; a retry may work."""

    def __init__(self, message: str, *, retry_after_seconds: int = 5) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds
