"""The script engine, and what it offers to scripts: the Glide API."""
