"""Every key of the full form is taken over, and every mistake in one is named."""

import pytest

from cluster.routing.decide import decide_values
from cluster.routing.hours import SPANS_MAX
from cluster.routing.rules import Rule, RuleSet
from cluster.routing.ruleset import compile_rules
from cluster.state.route import Overflow, Queue, ServiceLevel
from cluster.toml_source import SourceErrors

FULL = """\
[ruleset]
tenant = "acme"
version = 3

[vars]
tags.arpu = "number"
channel = "string"
lang = "string"

[hours.cn-office]
tz = "Asia/Shanghai"
week = { mon-fri = "09:00-18:00", sat = "10:00-16:00" }
holidays = ["2026-10-01..2026-10-07"]
extra = { "2026-10-10" = "09:00-18:00" }

[sla.gold]
first_response = "1m"
next_response = "5m"
resolution = "8h"
warn = "75%"

[channel.email]
weight = 1
[channel.web]
weight = 2

[queue.premium]
order = "age"
agent_order = "proficiency:refund"
hours = "cn-office"
closed = { do = "message", text = "We open at nine." }
max_waiting = 200
accept = "15s"
mode = "auto"
on_timeout = ["next", "away"]
skills = { retention = 3 }
priority = 50
wrap_up = "30s"
aging = "60s"
overflow = { after = "5m", do = "queue", to = "general" }

[queue.general]

[rule.vip_user]
priority = 100
when = 'tags.arpu > 5000 && channel == "web"'
set = { priority = 80, sla = "gold" }
skills = ["gold"]
overflow = { after = "5m", do = "offer_message" }
steps = [
  { queue = "premium", prefer = "last_agent", for = "10s" },
  { queue = "premium", require = 'agent.skill.refund >= 4 && lang in agent.langs', for = "30s" },
  { queue = "premium", for = "30s", skip_if = 'queue.available == 0' },
  { queue = "general", priority = 60, skills = { gold = 2 } },
]
test = [
  { in = { tags = { arpu = 6200 }, channel = "web" }, queue = "premium", overflow = "message" },
  { in = { tags = { arpu = 6200 }, channel = "web" }, priority = 80, sla = "gold" },
  { in = { tags.arpu = 6200, channel = "web" }, steps = ["premium","premium","premium","general"] },
  { in = { tags.arpu = 6200, channel = "web" }, at = "2026-10-02 10:00", steps = ["general"] },
  { in = { tags.arpu = 6200, channel = "web" }, at = 2026-10-10T10:00:00+08:00, queue = "premium" },
  { in = { channel = "web" }, queue = "general", sla = "", overflow = "" },
]

[rule.later]
mode = "canary:10"
when = 'lang == "zh"'
route = "premium"
test = [
  { in = { lang = "zh" }, queue = "premium", overflow = "queue" },
  { in = { lang = "zh" }, at = "2026-10-02 10:00", queue = "premium", overflow = "message" },
]

[fallback]
steps = [{ queue = "general" }]
"""


@pytest.fixture(scope="module")
def rules() -> RuleSet:
    return compile_rules({"main.toml": FULL})


def rule(rules: RuleSet, name: str) -> Rule:
    return next(one for one in rules.rules if one.name == name)


def test_queues_levels_and_channels_are_taken_over(rules: RuleSet) -> None:
    premium = rules.queues["premium"]
    assert premium.queue == Queue(
        accept_ms=15_000,
        skills={"retention": 3},
        mode="auto",
        on_timeout=("next", "away"),
        agent_order="proficiency:refund",
        aging_ms=60_000,
        by_age=True,
        wrap_up_ms=30_000,
        max_waiting=200,
    )
    assert premium.priority == 50
    assert premium.closed == Overflow(0, "message", "We open at nine.")
    assert premium.overflow == Overflow(300_000, "queue", "general")
    assert premium.hours is rules.hours["cn-office"]
    assert rules.levels == {"gold": ServiceLevel(60_000, 300_000, 28_800_000, 75)}
    assert rules.weights == {"email": 1, "web": 2}
    assert (rules.tenant, rules.version, rules.warnings) == ("acme", 3, ())


