"""The desk's tickets."""
