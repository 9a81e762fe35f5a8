"""Serves Keystone on loopback: `serve.py CONFIGURATION PORT`."""

import os
import sys

import waitress

THREADS = 4


def main() -> None:
    configuration, port = sys.argv[1:]
    # Keystone reads its own arguments from the command line.
    sys.argv[1:] = []
    os.environ["OS_KEYSTONE_CONFIG_FILES"] = configuration
    from keystone.wsgi.api import application

    waitress.serve(application, host="127.0.0.1", port=int(port), threads=THREADS, ident=None)


main()
