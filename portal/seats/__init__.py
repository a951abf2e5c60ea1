"""The seat map and the extras, before and after paying.

A named seat belongs to one passenger, whoever clicks at once.
"""
