"""Check-in from 24 hours to 60 minutes before departure, boarding passes and the gate.

It never checks in who may not fly.
"""
