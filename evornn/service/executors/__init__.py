"""Executors, which compute runs: in a thread, or in a child process that may hold a Ray cluster."""
