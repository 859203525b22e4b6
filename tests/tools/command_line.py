"""Commands as a shell would run them, within the process of the tests."""

from fastadagrad import cli


def run(capsys, *arguments):
    status = cli.main([str(a) for a in arguments])
    return status, *capsys.readouterr()
