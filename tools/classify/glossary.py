# ruff: noqa: E501  (one entry a line)
"""Meanings of common label names: splits names into words and maps them to typical phrases.

A sentence embedding of ``feat`` or ``ham`` is uninformative; one of ``please add support for something new``
is not. A name is ambiguous by itself (``style`` beside ``fix`` and ``docs`` is formatting, else it may be
fashion), so an entry is used when two labels of a call, and a quarter of them, belong to its group.

Phrases of bugs, features and questions were chosen on the training issues of Ticket Tagger, those of commits on
the histories of three repositories; the others are general knowledge, tried on public sets. None of those is a
set that docs/quality.md reports on; that page shows each set with and without this glossary.
"""

import re
from collections.abc import Iterable, Mapping
from functools import cache

# group -> "name, other name: phrase | phrase", one entry a line.
_GROUPS = {
    # The default labels of a GitHub repository, with their descriptions. Phrases of the first three were chosen from
    # eleven each on 1,200 training issues of Ticket Tagger, one half to choose and one to measure.
    "issue": """
        bug, bug report, defect: an unexpected problem or behavior
        feature, feature request, enhancement, improvement, new feature, idea: please add support for | it would be nice to have | proposal for an improvement
        question, support, support request, help, how to, discussion: further information is requested | what does this mean? | asking for help with using it
        help wanted: extra attention is needed
        documentation, docs, doc: documentation | improvements or additions to documentation
        performance, perf: performance | slow, uses too much time or memory
        security, vulnerability: report a security vulnerability
        regression: it worked before and is broken in the new version
        duplicate: this issue or pull request already exists
        invalid: this doesn't seem right
        task, chore, maintenance: maintenance | work that has to be done""",
    # From the guides of Conventional Commits. Phrases were chosen from eight per type on the histories of LocalAI,
    # semantic-release and vitest.
    "commit": """
        feat, feature, new feature, added, add: introduce new features | add support for something new | feature request
        fix, bugfix, bug fix, hotfix, fixed: correct wrong behaviour | prevent a crash or an error
        docs, doc, documentation: README, guides, examples | docs/ README.md CHANGELOG.md
        refactor, refactoring, changed: refactoring
        test, tests, testing: add or update tests
        chore, maintenance, housekeeping: upgrade dependencies
        perf, performance, optimization: a code change that improves performance
        ci, continuous integration: workflow and pipeline configuration | GitHub Actions workflow
        build: changes that affect the build system or external dependencies
        deps, dependencies: upgrade dependencies | add, remove or pin a dependency
        style, formatting, lint: code style | fix linter warnings
        revert: revert a previous commit
        removed, deprecated: remove something no longer needed | deprecate
        security: fix a security vulnerability""",
    "sentiment": """
        positive, pos, very positive, favorable: great, excellent, I love it | a positive opinion, happy and satisfied
        negative, neg, very negative, unfavorable: terrible, awful, I hate it | a negative opinion, disappointed and unhappy
        neutral, neu: a plain factual statement without emotion | it is okay, neither good nor bad
        mixed: good and bad at the same time""",
    "rating": """
        1 star, one star, terrible, very bad: terrible, awful, I hate it
        2 stars, two stars, bad, poor: bad, disappointing
        3 stars, three stars, average, okay: it is okay, neither good nor bad
        4 stars, four stars, good: good, I like it
        5 stars, five stars, excellent, great, very good: great, excellent, I love it""",
    "spam": """
        spam, junk, scam, phishing, advertisement, ad: win a prize, free offer, call now | advertising, click the link to claim your money
        ham, legitimate, legit, genuine: a personal message to a friend | see you later, I am on my way""",
    "level": """
        trace, debug: detailed internal state for debugging
        info, information, notice, informational: routine status message | started, completed, registered successfully
        warning, warn: a possible problem | deprecated, retrying, slow, not recommended
        error, err, failure: an error | failed with an exception, could not, unable to
        critical, fatal, crit, emergency, alert: the system is down | fatal crash, data loss""",
    "priority": """
        critical, urgent, blocker, p0, emergency: urgent, must be fixed immediately | everything is down, data is lost
        high, high priority, major, p1, important: important, many people cannot work
        medium, medium priority, normal, moderate, p2: an ordinary problem with a workaround
        low, low priority, minor, trivial, p3: minor, can wait | cosmetic detail, nice to have""",
    "topic": """
        world, international, world news: world news | international politics, governments, war and conflict
        politics, political: politics | government, elections, parliament, ministers
        business, finance, economy, money, business and finance: business | companies, markets, economy and finance
        sport, sports: sports | teams, matches, players, championships
        tech, technology, sci tech, science technology, science and technology: technology | computers, software, internet, science
        science, science and mathematics: science | research, scientists, space, physics, biology
        entertainment, culture, arts, entertainment and music: entertainment | films, music, celebrities, television
        health, medical, medicine: health | medicine, disease, hospital, doctors
        education, education and reference: education | schools, teachers, students, homework
        travel: travel | holidays, flights, hotels, sights
        food, cooking: food | recipes, restaurants, cooking
        environment, climate, nature: environment | climate, animals, weather and pollution
        crime, law, legal: crime and law | police, courts, trials
        weather: weather | rain, temperature, forecast""",
    "emotion": """
        joy, happiness, happy: joy | I am so happy, this is wonderful
        anger, angry, annoyance: anger | I am furious, this is outrageous
        sadness, sad, grief: sadness | I feel sad, lonely and depressed
        fear, afraid, anxiety, nervousness, worry: fear | I am scared and worried
        surprise, surprised: surprise | wow, I did not expect that
        love, affection: love | I adore you, warm affection
        disgust: disgust | that is gross and revolting
        optimism, hope: optimism | stay hopeful, things will get better, never give up
        shame, guilt, remorse: shame and guilt | I am sorry, I regret what I did
        neutral, no emotion: a plain factual statement without emotion""",
    "stance": """
        subjective, opinion: an opinion or judgement | feelings about how good something is
        objective, fact, factual: a factual statement | what happens, told without judgement""",
    "answer": """
        description, desc, definition: a definition, reason or explanation | what is it, why, how does it work?
        entity, enty, object, thing: a thing: an animal, product, food, book or event | which thing is it?
        abbreviation, abbr, acronym: what does the acronym stand for? | the full form of an abbreviation
        human, hum, person, people: a person or group of people | who was it?
        location, loc, place: a place: city, country, mountain | where is it?
        number, num, numeric, quantity, count: a number, date, price or amount | how many, how much, when?
        date, time, when: a date or time | when was it?
        yes no, boolean: is it, does it, can it? yes or no""",
    "conduct": """
        offensive, toxic, hate, hateful, abusive, hate speech, toxicity, harassment, insult: insults and swear words | you are a stupid idiot, shut up
        safe, clean, civil, normal, acceptable, harmless: an ordinary message
        threat, violence: I will hurt you, threats of violence
        sexual, nsfw, obscene: sexual and obscene content""",
    "irony": """
        irony, ironic, sarcasm, sarcastic: sarcastic joke | oh great, just what I needed
        sincere, serious, literal: an ordinary message""",
    "speech": """
        greeting, hello: hello, good morning, how are you
        goodbye, farewell, bye: bye, see you later
        thanks, thank you, gratitude: thank you very much
        apology: I am sorry, please forgive me
        complaint: I am unhappy with this and I complain
        praise, compliment, feedback: well done, great job
        question, inquiry, enquiry: a question | can you tell me?
        request, command, order: please do this for me
        statement, inform, information: a statement that tells something
        yes, affirm, confirm, agree: yes, that is right, agreed
        no, deny, negate, disagree: no, that is wrong, I do not agree""",
    "desk": """
        billing, payment, payments, invoice: billing | an invoice, a charge or a refund
        technical, technical support, technical issue, tech support: a technical problem | it does not work, an error appears
        account, login, account access: account | I cannot log in, password, profile
        shipping, delivery, logistics: delivery | where is my parcel, tracking, late shipment
        sales, purchase, pricing: sales | I want to buy, how much does it cost?
        refund, return, returns, cancellation: I want my money back | return or cancel an order
        complaint: I am unhappy with this and I complain
        feedback, praise, suggestion: feedback | a suggestion or a compliment
        spam: win a prize, free offer, call now
        feature request: new feature or request
        bug, bug report: something isn't working""",
}

