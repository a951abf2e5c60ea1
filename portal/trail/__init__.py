"""The audit trail as staff read it: searched, exported, proven whole; it changes nothing in it."""
