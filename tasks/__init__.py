"""The workers: relay (outbox → Huey), worker (Huey), schedule. They call the same services as the doors.

PostgreSQL holds what is to be done, Huey on Redis only whose turn it is: a job survives kill -9 of any of them.
"""
