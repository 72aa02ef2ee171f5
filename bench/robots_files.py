"""How fast robots files are decided, URL by URL: whole batches beside protego, the parser of the paper.

    python bench/robots_files.py [--hosts N] [--urls M] [--batch B] [--repeats R] [--peer P]

Makes N hosts and M URLs from a seed: hosts without a file, files that allow everything, that refuse named crawlers,
WordPress's own with and without additions, shops, long lists; URLs as blogs, news and shops have them, a few hosts with
many. Every mode decides all URLs in batches, files prepared within the time; protego decides the first P as the
released code does (one parser per host kept, every agent asked), and its verdicts must be those of the paper's mode.
Prints one JSON object: URLs per second of processor time of one process, medians of R rounds in turn.
"""

import argparse
import json
import os
import platform
import random
import statistics
import time
from functools import lru_cache
from itertools import accumulate

import polars as pl
from protego import Protego

from homespun.corpus.robots.decide import Decider, Fetched, Policy
from homespun.corpus.robots.robots import AGENTS, MODES

CRAWLERS = [
    "GPTBot",
    "CCBot",
    "Google-Extended",
    "ClaudeBot",
    "anthropic-ai",
    "Bytespider",
    "PerplexityBot",
    "Amazonbot",
]
CRAWLERS += ["Applebot-Extended", "FacebookBot", "Meta-ExternalAgent", "cohere-ai", "Diffbot", "omgili", "ImagesiftBot"]
SPOKEN = "news 2019 about world tag product category page blog how to the best of summer city review sport health"
WORDS = SPOKEN.split()
ADDITIONS = ["/wp-includes/", "/?s=", "/search", "/author/", "/trackback/", "/xmlrpc.php", "/*?replytocom=", "/*/feed/",
             "/cgi-bin/", "/tag/", "/wp-json/", "/*.pdf$", "/readme.html", "/private"]  # fmt: skip
SHOP = ["/admin", "/cart", "/orders", "/checkout", "/account", "/collections/*sort_by*", "/*/collections/*+*", "/*?q=",
        "/*?*variant=*", "/policies/", "/*/blogs/*%2b*", "/apple-app-site-association"]  # fmt: skip


def file_of(random_: random.Random, host: str) -> str | None:
    """A robots file as that sort of site has it; None: there is none."""
    sort = random_.choices(["none", "all", "crawlers", "blog", "blog more", "shop", "long", "nobody"],
                           [28, 15, 10, 18, 12, 8, 7, 2])[0]  # fmt: skip
    end = f"\nSitemap: https://{host}/sitemap.xml\n"
    crawlers = "".join(
        f"User-agent: {name}\nDisallow: /\n\n" for name in random_.sample(CRAWLERS, random_.randint(1, 9))
    )
    first = crawlers if random_.random() < 0.15 else ""
    blog = "User-agent: *\nDisallow: /wp-admin/\nAllow: /wp-admin/admin-ajax.php\n"
    if sort == "none":
        return None
    if sort == "all":
        return "User-agent: *\nDisallow:\n" + end
    if sort == "nobody":
        return "User-agent: *\nDisallow: /\n"
    if sort == "crawlers":
        return crawlers + "User-agent: *\nAllow: /\n" + end
    if sort == "blog":
        return first + blog + end
    if sort == "blog more":
        return (
            first
            + blog
            + "".join(f"Disallow: {path}\n" for path in random_.sample(ADDITIONS, random_.randint(1, 8)))
            + end
        )
    if sort == "shop":
        return first + "User-agent: *\n" + "".join(f"Disallow: {path}\n" for path in SHOP) + end
    rules = (
        f"{random_.choice(['Disallow', 'Disallow', 'Allow'])}: /{path_of(random_)}"
        for _ in range(random_.randint(20, 200))
    )
    return first + "User-agent: *\n" + "\n".join(rules) + end


