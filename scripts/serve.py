"""`marrowmap serve`: the DICOM node: receive, infer, send back."""

from __future__ import annotations

import logging
import signal
import sys
from dataclasses import fields

from jsonargparse import ArgumentParser

from marrowmap.data.errors import NodeError
from marrowmap.inference.node.config import NodeSettings


def main(arguments: list[str] | None = None) -> int:
    """Run the node until it is told to stop.

    Args:
        arguments: Command line without the program's name; None takes the process's own.

    Returns:
        Exit code 0 after an orderly stop. What cannot start is raised as `MarrowmapError`.
    """
    parser = _parser()
    options = parser.parse_args(arguments)
    level = logging.WARNING if options.quiet else logging.INFO
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s", force=True)
    logging.getLogger("marrowmap").setLevel(level)
    made = parser.instantiate(options)
    settings = NodeSettings(**{item.name: getattr(made, item.name) for item in fields(NodeSettings)})
    if options.health:
        return _print_health(settings)
    return _check(settings) if options.check else _run(settings)


def _run(settings: NodeSettings) -> int:
    from marrowmap.inference.node.node import TOKEN_FILE, Node

    node = Node(settings, _model(settings))
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: node.ask_to_stop())
    port = node.status.port if node.status else settings.status_port
    print(f"status page: http://127.0.0.1:{port}/, token in {settings.folder / TOKEN_FILE}", flush=True)
    node.wait()
    node.stop()
    return 0


def _check(settings: NodeSettings) -> int:
    """Check what can be checked without starting: weights, certificates, folder."""
    from marrowmap.inference.node.node import lock_folder
    from marrowmap.inference.node.tls import client_context, server_context

    model = _model(settings)
    if settings.receive and settings.receive.tls:
        server_context(settings.receive.tls)
    for archive in settings.archives:
        peer = archive.dimse or archive.web
        if peer and peer.tls:
            client_context(peer.tls)
    lock_folder(settings.folder).close()
    print(f"configuration is good; model {model}")
    return 0


def _print_health(settings: NodeSettings) -> int:
    from marrowmap.inference.node.status import ask_health

    is_well, words = ask_health(settings.status_port)
    if not is_well:
        raise NodeError(f"the node is not well: {words}")
    print(words)
    return 0


def _model(settings: NodeSettings) -> str:
    from marrowmap.models.bundle import load_bundle

    bundle = load_bundle(settings.work.weights)
    return f"{bundle.name} {bundle.version} {bundle.sha256[:16]}"


def _parser() -> ArgumentParser:
    parser = ArgumentParser(
        prog="marrowmap serve",
        description="The DICOM node. Every field is a key of the YAML file too; docs/node.md explains them.",
    )
    parser.add_argument("--config", action="config", help="The YAML file.")
    parser.add_class_arguments(NodeSettings)
    parser.add_argument("--check", action="store_true", help="Check the configuration and end.")
    parser.add_argument("--health", action="store_true", help="Ask the running node whether it is well.")
    parser.add_argument("--quiet", action="store_true", help="Log warnings only.")
    return parser


if __name__ == "__main__":
    sys.exit(main())