ORDINARY = "an ordinary message"
"""Text embedded for ``not_offensive`` beside ``offensive``, because embeddings ignore negation.

Chosen from five wordings on two public sets of tweets that have such a label.
"""

_FALLBACKS = frozenset(
    (
        "other",
        "others",
        "none",
        "neither",
        "none of the above",
        "none of these",
        "misc",
        "miscellaneous",
        "unknown",
        "unclear",
        "unsure",
        "n a",
        "na",
        "out of scope",
        "oos",
        "something else",
        "anything else",
        "everything else",
        "uncategorized",
        "unclassified",
        "no label",
    )
)
_NEGATED = re.compile(r"(?:not?|non|un|isn't) (.+)")


def words(label: str) -> str:
    """Returns ``label`` as lower-case words: ``AddToPlaylist`` -> ``add to playlist``."""
    split = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", label)
    return " ".join(re.sub(r"[^\w&+#']|_", " ", split).lower().split())


def is_fallback(label: str) -> bool:
    """Returns whether ``label`` stands for texts no other label fits: ``other``, ``none of the above``."""
    return words(label) in _FALLBACKS


def phrases(labels: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Returns typical phrases for each label that has a common meaning among ``labels``."""
    spoken = {label: words(label) for label in labels}
    present = set(spoken.values())
    counts = {
        name: sum(_stem(word, present) in group for word in present) for name, group in _entries().items()
    }
    needed = max(2, len(present) / 4)
    best = sorted((name for name, count in counts.items() if count >= needed), key=lambda name: -counts[name])
    found = {
        label: next((name for name in best if word in _entries()[name]), "") for label, word in spoken.items()
    }
    return {label: _entries()[group][spoken[label]] for label, group in found.items() if group}


def denials(labels: Iterable[str]) -> frozenset[str]:
    """Returns those of ``labels`` that negate another one: ``not_offensive`` beside ``offensive``."""
    spoken = {label: words(label) for label in labels}
    present = set(spoken.values())
    return frozenset(label for label, word in spoken.items() if _stem(word, present) != word)


def _stem(word: str, present: Iterable[str]) -> str:
    """Returns the label that ``word`` negates, if it is present; else ``word`` itself."""
    negated = _NEGATED.fullmatch(word)
    return negated[1] if negated and negated[1] in present else word


@cache
def _entries() -> Mapping[str, Mapping[str, tuple[str, ...]]]:
    return {group: _read(text) for group, text in _GROUPS.items()}


def _read(text: str) -> dict[str, tuple[str, ...]]:
    read: dict[str, tuple[str, ...]] = {}
    for line in text.strip().splitlines():
        names, _, meanings = line.partition(":")
        meaning = tuple(phrase.strip() for phrase in meanings.split("|"))
        read |= {name.strip(): meaning for name in names.split(",")}
    return read
