"""A traveller's own bookings: find, view, download, cancel, change.

Never tells whether a reference exists to who may not see it; never changes what was not shown before with all it costs.
"""
