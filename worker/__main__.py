"""`python -m worker` and the `enrolment-worker` program."""

import sys

from worker.stopping import STOP


def main() -> None:
    """Run the command line of this process; ends the process."""
    if sys.argv[1:2] == ["run"]:
        # Before the imports below, which take longer than a container that is stopped at once has.
        STOP.listen()
    from worker.commands.main import program  # noqa: PLC0415 - see above

    program(prog_name="enrolment-worker")


if __name__ == "__main__":
    main()