def test_a_decision_has_the_whole_route(rules: RuleSet) -> None:
    values = {"tags": {"arpu": 6200}, "channel": "web", "lang": "zh"}
    decision = decide_values(rules, values, WORKDAY_MS)
    route = decision.route
    assert (route.rule, route.weight, route.sla) == ("vip_user", 2, "gold")
    assert route.overflow == Overflow(300_000, "message")
    first, second, third, last = route.steps
    assert (first.queue, first.priority, first.for_ms, first.prefer) == (
        *("premium", 80, 10_000, "last_agent"),
    )
    assert first.skills == {"retention": 3, "gold": 0}
    assert second.need == '["agent.skill.refund >= 4 && lang in agent.langs",{"lang":"zh"}]'
    assert third.skip_if == '["queue.available == 0",{}]'
    assert (last.queue, last.priority, last.for_ms) == ("general", 60, 0)
    assert last.skills == {"gold": 2}
    assert (decision.queue, decision.priority, decision.rule) == ("premium", 80, "vip_user")
    assert decision.skills == ("retention", "gold")


WORKDAY_MS = 1_768_356_000_000  # Wednesday 2026-01-14, 10:00 in Shanghai
HOLIDAY_MS = 1_790_906_400_000  # Friday 2026-10-02, 10:00


def test_outside_the_hours_open_steps_remain_or_the_queue_says_what_is_done(
    rules: RuleSet,
) -> None:
    vip = decide_values(rules, {"tags": {"arpu": 6200}, "channel": "web"}, HOLIDAY_MS).route
    assert [step.queue for step in vip.steps] == ["general"]
    assert vip.overflow == Overflow(300_000, "message")
    later = decide_values(rules, {"lang": "zh"}, HOLIDAY_MS, trying="later").route
    assert [step.queue for step in later.steps] == ["premium"]
    assert later.overflow == Overflow(0, "message", "We open at nine.")


HOURS = "[hours.h]\ntz = 'UTC'\nweek = { mon = '09:00-18:00' }\n"
QUEUE = "[queue.general]\n"
RULE = "[rule.a]\nroute = 'q'\n"


YEARS = "2026-01-01..2028-06-30", "2029-01-01..2031-06-30"
EXTRA = "{ " + ", ".join(f"'{years}' = 'closed'" for years in YEARS) + " }"
TIMES = [f"{hour:02}:00-{hour:02}:30" for hour in range(SPANS_MAX + 1)]


