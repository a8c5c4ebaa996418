"""Who may read and change what: API tokens and the guard that asks for them."""
