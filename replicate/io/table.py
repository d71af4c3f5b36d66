"""A small table with named columns, which a terminal and Jupyter display as a table."""

import html
from collections.abc import Iterator, Sequence
from typing import Any

__all__ = ["Table"]

#: Only this many rows are displayed; the table keeps all.
SHOWN = 20


class Table:
    """Rows of values under named columns.

    Iteration gives each row as a dictionary; ``table[name]`` gives a column.

    Args:
        columns: the names of the columns.
        rows: one sequence of values for each row.

    Example:
        >>> table = Table(("word", "wac"), [("dull", 0.5), ("film", 0.25)])
        >>> table
        word   wac
        dull   0.5
        film  0.25
        >>> table["wac"], len(table), next(iter(table))
        ([0.5, 0.25], 2, {'word': 'dull', 'wac': 0.5})
    """

    def __init__(self, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        self.columns = tuple(columns)
        self.rows = [tuple(row) for row in rows]

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return (dict(zip(self.columns, row)) for row in self.rows)

    def __getitem__(self, column: str) -> list[Any]:
        place = self.columns.index(column)
        return [row[place] for row in self.rows]

    def _cells(self) -> list[list[str]]:
        return [[_shown(value) for value in row] for row in self.rows[:SHOWN]]

    def __repr__(self) -> str:
        lines = [list(self.columns), *self._cells()]
        widths = [max(map(len, column)) for column in zip(*lines)]
        numbers = [
            all(isinstance(row[i], (int, float)) for row in self.rows)
            for i in range(len(self.columns))
        ]
        text = [
            "  ".join(
                cell.rjust(width) if number else cell.ljust(width)
                for cell, width, number in zip(line, widths, numbers)
            ).rstrip()
            for line in lines
        ]
        left = len(self.rows) - SHOWN
        return "\n".join([*text, *([f"… {left:,} more rows"] if left > 0 else [])])

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{html.escape(name)}</th>" for name in self.columns)
        body = "".join(
            "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>"
            for row in self._cells()
        )
        left = len(self.rows) - SHOWN
        more = f"<p>… {left:,} more rows</p>" if left > 0 else ""
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{more}"

    def to_pandas(self) -> Any:
        """The table as a ``pandas.DataFrame``.

        Raises:
            ImportError: if pandas is not installed.
        """
        import pandas

        return pandas.DataFrame(self.rows, columns=list(self.columns))


def _shown(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
