"""Builds the component's update set from its records and scripts."""
