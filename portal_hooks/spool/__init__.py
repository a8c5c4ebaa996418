"""The spool: what `emit` returned from lies here on disk until Ops has it."""
