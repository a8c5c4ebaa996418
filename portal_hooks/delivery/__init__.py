"""The delivery: the one sender of a spool folder, its HTTP client and its circuit breaker."""
