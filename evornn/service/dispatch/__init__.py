"""The dispatcher: claims runs under leases, has them executed, and records their progress."""