@pytest.mark.parametrize(
    ("text", "start", "mend"),
    [
        ("[hours.h]\nweek = {}", "1: [hours.h] has no tz", "Asia/Shanghai"),
        ("[hours.h]\ntz = 'UTC'", "1: [hours.h] has no week", "mon-fri"),
        ("[hours.h]\ntz='Asia/Shangai'\nweek={}", "2: no time zone 'Asia/Shangai'", "Shanghai'?"),
        ("[hours.h]\ntz = 8\nweek = {}", "2: no time zone 8", "Asia/Shanghai"),
        ("[hours.h]\ntz = 'UTC'\nweek = 'mon'", "3: a week of 'mon'", "mon-fri"),
        ("[hours.h]\ntz='UTC'\nweek={ mo = '09:00-18:00' }", "3: 'mo' is no day", "sat-sun"),
        ("[hours.h]\ntz='UTC'\nweek={ mon = '9-18' }", "3: '9-18' are no hours", "09:00-18:00"),
        ("[hours.h]\ntz='UTC'\nweek={ mon = '09:00-09:00' }", "3: '09:00-09:00' is no", "write"),
        ("[hours.h]\ntz='UTC'\nweek={ mon = '09:00-25:00' }", "3: '09:00-25:00': a day", "write"),
        (
            "[hours.h]\ntz='UTC'\nweek={ mon-fri = '09:00-18:00', fri = 'closed' }",
            "3: fri is said twice",
            "once",
        ),
        (HOURS + "holidays = ['2026-10-1']", "4: '2026-10-1' is no date", "2026-10-01"),
        (HOURS + "holidays = ['2026-02-30']", "4: '2026-02-30' is not in the cal", "2026-10"),
        (HOURS + "holidays = ['2026-02-03..2026-02-01']", "4: '2026-02-03..2026", "write"),
        (HOURS + "holidays = '2026-10-01'", "4: holidays are a list", "in [ ]"),
        (HOURS + "extra = ['2026-10-01']", "4: extra days are a table", "extra ="),
        (HOURS + "extra = { '10-01' = '09:00-18:00' }", "4: '10-01' is no date", "write"),
        ("[sla.s]", "1: [sla.s] promises nothing", "first_response"),
        ("[sla.s]\nresolution = '200h'", "2: '200h' a time", '"168h"'),
        ("[sla.s]\nresolution = '8h'\nwarn = 80", "3: a warning at 80", '"80%"'),
        ("[channel.web]\nweight = 0", "2: a weight of 0", "1 to 100"),
        (QUEUE + "order = 'fifo'", "2: 'fifo' is no order", "known are: age"),
        (QUEUE + "agent_order = 'longest'", "2: 'longest' is no agent_order", "longest_idle"),
        (QUEUE + "agent_order = 'proficiency:'", "2: proficiency of which", "refund"),
        (QUEUE + "mode = 'automatic'", "2: 'automatic' is no mode", "'auto'?"),
        (QUEUE + "on_timeout = ['nxt']", "2: 'nxt' is no on_timeout", "'next'?"),
        (QUEUE + "on_timeout = []", "2: on_timeout is empty", "away"),
        (QUEUE + "max_waiting = 0", "2: max_waiting of 0", "from 1"),
        (QUEUE + "wrap_up = '2h'", "2: '2h' a time", '"1h"'),
        (QUEUE + "aging = 60", "2: 60 is no duration", '"20s"'),
        (QUEUE + "skills = { a = 101 }", "2: a level of 'a' of 101", "0 to 100"),
        (QUEUE + "closed = { do = 'message' }", "2: 'closed' in a queue without hours", "hours ="),
        (QUEUE + "overflow = 5", "2: overflow is a table", "after ="),
        (QUEUE + "overflow = { do = 'close' }", "2: no 'after' in overflow of", "how long"),
        (QUEUE + "overflow = { after = '5m' }", "2: no 'do' in overflow of [queue", "callback"),
        (QUEUE + "overflow = { after = '5m', do = 'mesage' }", "2: 'mesage' is no 'do'", "'mess"),
        (QUEUE + "overflow = { after = '5m', do = 'queue' }", "2: no 'to' in overflow", "add to"),
        (QUEUE + "overflow = { after='5m', do='queue', to='x' }", "2: no queue 'x'", "general"),
        (
            QUEUE + "overflow = { after='5m', do='bot', text='x' }",
            "2: 'text' means nothing",
            "'to'",
        ),
        (RULE + "mode = 'test'", "3: 'test' is no mode", "canary:10"),
        (RULE + "mode = 'canary:0'", "3: 'canary:0' is no mode", "1 to 99"),
        (RULE + "set = { prio = 1 }", "3: unknown key 'prio' in set of [rule.a]", "'priority'?"),
        ("[rule.a]\nsteps = 'q'", "2: steps are a list", "write steps"),
        ("[rule.a]\nsteps = []", "2: 0 steps", "write steps"),
        ("[rule.a]\nsteps = [{}]", "2: no queue in steps 1 of [rule.a]", "add queue"),
        (
            "[rule.a]\nsteps = [\n{ queue = 'q' },\n{ queue = 'r' } ]",
            "3: step 1 has no 'for'",
            "add for",
        ),
        ("[rule.a]\nsteps = [{ que = 'q' }]", "2: ", "'queue'?"),
        (
            "[rule.a]\nsteps = [{ queue = 'q', prefer = 'last_agent' }]",
            "2: the last step asks one agent alone",
            "without 'prefer'",
        ),
        (
            QUEUE + "overflow = { after = '5m', do = 'queue', to = 'general' }",
            "2: queue 'general' overflows into itself",
            "another queue",
        ),
        (
            "[rule.a]\nsteps = [{ queue = 'q', prefer = 'last' }]",
            "2: 'last' is no pr",
            "last_agent",
        ),
        (
            "[rule.a]\nsteps = [\n{ queue = 'q' , require = 'agent.skil.x > 1' }]",
            "3:28: unknown variable 'agent.skil'",
            "did you mean 'agent.skill'?",
        ),
        (
            "[[rule.a.steps]]\nqueue = 'q'\nfor = '5s'\n[[rule.a.steps]]\nqueue = 'Q'",
            "5: 'Q' is no queue name",
            "use a-z",
        ),
        (
            "[rule.a]\nsteps = [\n  { queue = 'q',\n    for = '5s' }]",
            "3: ",
            "must stand on one line",
        ),
        (
            "[rule.a]\nsteps = [{ queue = 'q', skip_if = 'queue.free == 0' }]",
            "2:36: unknown variable 'queue.free'",
            "queue.available",
        ),
        (RULE + "test = [{ in = {}, que = 'q' }]", "3: unknown key 'que' in a test", "'queue'?"),
        (
            "[vars]\ntags.arpu='number'\n" + RULE + "test = [{ in={ tags.apru=6 }, queue='q' }]",
            "5: no variable 'tags.apru' in a test",
            "'tags.arpu'?",
        ),
        (RULE + "test = [{ in = {} }]", "3: a test expects nothing", "queue ="),
        (RULE + "test = [{ in = {}, at = 'noon', queue = 'q' }]", "3: 'noon' is no time", "10:00"),
        (RULE + "test = [{ in = {}, priority = 5 }]", "3: test 1 of rule 'a' expects prio", "mend"),
        ("[fallback]\nroute = 'q'\nsteps = []", "1: [fallback] has route and steps", "keep one"),
        (
            RULE + "overflow = { after = '5m', do = 'message', text = 5 }",
            "3: a text is in quotes",
            "shorten it",
        ),
        (RULE + "overflow = { after = '5m', do = 'bot', to = 5 }", "3: 5 is no bot", "its account"),
        ("[sla.gold]\nwarn = '80%'", "1: [sla.gold] promises nothing", "first_response"),
        (HOURS + f"holidays = {list(YEARS)}", "4: more than 1000 holidays", "leave out old ones"),
        (
            HOURS + f"extra = {{ '{YEARS[0]}' = 'closed', '{YEARS[1]}' = 'closed' }}",
            "4: more than 1000 extra",
            "leave out",
        ),
        ("[hours.h]\ntz='UTC'\nweek={ mon = '" + ",".join(TIMES) + "' }", "3: more than", "write"),
        ("when = 'true'\n" + RULE, "1: 'when' above every table", "below the [rule.NAME]"),
        (HOURS + "extra = ['2026-10-10']", "4: extra days are a table", "09:00-18:00"),
        (HOURS + "extra = { '2026-13-10' = '09:00-18:00' }", "4: '2026-13-10'", "2026-10-01"),
        (
            RULE + "test = [{ in = {}, at = '1969-01-01 10:00', queue = 'q' }]",
            "3: '1969-01-01 10:00' is out of the calendar",
            "2026-10-01",
        ),
    ],
)
def test_a_mistake_in_the_full_form_is_named_by_line_and_mend(
    text: str, start: str, mend: str
) -> None:
    with pytest.raises(SourceErrors) as failure:
        compile_rules({"main.toml": text})
    found = [str(one) for one in failure.value.errors]
    assert any(one.startswith(f"main.toml:{start}") and mend in one for one in found), found


