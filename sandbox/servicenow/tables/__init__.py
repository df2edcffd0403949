"""The tables and columns of the instance."""
