"""Reporting checklists filled in from stored facts: what was found, what is missing, what only the author can say."""
