"""Random secrets that are shown once and stored only as a hash."""

import hashlib
import secrets


def new_secret(prefix: str = "") -> str:
    """256 random bits, URL-safe, behind the prefix."""
    return prefix + secrets.token_urlsafe(32)


def hash_of(secret: str) -> bytes:
    """What is stored. 256 random bits need no slow hash, and looking the hash up leaks nothing."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()
