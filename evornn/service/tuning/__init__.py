"""Tuning on a store: every batch of trials is a job."""
