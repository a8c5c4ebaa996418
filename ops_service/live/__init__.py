"""The live view: what was written, told as server-sent events."""