def test_the_zone_of_a_test_is_to_be_said_where_there_are_two() -> None:
    text = HOURS + HOURS.replace("[hours.h]", "[hours.g]").replace("UTC", "Asia/Tokyo")
    row = "test = [{ in = {}, at = '2026-10-01 10:00', queue = 'q' }]"
    with pytest.raises(SourceErrors, match="which of the zones"):
        compile_rules({"main.toml": text + RULE + row})
    said = row.replace("10:00", "10:00+09:00")
    assert compile_rules({"main.toml": text + RULE + said}).rules


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ("[sla.gold]\nresolution = '1h'", "a second [sla.gold]"),
        ("[channel.email]\nweight = 2", "a second [channel.email]"),
        ("[hours.cn]\ntz = 'Asia/Shanghai'\nweek = { mon = '09:00-18:00' }", "a second [hours.cn]"),
    ],
)
def test_what_two_files_say_is_named_in_the_second(table: str, told: str) -> None:
    with pytest.raises(SourceErrors) as refused:
        compile_rules({"a.toml": table, "b.toml": table})
    assert [(one.place.file, one.problem) for one in refused.value.errors] == [("b.toml", told)]


def test_who_waits_too_long_may_be_given_to_a_bot() -> None:
    text = RULE + "overflow = { after = '5m', do = 'bot', to = 'robo' }"
    (rule,) = compile_rules({"main.toml": text}).rules
    assert rule.overflow == Overflow(300_000, "bot", "robo")


def test_a_table_test_that_fails_says_what_kept_its_rule_from_it() -> None:
    text = "[rule.a]\nwhen = 'tags.missing > 5'\nroute = 'q'\ntest = [{ in = {}, queue = 'q' }]\n"
    with pytest.raises(SourceErrors) as failure:
        compile_rules({"main.toml": text + "[fallback]\nroute = 'general'\n"})
    assert "'general' (a: 'missing' is missing)" in str(failure.value)
