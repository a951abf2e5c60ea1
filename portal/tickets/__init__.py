"""What the traveller is handed: itinerary PDF, calendar file, mails. It reads bookings and never changes them."""
