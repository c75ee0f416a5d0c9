"""JSON Merge Patch (RFC 7396)."""

from __future__ import annotations


def merge_patch(target: object, patch: object) -> object:
    """Return ``target`` as ``patch`` changes it; neither argument is changed.

    The result shares what is unchanged with the arguments: treat all three as immutable.
    """
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge_patch(merged.get(key), value)
    return merged
