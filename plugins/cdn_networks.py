"""The names ``cloudflare`` and ``cloudfront`` for ``trusted-proxies``, read from files that a command keeps up to date.

    [server.http]
    use-x-forwarded = true
    trusted-proxies = ["cloudflare"]

    [plugins.cdn_networks]
    folder = "networks"

``flaskmail networks refresh cloudflare`` writes ``networks/cloudflare.txt``; reload the server afterwards. While there is
no file, nobody is believed under that name.
"""

from __future__ import annotations

import ipaddress
import json
import urllib.request
from typing import Any

import click

from flaskmail.hookspecs import PolicyFacts, hookimpl

SOURCES = {
    "cloudflare": ("https://www.cloudflare.com/ips-v4", "https://www.cloudflare.com/ips-v6"),
    "cloudfront": ("https://ip-ranges.amazonaws.com/ip-ranges.json",),
}
LARGEST = 16_000_000


@hookimpl
def trusted_networks(policy: PolicyFacts) -> dict[str, list[str]]:
    """What the files hold: a network a line."""
    folder = policy.folder / policy.options.get("cdn_networks", {}).get("folder", "networks")
    files = {name: folder / f"{name}.txt" for name in SOURCES}
    return {name: file.read_text(encoding="ascii").split() if file.exists() else [] for name, file in files.items()}


@hookimpl
def register_commands(server: Any, cli: click.Group) -> None:
    """Adds ``flaskmail networks refresh``."""
    group = click.Group("networks", help="Keep the networks of content delivery networks up to date.")
    cli.add_command(group)

    @group.command(help="Fetch the networks of NAME and write them to its file.")
    @click.argument("name", type=click.Choice(sorted(SOURCES)))
    @click.option("--from", "urls", multiple=True, metavar="URL", help="Fetch them here instead of from their owner.")
    def refresh(name: str, urls: tuple[str, ...]) -> None:
        settings = server.settings
        folder = settings.folder / settings.plugins.options.get("cdn_networks", {}).get("folder", "networks")
        try:
            found = [network for url in urls or SOURCES[name] for network in networks_in(_fetch(url))]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise click.ClickException(f"{getattr(error, 'reason', error)}. The file stays as it is.") from None
        folder.mkdir(parents=True, exist_ok=True)
        fresh = folder / f".{name}.new"
        fresh.write_text("".join(f"{network}\n" for network in found), encoding="ascii")
        fresh.replace(folder / f"{name}.txt")
        click.echo(f"{name}: {len(found)} networks. Reload the server to use them.")


def networks_in(text: str) -> list[str]:
    """The networks of a list, one a line, or of Amazon's JSON; ValueError when one is none, is too large to be true, or there are
    none."""
    lines = text.split()
    if text.lstrip().startswith("{"):
        every = [*json.loads(text)["prefixes"], *json.loads(text)["ipv6_prefixes"]]
        ours = [one for one in every if one["service"] == "CLOUDFRONT_ORIGIN_FACING"]
        lines = [one.get("ip_prefix") or one["ipv6_prefix"] for one in ours]
    found = [ipaddress.ip_network(one) for one in lines]
    if not found or any(one.prefixlen < 8 or not one.is_global for one in found):
        raise ValueError("this is no list of public networks")
    return [str(one) for one in found]


def _fetch(url: str) -> str:
    with urllib.request.urlopen(url, timeout=30) as response:
        return str(response.read(LARGEST).decode("ascii"))
