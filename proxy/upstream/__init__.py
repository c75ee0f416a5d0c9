"""The upstream's side: endpoints and pools, which of them serves next, connections to them."""
