"""Two transports joined after an upgrade: raw octets, both ways, counted."""
