"""Benchmarks: ratios against limits measured in the same run, never bare times, never tests.

One module each, with a `run() -> Result`; `python -m tests.benchmarks [NAME …]` runs them, prints what they say, and
keeps it in var/bench/NAME.json.
"""
