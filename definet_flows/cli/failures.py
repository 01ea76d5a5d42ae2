"""How a command ends when it does not succeed: one sentence on stderr and an exit code, never a traceback unasked."""

from __future__ import annotations

import logging
import os
import sys
import traceback
import warnings
from typing import Any, NoReturn

import typer
from typer.core import TyperGroup

from definet_flows.errors import DefinetFlowsError

FAILED = 1
INTERRUPTED = 130
CLOSED_PIPE = 141

# Which extra brings a package that a command found missing.
EXTRAS = {
    "chgnet": "forcefield",
    "fireworks": "fireworks",
    "gpaw": "gpaw",
    "lightning": "train",
    "matplotlib": "report",
    "plotly": "report",
    "mp_api": "mp",
    "pandas": "query",
    "pyarrow": "query",
    "pymatgen.analysis.defects": "defects",
}

# The page that helps, by the module an error was raised in; the longest name that fits counts.
PAGES = {
    "definet_flows.cli.submission": "cluster",
    "definet_flows.defects.host": "own-host",
    "definet_flows.defects.point_defect": "cli",
    "definet_flows.definet.importing": "import-weights",
    "definet_flows.engines.gpaw": "gpaw",
    "definet_flows.engines.potentials": "engines",
    "definet_flows.engines.vasp": "vasp",
    "definet_flows.flows": "campaigns",
    "definet_flows.jobs": "campaigns",
    "definet_flows.launch.directory": "broken-campaign",
    "definet_flows.launch.doctor": "cluster",
    "definet_flows.launch.fireworks": "cluster",
    "definet_flows.launch.hpc": "cluster",
    "definet_flows.launch.validation": "validation",
    "definet_flows.records.address": "stores",
    "definet_flows.records.adoption": "adopting",
    "definet_flows.records.database": "stores",
    "definet_flows.records.energetics": "energetics",
    "definet_flows.records.lock": "broken-campaign",
    "definet_flows.records.query": "query",
    "definet_flows.training": "training",
    "definet_flows.training.datasets": "datasets",
    "definet_flows.training.evaluation": "evaluation",
    "definet_flows.training.studies": "evaluation",
}


class ReportingGroup(TyperGroup):
    """The top command: turns whatever a command raises into a sentence and an exit code."""

    def invoke(self, ctx: Any) -> Any:
        """Run the chosen command.

        Raises
        ------
        typer.Exit
            With the exit code of what went wrong.
        """
        if ctx.params.get("debug"):
            return super().invoke(ctx)
        try:
            with warnings.catch_warnings():
                # Deprecations inside other people's packages are for developers, who run the tests or --debug.
                warnings.simplefilter("ignore")
                outcome = super().invoke(ctx)
                sys.stdout.flush()
                return outcome
        except (typer.Exit, typer.Abort):
            raise
        except KeyboardInterrupt:
            typer.echo("Interrupted.", err=True)
            raise typer.Exit(INTERRUPTED) from None
        except BrokenPipeError:
            _close_stdout_quietly()
            raise typer.Exit(CLOSED_PIPE) from None
        except DefinetFlowsError as error:
            fail(f"{error}{_where_to_read(error)}", error.exit_code)
        # The outermost frame, where a bug is told from a user's mistake: anything may arrive, and --debug shows it in full.
        except Exception as error:
            if _is_usage_error(error):
                raise
            fail(_unexpected(error), FAILED)


def fail(sentence: str, exit_code: int) -> NoReturn:
    """Print an error sentence on stderr and leave with an exit code.

    Raises
    ------
    typer.Exit
        Always.
    """
    typer.echo(sentence if exit_code == INTERRUPTED else f"Error: {sentence}", err=True)
    raise typer.Exit(exit_code)


def show_log_messages(verbosity: int) -> None:
    """Send the package's log messages to stderr: warnings always, progress with one ``-v``, details with two."""
    handler = _Stderr()
    handler.setFormatter(_LevelFormatter("%(message)s"))
    package = logging.getLogger("definet_flows")
    package.handlers[:] = [handler]
    package.propagate = False
    package.setLevel({0: logging.WARNING, 1: logging.INFO}.get(verbosity, logging.DEBUG))


class _Stderr(logging.Handler):
    """Whatever stderr is at the time: a progress bar puts itself in its place, and moves aside for a message."""

    def emit(self, record: logging.LogRecord) -> None:
        typer.echo(self.format(record), err=True)


class _LevelFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        message = super().format(record)
        return f"{record.levelname.capitalize()}: {message}" if record.levelno >= logging.WARNING else message


def _is_usage_error(error: Exception) -> bool:
    # Typer's own errors know how to show themselves; their base class has moved between versions of typer.
    return hasattr(error, "format_message")


def _where_to_read(error: Exception) -> str:
    modules = [str(frame.f_globals.get("__name__")) for frame, _ in traceback.walk_tb(error.__traceback__)]
    raised_in = next((name for name in reversed(modules) if name.startswith("definet_flows.")), "")
    page = max((name for name in PAGES if f"{raised_in}.".startswith(f"{name}.")), key=len, default=None)
    return f" See docs/{PAGES[page]}.md." if page else ""


def _unexpected(error: Exception) -> str:
    if isinstance(error, ModuleNotFoundError) and (extra := EXTRAS.get(error.name or "")):
        return f"This needs the package {error.name}: pip install 'definet-flows[{extra}]'."
    detail = " ".join(str(error).split()) or "no further message"
    return (
        f"{type(error).__name__}: {detail}. This was not foreseen; "
        "run the same command as `definet-flows --debug ...` for the traceback."
    )


def _close_stdout_quietly() -> None:
    # Python flushes stdout once more on its way out, which would complain about the closed pipe again.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
