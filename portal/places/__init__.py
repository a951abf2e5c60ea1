"""Airports, cities, time zones and their autocomplete.

It promises that every airport code that the portal shows resolves to one airport with its zone; it knows no flights."""
