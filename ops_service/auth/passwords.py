"""Passwords: argon2id, and one path for every attempt, so that its time tells nothing."""

import threading
import unicodedata
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from ops_service.http.problems import unavailable

MIN_LENGTH: Final = 12
MAX_LENGTH: Final = 256

_WAIT_SECONDS: Final = 5

# RFC 9106's second recommendation: 3 passes over 64 MiB. One lane: the machine has other work.
_hasher = PasswordHasher(time_cost=3, memory_cost=64 * 1024, parallelism=1)
# Of no password: salt and hash are all zeros. Made with today's costs, it takes as long to be refused as any.
_nobodys_hash = (
    f"$argon2id$v=19$m={_hasher.memory_cost},t={_hasher.time_cost},p={_hasher.parallelism}"
    f"${'A' * 22}${'A' * 43}"
)

# A hash takes 64 MiB and a core: whoever floods the sign-in waits, not the machine.
_at_once = threading.BoundedSemaphore(2)


def hash_password(password: str) -> str:
    """The argon2id hash to store. Raises Problem 503 when too many wait."""
    with _Turn():
        return _hasher.hash(_normal(password))


def hash_new(password: str, name: str) -> str:
    """The hash of a password that `name` chose. Raises ValueError, saying what it must be, or Problem 503."""
    if not MIN_LENGTH <= len(password) <= MAX_LENGTH:
        raise ValueError(f"must have {MIN_LENGTH} to {MAX_LENGTH} characters")
    if name in password.lower() and len(password) < len(name) + MIN_LENGTH:
        raise ValueError("must not be made of the name")
    return hash_password(password)


def is_right(stored: str | None, password: str) -> bool:
    """True when the password is the stored one. For nobody's account it computes as long and is False."""
    with _Turn():
        try:
            _hasher.verify(stored or _nobodys_hash, _normal(password))
            return stored is not None
        except (VerificationError, InvalidHashError):
            return False


def is_outdated(stored: str) -> bool:
    """True when the hash was made with other costs than today's."""
    return _hasher.check_needs_rehash(stored)


def _normal(password: str) -> str:
    """One keyboard sends "ç" as one character, another as two."""
    return unicodedata.normalize("NFKC", password)


class _Turn:
    """Waits for a free place, but not for ever."""

    def __enter__(self) -> None:
        if not _at_once.acquire(timeout=_WAIT_SECONDS):
            raise unavailable("Too many people sign in at this moment; try again.")

    def __exit__(self, *_error: object) -> None:
        _at_once.release()
