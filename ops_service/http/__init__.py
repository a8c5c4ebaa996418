"""What every route shares: the server, its bounds, problems, parameters, cursors."""
