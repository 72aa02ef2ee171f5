"""What is planted in the web of the recipe `tiny`: our own sentences, addresses nobody owns, robots files of all sorts.

E-mail addresses are of names that cannot be registered (``no--such``: RFC 5891, section 4.2.3.1), one of a name that is
reserved and nobody's. IBANs are the registry's own examples, public IP addresses those of public name servers; private
and documentation addresses stay what they are. The sentences that quarrel are there to be scored.
"""

from typing import Any

AI = ("GPTBot", "CCBot", "Google-Extended", "ClaudeBot", "Bytespider", "Meta-ExternalAgent", "Applebot-Extended")
OPTED_OUT = "".join(f"User-agent: {agent}\nDisallow: /\n\n" for agent in AI)
ONE_GROUP = "".join(f"User-agent: {agent}\n" for agent in AI) + "Disallow: /\n\nUser-agent: *\nAllow: /\n"
USUAL = "User-agent: *\nDisallow: /search\nDisallow: /login\nAllow: /\nSitemap: https://{host}/sitemap.xml\n"

ROBOTS: dict[str, tuple[str | None, int]] = {
    "daily.example": (USUAL.format(host="daily.example") + "\n" + OPTED_OUT, 200),
    "evening.example": (ONE_GROUP, 200),
    "harbour.example": (None, 404),
    "market.example": ("User-agent: *\nDisallow: /cart\nDisallow: /search\n", 200),
    "forum.example": ("User-agent: *\nDisallow: /\n", 200),
    "garden.example": ("User-agent: *\nDisallow:\n", 200),
    "kitchen.example": ("Useragent: GPTBot\nDissallow: /\n", 200),  # misspelt, and read kindly by some
    "museum.example": ("User-agent: CCBot\nDisallow: /archive/\nAllow: /archive/2019/\n", 200),
    "library.example": ("User-agent: GPTBot/1.0\nDisallow: /\n", 200),  # a version, which not all parsers drop
    "gazette.example": ("User-agent: Google\nDisallow: /\n", 200),  # a part of Google-Extended to some parsers
    "bulletin.example": ("\ufeffUser-agent: ClaudeBot\nDisallow: /\n", 200),
    "workshop.example": ("User-agent: GPTBot, CCBot\nDisallow: /\n", 200),  # two on a line
    "zeitung.example": (OPTED_OUT + USUAL.format(host="zeitung.example"), 200),
    "werkstatt.example": (USUAL.format(host="werkstatt.example"), 200),
    "journal.example": ("User-agent: *\nContent-Signal: search=yes, ai-train=no\nAllow: /\n", 200),
    "atelier.example": ("<html><body>Not a robots file</body></html>", 200),
    "diario.example": (None, 503),
    "giornale.example": ("User-agent: *\nDisallow: /*.pdf$\nDisallow: /archive/*?print=\n", 200),
    "krant.example": ("# we said so in 2023\nUser-agent: CCBot\nUser-agent: GPTBot\nDisallow: /\n", 200),
    "gazeta.example": ("User-agent: PanguBot\nDisallow: /news/\n", 200),
    "shinbun.example": ("User-agent: Google-Extended\nDisallow: /\n\nUser-agent: *\nAllow: /\n", 200),
    "vestnik.example": ("User-agent: *\r\nCrawl-delay: 10\r\nDisallow: /search/\r\n", 200),
    "letters.example": ("User-agent: *\nAllow: /\n", 200),
    "mirror.example": ("", 200),
}
"""Host: the file and the status it came with. Of noviny.example nothing is known."""
ROBOTS_LATER: dict[str, tuple[str | None, int]] = {
    "garden.example": (ONE_GROUP, 200),
    "werkstatt.example": (OPTED_OUT + USUAL.format(host="werkstatt.example"), 200),
    "giornale.example": ("User-agent: *\nDisallow: /\n", 200),
    "noviny.example": ("User-agent: GPTBot\nDisallow: /archive/\n", 200),
}
"""Hosts that have changed their mind since."""

PLANTED = (
    "Questions about this page? Write to maria.kovacs@no--such.org or ring the office before noon.",
    "The old server answers at 9.9.9.9 and, for those who have moved on, at 2620:fe::fe.",
    "Please pay within ten days to DE89 3704 0044 0532 0130 00 and name your customer number.",
    "In our own network the printer is 192.168.1.20; the example in the manual, 203.0.113.7, is nobody's.",
    "For corrections: j.ortega (at) no--such (dot) com, or redaktion@no--such.net for the German pages.",
    "Donations are welcome: GB82 WEST 1234 5698 7654 32, or FR1420041010050500013M02606 from France.",
    "Since version 4.2.1.0 of the program this works without a restart.",
    "The ticket was opened by sysadmin@no--such.org from 8.8.8.8, and closed by nobody.",
)

