"""Where endpoints come from, beside the addresses that stand in the configuration."""
