"""`python -m worker` and the `enrolment-worker` program."""

from worker.commands.main import program


def main() -> None:
    """Run the command line of this process; ends the process."""
    program(prog_name="enrolment-worker")


if __name__ == "__main__":
    main()
