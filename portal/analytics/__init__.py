"""Roll-ups, dashboards and exports. Reads bookings in roll-ups that a job keeps; never slows a sale."""
