"""What of a text a version knows, by the types that it reads the text into."""

from __future__ import annotations

from msgspec import inspect


def sorted_out(value: object, kind: inspect.Type, place: str = "") -> tuple[object, tuple[str, ...]]:
    """The value without the keys that `kind` does not have, and where those stood (`health.probes[0].retries`).

    What has another shape than `kind` stays as it is: to refuse it is for whoever converts it.
    """
    match kind:
        case inspect.StructType() if isinstance(value, dict):
            return _table(value, kind, place)
        case inspect.VarTupleType(item_type=item) if isinstance(value, list):
            rows = [sorted_out(each, item, f"{place}[{number}]") for number, each in enumerate(value)]
            return [row for row, _ in rows], tuple(each for _, unknown in rows for each in unknown)
        case inspect.UnionType(types=types) if isinstance(value, dict):
            meant = next((each for each in types if _is_tagged(value, each)), None)
            return (value, ()) if meant is None else sorted_out(value, meant, place)
        case _:
            return value, ()


def _table(table: dict[str, object], kind: inspect.StructType, place: str) -> tuple[object, tuple[str, ...]]:
    known, unknown = dict[str, object](), list[str]()
    kinds = {field.encode_name: field.type for field in kind.fields}
    for key, value in table.items():
        where = f"{place}.{key}" if place else key
        if key in kinds:
            known[key], within = sorted_out(value, kinds[key], where)
            unknown += within
        elif key == kind.tag_field:
            known[key] = value
        else:
            unknown.append(where)
    return known, tuple(unknown)


def _is_tagged(table: dict[str, object], kind: inspect.Type) -> bool:
    return isinstance(kind, inspect.StructType) and kind.tag_field in table and table[kind.tag_field] == kind.tag
