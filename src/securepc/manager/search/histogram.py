"""How many entries there are in each step of time: one column read, nothing sorted."""

from __future__ import annotations

import duckdb

from securepc.manager.search.query import Damaged
from securepc.manager.search.store import View


def histogram(
    connection: duckdb.DuckDBPyConnection, view: View, start: int, step: int, steps: int
) -> list[int]:
    """Entries by the PCs' clocks in [start, start + step), and so on; times in microseconds.

    Raises:
        Damaged: a file can't be read.
    """
    end = start + step * steps
    files = [file for file in view.files if file.earliest < end and file.latest >= start]
    sources = ["hot", "provisional"]
    values: dict[str, object] = {"start": start, "end": end, "step": step}
    if files:
        sources.append("read_parquet($paths)")
        values["paths"] = [str(view.folder / file.path) for file in files]
    where = "WHERE happened >= $start AND happened < $end"
    union = " UNION ALL ".join(f"SELECT happened FROM {source} {where}" for source in sources)  # noqa: S608
    sql = f"SELECT (happened - $start) // $step AS bin, count(*) FROM ({union}) GROUP BY bin"  # noqa: S608
    with connection.cursor() as cursor:
        cursor.register("hot", view.hot)
        cursor.register("provisional", view.provisional)
        try:
            found = cursor.sql(sql, params=values).fetchall()
        except duckdb.Error as error:
            raise Damaged(files, str(error)) from error
    counts = [0] * steps
    for step_number, count in found:
        counts[step_number] = count
    return counts
