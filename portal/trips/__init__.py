"""A traveller's own bookings: find, view, download. Never tells whether a reference exists to who may not see it."""
