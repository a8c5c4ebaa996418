"""The rebuild: replay the log beside the live tables, cut over, repair, verify."""