ARTICLES: dict[str, tuple[str, tuple[str, ...]]] = {
    "lighthouse": (
        "The keeper's stairs",
        (
            "There are two hundred and eleven stairs in the lighthouse, and the last keeper knew which of them were "
            "loose. He counted them aloud when fog came in, not to find his way, but to hear somebody speak.",
            "Since the lamp was wired to the mainland nobody has had to climb at night. The stairs are swept twice a "
            "year by volunteers, who bring sandwiches, argue about the count, and arrive at two hundred and twelve.",
        ),
    ),
    "minutes": (
        "Minutes of the allotment society",
        (
            "Present: eleven members and a dog. The treasurer, who can be reached at treasurer@example.org, reported "
            "that the shed had been paid for and that the shed had blown away.",
            "It was agreed to buy rope. The account, NL91 ABNA 0417 1643 00, is to be printed on the notice board in "
            "letters that can be read from the gate.",
        ),
    ),
    "network": (
        "How we moved the village network",
        (
            "On Monday we renumbered the router from 10.0.0.1 to 10.0.1.1 and nobody noticed. On Tuesday we pointed "
            "it at 1.1.1.1 and everybody did, because the library's catalogue was suddenly fast.",
            "If the page does not load, write to network (at) no--such (dot) org. If the mail does not load either, "
            "there is a sheet of paper at the baker's.",
        ),
    ),
    "quarrel": (
        "Letters we should not have printed",
        (
            "You are a fool and your hedge is a disgrace, writes a reader from the upper road; only an idiot would "
            "plant it there, and a stupid one at that.",
            "The owner of the hedge replies that people like that are rubbish, that nobody wants them here, and that "
            "they may all go to hell. The editors regret having opened the envelope.",
        ),
    ),
    "bread": (
        "Bread for a day without an oven",
        (
            "Mix flour, water and a spoon of yesterday's dough, and leave the bowl alone until it has forgotten you. "
            "Flatten what you find into rounds as wide as your hand.",
            "Bake them in a dry pan with a lid, four minutes a side. They are ready when they sound like a door that "
            "somebody knocks at. Eat them with salt, standing up.",
        ),
    ),
    "ferry": (
        "Une heure avec le passeur",
        (
            "Le passeur ne parle pas pendant la traversée. Il regarde l'eau comme on lit un journal, en tournant la "
            "page à chaque remous, et ne lève les yeux que pour compter les passagers.",
            "À l'arrivée il dit le même mot à chacun, et chacun croit qu'il est le seul à l'avoir entendu. Pour "
            "réserver : passeur@no--such.com.",
        ),
    ),
    "clock": (
        "Die Uhr am Rathaus",
        (
            "Die Uhr am Rathaus geht seit dem Brand sieben Minuten vor. Wer hier lebt, weiß es und kommt trotzdem zu "
            "spät; wer zu Besuch ist, wundert sich über die Eile auf dem Markt.",
            "Der Rat hat dreimal beschlossen, sie zu stellen, und dreimal hat jemand gefragt, wonach.",
        ),
    ),
}
"""Pages of letters.example: title and paragraphs."""

SENTENCES = (
    "The map on the wall shows a road that was never built, and a bridge that was built because of the map.",
    "When the tide is out you can walk to the chapel; when it is in, the chapel comes no nearer by being looked at.",
    "She kept the receipts of every book she had ever sold, and not one of a book that she had bought.",
    "Nobody remembers who planted the pear tree in the school yard, so every class believes it was theirs.",
    "The train stops here for two minutes, which is enough to get off and not enough to change one's mind.",
    "Rain was forecast for noon, and at noon the whole market looked up as if somebody had knocked.",
    "The bell was cast from three older bells, and people say that it still disagrees with itself.",
    "An orchestra of nine cannot play that symphony, but it can rehearse it, and that is what they did all winter.",
)
_MADE: tuple[tuple[str, str | None, list[str] | None], ...] = (
    ("own", "Apache-2.0", None),
    ("share-alike", "CC-BY-SA-4.0", None),
    ("non-commercial", "CC BY-NC 4.0", None),
    ("unstated", None, None),
    ("either", "GPL-2.0-only OR MIT", None),
    ("both", "MIT AND CC-BY-NC-SA-4.0", None),
    ("relicensed", "MIT", ["quarry=CC-BY-NC-4.0"]),
    ("compound", "CC-BY-4.0", ["sand=CC0-1.0", "gravel=MIT"]),
    ("garbled", "whatever you like (ask)", None),
)
NOTES: tuple[dict[str, Any], ...] = tuple(
    {
        "id": f"{name}-{number}",
        "text": f"{sentence} {SENTENCES[(number + at + 3) % len(SENTENCES)]}",
        "licence": licence,
        "upstream": upstream,
        "url": f"https://letters.example/notes/{name}-{number}",
    }
    for at, (name, licence, upstream) in enumerate(_MADE)
    for number, sentence in enumerate(SENTENCES[at % 4 :: 2], 1)
)
"""Sentences of our own under all sorts of licences, most of them said only to be refused."""
