"""Keeps forks out of the moments in which a lock of a file is taken or given up.

A forked child inherits every descriptor, and its lock with it. One that is not written down yet could not be
let go of in the child, which would then hold the lock for as long as it lives.
"""

from __future__ import annotations

import os
import threading
from typing import Final

NO_FORK: Final = threading.Lock()
"""While a thread holds it, another that forks waits. Never to be held over anything slow."""

os.register_at_fork(before=NO_FORK.acquire, after_in_parent=NO_FORK.release, after_in_child=NO_FORK.release)
