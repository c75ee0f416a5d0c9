"""The folder of ``--config DIR``: documents that own their objects, followed as they change."""
