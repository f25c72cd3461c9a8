"""The engine of the service: claims runs under leases, executes them, records what they report."""
