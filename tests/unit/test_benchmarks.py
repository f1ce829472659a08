"""The benchmarks measure what the budgets are about, and show it; no time is judged here."""

import json
import re
from pathlib import Path

import pytest

from benchmarks import report
from benchmarks.__main__ import chosen, main, parser
from benchmarks.report import Budget, Row, Yardstick
from benchmarks.scenarios import SCENARIOS

ROOT = Path(__file__).parents[2]


def budget_rows():
    """Give scenario and limit of each row of the table of budgets."""
    text = (ROOT / "docs/benchmarks.md").read_text(encoding="utf-8")
    section = text[text.index("## Budgets") :].split("\n## ")[0]
    for line in section.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 3 and cells[2].startswith("`"):
            yield cells[2].strip("`"), cells[1]


def test_every_budget_has_a_scenario_that_judges_it():
    judged = {scenario.name for scenario in SCENARIOS if scenario.budgets}
    documented = {name for name, _ in budget_rows()}
    assert len(documented) > 7
    assert documented == judged


def test_the_limits_that_are_documented_are_those_that_are_judged():
    limits = {
        (scenario.name, limit)
        for scenario in SCENARIOS
        for budget in scenario.budgets.values()
        for limit in (budget.least, budget.most)
        if limit is not None
    }
    documented = {
        (name, float(number))
        for name, text in budget_rows()
        for number in re.findall(r"(?<![\w.])\d+", text)
    }
    assert documented == limits


def test_every_scenario_is_explained():
    page = (ROOT / "docs/benchmarks.md").read_text(encoding="utf-8")
    for scenario in SCENARIOS:
        assert f"`{scenario.name}`" in page, scenario.name


def test_every_option_is_documented():
    page = (ROOT / "docs/benchmarks.md").read_text(encoding="utf-8")
    options = re.findall(r"--[a-z]+", parser().format_usage())
    assert "--devices" in options
    for option in options:
        assert f"`{option}" in page, option


def row(value=1500.0, budget=None, cpu_us=100.0):
    yardsticks = (Yardstick("static.File", 1000.0, 200.0), Yardstick("bare", 3000.0))
    return Row("known-phones", "known phones", value, "requests/s", cpu_us, yardsticks, budget)


def test_a_row_compares_rates_and_processor_time():
    assert row().ratio("static.File") == 1.5
    assert row().ratio("bare") == 0.5
    assert row().cpu_ratio("static.File") == 0.5
    assert row().cpu_ratio("bare") is None
    assert row().ratio("nobody") is None


@pytest.mark.parametrize(
    ("budget", "met"),
    [
        (Budget(least=1500), True),
        (Budget(least=1501), False),
        (Budget(most=1500), True),
        (Budget(most=1499), False),
        (Budget(least=1, of="static.File"), True),
        (Budget(least=1, of="bare"), False),
        (Budget(least=1, of="missing"), None),
    ],
)
def test_a_budget_judges_the_value_or_its_ratio(budget, met):
    assert budget.is_met(row()) is met


def test_a_row_shows_its_verdict_and_each_yardstick():
    first, static, bare = row(budget=Budget(least=1, of="static.File")).lines()
    assert re.search(r"known phones +1500 requests/s +100 µs CPU", first)
    assert "≥ 1 of static.File: met" in first
    assert re.search(r"static.File +1000 requests/s +ratio 1.50, 200 µs CPU, ratio 0.50", static)
    assert re.search(r"bare +3000 requests/s +ratio 0.50$", bare)
    [missed, *_] = row(budget=Budget(most=9)).lines()
    assert "MISSED" in missed


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (0.1234, "0.123"), (12.34, "12.3"), (123.45, "123.5"), (12345.6, "12346")],
)
def test_figures_have_three_digits_that_mean_something(value, text):
    assert report.figure(value) == text


def test_the_json_holds_what_the_table_shows(tmp_path):
    target = tmp_path / "build" / "benchmark.json"
    rows = [row(budget=Budget(least=1, of="static.File"))]
    report.write(target, report.machine(), rows, ["dnsmasq is missing"])
    document = json.loads(target.read_text())
    assert document["left_out"] == ["dnsmasq is missing"]
    assert document["machine"]["cores"] >= 1
    [written] = document["rows"]
    assert written["value"] == 1500
    assert written["budget"] == {"text": "≥ 1 of static.File", "met": True}
    assert [yardstick["ratio"] for yardstick in written["yardsticks"]] == [1.5, 0.5]


def test_the_markdown_table_has_four_cells_a_row():
    lines = list(report.markdown([row(), row(budget=Budget(least=1))]))
    assert {line.count("|") for line in lines} == {5}


def test_scenarios_can_be_chosen_and_wrong_names_are_refused(capsys):
    assert [each.name for each in chosen(["memory", "start"])] == ["start", "memory"]
    assert chosen(None) == SCENARIOS
    with pytest.raises(SystemExit, match="no such scenario: nonsense"):
        chosen(["nonsense"])
    assert main(["--list"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == len(SCENARIOS)