def path_of(random_: random.Random) -> str:
    """A path, now and then with a query or an escape."""
    path = "/".join("-".join(random_.sample(WORDS, random_.randint(1, 4))) for _ in range(random_.randint(1, 3)))
    draw = random_.random()
    end = "?s=summer" if draw < 0.04 else f"?p={random_.randint(1, 9999)}&ref=rss" if draw < 0.1 else ""
    return f"{path}{'/%E6%97%A5' if draw > 0.97 else ''}{'.html' if 0.3 < draw < 0.5 else '/'}{end}"


def web(hosts: int, urls: int) -> tuple[dict[str, Fetched], list[str]]:
    """Files by host, and URLs whose hosts are drawn by a power law."""
    random_ = random.Random(20250101)
    names = [f"{'www.' if at % 3 else ''}site-{at}.example" for at in range(hosts)]
    files = {name: Fetched(text) for name in names if (text := file_of(random_, name)) is not None}
    weights = list(accumulate(1 / (at + 20) ** 0.8 for at in range(hosts)))
    drawn = random_.choices(names, cum_weights=weights, k=urls)
    paths = [path_of(random_) for _ in range(min(urls, 200_000))]
    return files, [f"https://{name}/{random_.choice(paths)}" for name in drawn]


def protego(files: dict[str, Fetched], urls: list[str]) -> list[list[str]]:
    """As the released code: the host as it stands, a parser kept for each of 8192 files, every agent asked."""

    @lru_cache(8192)
    def parser(host: str) -> Protego | None:
        file = files.get(host)
        return Protego.parse(str(file.content)) if file else None

    found: list[list[str]] = []
    for url in urls:
        said = parser(url.split("/", 3)[2])
        found.append([agent for agent in AGENTS if said and not said.can_fetch(url, agent)])
    return found


def main() -> None:
    """Measures and prints."""
    options = argparse.ArgumentParser()
    options.add_argument("--hosts", type=int, default=100_000)
    options.add_argument("--urls", type=int, default=2_000_000)
    options.add_argument("--batch", type=int, default=250_000)
    options.add_argument("--repeats", type=int, default=3)
    options.add_argument("--peer", type=int, default=20_000)
    chosen = options.parse_args()
    files, urls = web(chosen.hosts, chosen.urls)
    column = pl.Series(urls)
    rates: dict[str, list[float]] = {f"{mode}{when}": [] for mode in MODES for when in ("", "_prepared")} | {
        "protego": []
    }
    theirs: list[list[str]] = []
    refused = {}
    for _ in range(chosen.repeats):
        for mode in MODES:
            decider = Decider(files, Policy(mode=mode))
            for when in ("", "_prepared"):  # all files parsed within the time, and a second time over
                started = time.process_time()
                parts = [decider.masks(column.slice(at, chosen.batch)) for at in range(0, len(column), chosen.batch)]
                rates[mode + when].append(len(column) / (time.process_time() - started))
            masks = pl.concat(parts)
            refused[mode] = round((masks != 0).mean(), 4)
            if mode == "paper":
                ours = [[agent for at, agent in enumerate(AGENTS) if mask >> at & 1] for mask in masks[: chosen.peer]]
        started = time.process_time()
        theirs = protego(files, urls[: chosen.peer])
        rates["protego"].append(chosen.peer / (time.process_time() - started))
        assert ours == theirs, "the paper's mode decides as protego does"
    medians = {name: statistics.median(values) for name, values in rates.items()}
    report = {
        "hosts": chosen.hosts,
        "urls": chosen.urls,
        "batch": chosen.batch,
        "agents": len(AGENTS),
        "urls_per_second": {name: round(value) for name, value in medians.items()},
        "times_protego": {mode: round(medians[mode] / medians["protego"], 1) for mode in MODES},
        "refused": refused,
        "protego_urls": chosen.peer,
        "same_verdicts": ours == theirs,
        "machine": {"cores": len(os.sched_getaffinity(0)), "load": os.getloadavg()[0]},
        "threads": pl.thread_pool_size(),
        "python": platform.python_version(),
    }
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
