"""What is counted and said: plain counters, their exposition, logs."""
