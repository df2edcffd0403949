"""Records in memory, and the base system's logic that runs when one is saved."""
