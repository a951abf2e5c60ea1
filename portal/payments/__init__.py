"""Gateways, payments, refunds, travel credits and the ledger; it knows nothing of what is paid for, only an opaque id.

A gateway is never called under a lock: begin, then charge outside any transaction, then settle."""
