"""Rules of the house that no linter has: short functions, tests that assert themselves, broad handlers that say why."""

from __future__ import annotations

import ast
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted(path for room in ("definet_flows", "benchmarks", "tests") for path in (ROOT / room).rglob("*.py"))
TEST_FILES = [path for path in FILES if path.name.startswith("test_")]

MAX_FUNCTION_LINES = 40
BROAD = {"Exception", "BaseException"}
ASSERTING_CALLS = {"pytest.raises", "pytest.warns", "pytest.fail"}


def functions(path: Path) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


def code_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines from ``def`` to the end, the docstring not counted: documentation does not make a function long."""
    first = function.body[0]
    documented = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    docstring = first.end_lineno - first.lineno + 1 if documented else 0
    return function.end_lineno - function.lineno + 1 - docstring


def asserts(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Whether a reader sees in the function itself what must hold."""
    called = {ast.unparse(node.func) for node in ast.walk(function) if isinstance(node, ast.Call)}
    return (
        any(isinstance(node, ast.Assert) for node in ast.walk(function))
        or bool(called & ASSERTING_CALLS)
        or any(".testing.assert_" in name for name in called)
    )


def broad_handlers(path: Path) -> list[int]:
    """Lines of handlers that catch everything."""
    handlers = [n for n in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(n, ast.ExceptHandler)]
    return [h.lineno for h in handlers if h.type is None or BROAD & {ast.unparse(n) for n in ast.walk(h.type)}]


def offences(files: list[Path], found: Callable[[Path], list[str]]) -> dict[str, list[str]]:
    """File name to what is found in it, for files where anything is."""
    return {str(path.relative_to(ROOT)): names for path in files if (names := found(path))}


def test_functions_stay_short():
    assert offences(FILES, lambda path: [f.name for f in functions(path) if code_lines(f) > MAX_FUNCTION_LINES]) == {}


def test_every_test_asserts_in_its_own_body():
    silent = offences(
        TEST_FILES, lambda path: [f.name for f in functions(path) if f.name.startswith("test_") and not asserts(f)]
    )
    assert silent == {}


def test_a_broad_handler_says_why_on_the_line_above():
    def unexplained(path):
        lines = path.read_text(encoding="utf-8").splitlines()
        return [f"line {n}" for n in broad_handlers(path) if not lines[n - 2].strip().startswith("# ")]

    assert offences(FILES, unexplained) == {}
