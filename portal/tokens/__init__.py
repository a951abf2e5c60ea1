"""What programs show instead of a cookie: access and refresh tokens, personal API keys.

A token or key is handed out once and never kept as it was given; this room knows a user only by id."""
