"""Criteria → itineraries → signed offers; filters and sorting. Searching writes nothing."""
