"""Synthetic chest CTs with planted truths, for the demonstration cohort, for training the demo model and for tests."""
