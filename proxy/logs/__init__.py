"""Access logs as a configuration has them: formats, conditions, and where the lines go."""
