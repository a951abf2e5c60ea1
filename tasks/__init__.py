"""The workers: relay (outbox → Huey), worker (Huey), schedule. They call the same services as the doors."""
