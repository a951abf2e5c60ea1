"""Gateways, payments and refunds; it knows nothing of what is paid for, only an opaque payable id.

A gateway is never called under a lock: begin, then charge outside any transaction, then settle."""
