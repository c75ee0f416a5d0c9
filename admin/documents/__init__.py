"""Documents: the configuration as users write it.

``loading.load`` reads JSON or YAML, ``document.validate`` makes a ``Document`` of it or finds every
fault at once, ``merge.merge_patch`` changes it, ``document.effective`` shows it with every default.
The models describe themselves for the OpenAPI document.

The models need pydantic, a good part of a process's memory and of its start: what has to be known
without them (``faults``, ``units``, ``goodbye``, ``loading``) imports none.
"""
