"""Who you are: registration, sign-in, sessions, tokens, roles.

It never says whether an address has an account, and never keeps a secret in the clear."""
