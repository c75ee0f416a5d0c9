"""One request's journey: routed, sent to an endpoint, answered, accounted for."""
