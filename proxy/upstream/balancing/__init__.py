"""The ways of choosing one of a pool's members, each a pure decision, most of them nginx's."""
