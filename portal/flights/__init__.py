"""Timetable, flights, cabins and the counters that must never go below zero.

Sold + held + free = capacity, per flight and cabin, always. It knows nothing of bookings: a claim belongs to an opaque
holder."""
