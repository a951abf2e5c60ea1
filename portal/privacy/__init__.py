"""What somebody may ask about themselves: a copy of all that is kept, and to be forgotten, as the law lets us."""
