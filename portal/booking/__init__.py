"""Offer → hold → passengers → pay → confirmed, then cancelled or changed, and the one state machine of a booking.

Never sells a seat twice; never charges a price that was not shown; asking twice gives the same booking."""
