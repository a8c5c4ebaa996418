"""What is refused to administrators, over HTTP and in the shell alike."""


class Refused(Exception):
    """What was asked for cannot be done; the text says why."""

    def __init__(self, reason: str, code: str = "") -> None:
        """`code` tells refusals apart for the desk."""
        super().__init__(reason)
        self.code = code
