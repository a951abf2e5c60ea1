"""A flight booking portal: travellers search, book, pay and manage trips; staff steer; programs use /api/."""
