"""Tuning: methods with ranges, and the sampler that proposes their settings."""
