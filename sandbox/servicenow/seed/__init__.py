"""The records and labels that the instance starts with."""
