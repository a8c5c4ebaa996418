"""Where signed webhooks come in: from bytes to a durable, projected event."""
