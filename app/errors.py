"""What can go wrong, split by what the caller may do about it.

KadrError
├── RetryLater            the world was not ready; the same call may succeed later
│   └── Unavailable       a named service does not answer
│       └── NoRoom        it has no room for more
├── Rejected              this input will never succeed; set it aside with its reason
│   ├── Malformed         bytes that are not the message they should be
│   ├── Missing           the named thing is not there, for good
│   │   └── NoBucket      not even the bucket that it would be in
│   └── Undecodable       the bytes are no video or picture we can read
├── Conflict              somebody else has changed the thing meanwhile; what we knew is void
├── StartAgain            this process is of no use any more, whatever it has in hand; a new one is
└── Misconfigured         an operator has to act; the process ends with one line
"""

from typing import Final

EXIT_MISCONFIGURED: Final = 78
"""EX_CONFIG of BSD's sysexits.h: the process cannot run with the settings it was given."""

EXIT_UNSAFE: Final = 70
"""EX_SOFTWARE of BSD's sysexits.h: going on would risk losing a message; start again."""


class KadrError(Exception):
    """Everything Kadr raises on purpose."""


class RetryLater(KadrError):
    """The world was not ready; the same call may succeed later."""


class Unavailable(RetryLater):
    """A service does not answer, or answers that it cannot work now.

    Args:
        service: its name as an operator knows it, such as `Kafka`.
        cause: what was seen, in the library's words.
    """

    def __init__(self, service: str, cause: object) -> None:
        self.service = service
        super().__init__(f"{service} is not available: {cause}")


class NoRoom(Unavailable):
    """A service, or a disk, has no room for more; somebody has to make some."""


class Rejected(KadrError):
    """This input will never succeed; it is set aside with its reason.

    Args:
        code: a stable word for programs, such as `not_a_video`.
        reason: a sentence for people.
    """

    def __init__(self, code: str, reason: str) -> None:
        self.code = code
        self.reason = reason
        super().__init__(f"{code}: {reason}")


class Malformed(Rejected):
    """Bytes that are not the message they should be."""

    def __init__(self, what: str, cause: object) -> None:
        super().__init__("malformed", f"{what} cannot be read: {cause}")


class Missing(Rejected):
    """The named thing is not there, for good."""

    def __init__(self, what: str) -> None:
        super().__init__("not_found", f"{what} does not exist")


class NoBucket(Missing):
    """The bucket of an object is not there."""


class Undecodable(Rejected):
    """The bytes are no video or picture that we can read."""


class Conflict(KadrError):
    """Somebody else has changed the thing meanwhile; what we knew of it is void."""


class StartAgain(KadrError):
    """This process is of no use any more, through no fault of what it has in hand; a new one is."""


class Misconfigured(KadrError):
    """An operator has to act; the process ends with this one line."""
