"""Trained networks outside of evornn: one file that other programs run, written from the network's own equation."""
