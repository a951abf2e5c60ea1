"""Second factors: one-time codes, recovery codes and passkeys, proven each once; knows nothing of whose they are."""
