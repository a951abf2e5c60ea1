"""What the carrier changes: delay, new times, a cancelled flight, another aircraft.

Sale closes first; then everybody booked is told and may accept, choose another flight or take the money back.
"""
