"""What `./dev` stands on: the bootstrap, the local services and the supervisor of `./dev run`.

Nothing here is used in production, and nothing in `portal/` or `tasks/` imports it.
"""
