"""The audit trail as staff read it: searched, sealed into a chain, proven whole; it changes no entry.

Retention takes whole sealed stretches from the old end, and leaves a record of it in the chain.
"""
