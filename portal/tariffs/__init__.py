"""What staff set: price rules, promotions, extras.

Every change is audited; a price that was offered or sold stays as it was.
"""
