"""The desk's tables as CSV files."""
