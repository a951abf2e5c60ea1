"""What somebody waits for: a seat on a full flight, a lower fare.

It never sells: it holds real seats and writes a mail.
"""
