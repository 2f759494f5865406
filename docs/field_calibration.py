"""Print how well the probabilities of a field are calibrated, as a table in Markdown.

`python docs/field_calibration.py` asks the embedded model for the continents of 200
countries and territories, and compares its probabilities with the truth. The guide on
typed answers shows its output.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

import anyio
import attrs

from limin import Client, Conversation, Message
from limin.local import local_endpoint

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from limin import TextCompletion

Continent: TypeAlias = Literal[
    "Africa", "Asia", "Europe", "North America", "Oceania", "South America"
]

# Those that lie on two continents are left out, and so are the two of the examples.
PLACES: dict[Continent, str] = {
    "Africa": (
        "Algeria, Angola, Benin, Botswana, Burkina Faso, Burundi, Cameroon, Cape Verde, "
        "Central African Republic, Chad, Comoros, Djibouti, DR Congo, Equatorial Guinea, "
        "Eritrea, Eswatini, Ethiopia, Gabon, Gambia, Ghana, Guinea, Guinea-Bissau, "
        "Ivory Coast, Lesotho, Liberia, Libya, Madagascar, Malawi, Mali, Mauritania, "
        "Mauritius, Morocco, Mozambique, Namibia, Niger, Nigeria, Republic of the Congo, "
        "Réunion, Rwanda, São Tomé and Príncipe, Senegal, Seychelles, Sierra Leone, "
        "Somalia, South Africa, South Sudan, Sudan, Tanzania, Togo, Tunisia, Uganda, "
        "Zambia, Zimbabwe"
    ),
    "Asia": (
        "Afghanistan, Bahrain, Bangladesh, Bhutan, Brunei, Cambodia, China, Hong Kong, "
        "India, Iran, Iraq, Israel, Japan, Jordan, Kuwait, Kyrgyzstan, Laos, Lebanon, "
        "Macau, Malaysia, Maldives, Mongolia, Myanmar, Nepal, North Korea, Oman, Pakistan, "
        "Palestine, Philippines, Qatar, Saudi Arabia, Singapore, South Korea, Sri Lanka, "
        "Syria, Taiwan, Tajikistan, Thailand, Turkmenistan, United Arab Emirates, "
        "Uzbekistan, Vietnam, Yemen"
    ),
    "Europe": (
        "Albania, Andorra, Austria, Belarus, Belgium, Bosnia and Herzegovina, Bulgaria, "
        "Croatia, Czechia, Denmark, Estonia, Faroe Islands, Finland, France, Germany, "
        "Gibraltar, Greece, Hungary, Iceland, Ireland, Italy, Kosovo, Latvia, "
        "Liechtenstein, Lithuania, Luxembourg, Malta, Moldova, Monaco, Montenegro, "
        "Netherlands, North Macedonia, Norway, Poland, Portugal, Romania, San Marino, "
        "Serbia, Slovakia, Slovenia, Sweden, Switzerland, Ukraine, United Kingdom, "
        "Vatican City"
    ),
    "North America": (
        "Antigua and Barbuda, Aruba, Bahamas, Barbados, Belize, Bermuda, Canada, "
        "Costa Rica, Cuba, Dominica, Dominican Republic, El Salvador, Greenland, Grenada, "
        "Guadeloupe, Guatemala, Haiti, Honduras, Jamaica, Martinique, Mexico, Nicaragua, "
        "Panama, Puerto Rico, Saint Kitts and Nevis, Saint Lucia, "
        "Saint Vincent and the Grenadines, United States"
    ),
    "Oceania": (
        "Australia, Cook Islands, Fiji, French Polynesia, Guam, Kiribati, "
        "Marshall Islands, Micronesia, Nauru, New Caledonia, New Zealand, Niue, Palau, "
        "Papua New Guinea, Samoa, Solomon Islands, Tonga, Tuvalu, Vanuatu"
    ),
    "South America": (
        "Argentina, Bolivia, Brazil, Chile, Colombia, Ecuador, French Guiana, Guyana, "
        "Paraguay, Peru, Suriname, Uruguay"
    ),
}
BINS = 5


@attrs.frozen
class Place:
    """What the model is asked for."""

    continent: Continent


@attrs.frozen
class Row:
    """One answer: what was sure of the label, its share of all labels, and the truth."""

    prob: float
    share: float
    is_right: bool


def question(place: str) -> Conversation:
    """Return a question after two with answers."""
    return Conversation(
        [
            Message("user", "On which continent is Spain?"),
            Message("assistant", '{"continent": "Europe"}'),
            Message("user", "On which continent is Kenya?"),
            Message("assistant", '{"continent": "Africa"}'),
            Message("user", f"On which continent is {place}?"),
        ]
    )


def read_row(completion: TextCompletion[Place], truth: Continent) -> Row:
    """Return the row of one answer."""
    label = completion.value.continent
    field = (completion.fields or {})["$.continent"]
    shares = {} if field.distribution is None else field.distribution.probs
    return Row(field.prob or 0.0, shares.get(label, 0.0), label == truth)


def table(rows: Sequence[Row], column: str) -> Iterator[str]:
    """Yield a line for each bin of answers, from the least to the most probable."""
    ranked = sorted(rows, key=lambda row: float(getattr(row, column)))
    size = len(ranked) // BINS
    for start in range(0, len(ranked), size):
        group = ranked[start : start + size]
        probs = [getattr(row, column) for row in group]
        right = sum(row.is_right for row in group) / len(group)
        error = (right * (1 - right) / len(group)) ** 0.5
        yield (
            f"| {column} | {probs[0]:.2f} to {probs[-1]:.2f} | {len(group)} "
            f"| {sum(probs) / len(probs):.2f} | {right:.2f} ± {error:.2f} |"
        )


async def main() -> None:
    """Ask, and print the table."""
    truths = {
        place: continent
        for continent, places in PLACES.items()
        for place in places.split(", ")
    }
    async with local_endpoint() as endpoint, Client(endpoint.base_url) as client:
        completions = await client.generate_text_completions_for_conversations(
            [question(place) for place in truths],
            response_type=Place,
            model=endpoint.model,
            temperature=0,
            max_tokens=24,
            log_probs=True,
            top_log_probs=20,
            n_parallel=4,
        )
    pairs = zip(completions, truths.values(), strict=True)
    rows = [read_row(completion, truth) for completion, truth in pairs]
    n_right = sum(row.is_right for row in rows)
    print(f"{len(rows)} answers, {n_right} right\n")  # noqa: T201 (a program)
    print("| column | bin | answers | mean | right |\n|---|---|---:|---:|---:|")  # noqa: T201 (a program)
    for column in ("prob", "share"):
        print("\n".join(table(rows, column)))  # noqa: T201 (a program)


if __name__ == "__main__":
    anyio.run(main)
