"""Fares, brands and taxes: pure rules with a printed breakdown that adds up to the cent.

It never reads the clock and never trusts a price from outside."""
