"""The web pages that people use: record lists and record forms."""
