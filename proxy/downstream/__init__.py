"""The client's side: listeners, client connections, and what is refused at the door."""
