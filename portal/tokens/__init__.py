"""What programs show instead of a cookie: access and refresh tokens, personal API keys; never kept as they were given."""
