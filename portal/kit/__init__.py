"""The ground floor: settings, database, errors, web, money, clock, outbox, signing.

It knows nothing of flights and imports no other room.
"""
