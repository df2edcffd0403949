"""gs and its helpers in scripts, and which JavaScript is supported (update-set reference §3.9, §4.3, §4.4)."""

import base64
import hashlib
import hmac

import pytest

from tests.contract.servicenow.conftest import Instance
from tests.contract.servicenow.update_set import SCOPE, UpdateSet


@pytest.mark.parametrize(
    ("expression", "says"),
    [
        ("gs.getUserName() + ' ' + gs.getUserDisplayName()", "agent Amir Agent"),
        ("gs.getUserID() === String(current.opened_by)", "true"),
        ("gs.hasRole('itil') + ' ' + gs.hasRole('admin') + ' ' + gs.hasRole('x,itil')", "true false true"),
        ("[gs.nil(''), gs.nil(null), gs.nil(current.caller_id), gs.nil('x')].join()", "true,true,true,false"),
        ("gs.getProperty('no.such') + ' ' + gs.getProperty('no.such', 'other')", "null other"),
        ("gs.getProperty('glide.servlet.uri').replace(/\\d+\\/$/, 'port/')", "http://127.0.0.1:port/"),
        ("/^[0-9a-f]{32}$/.test(gs.generateGUID())", "true"),
        ("gs.base64Encode('Grüße') + gs.base64Decode('R3LDvMOfZQ==')", "R3LDvMOfZQ==Grüße"),
        ("gs.tableExists('incident') + ' ' + gs.tableExists('nothing')", "true false"),
        ("gs.getCurrentScopeName()", SCOPE),
        ("gs.urlEncode('a b&c') + gs.urlDecode('a+b%26c')", "a+b%26ca b&c"),
        ("typeof gs.print + typeof gs.log + typeof gs.nowDateTime + typeof GlideEncrypter", "undefined" * 4),
        ("new GlideTableHierarchy('incident').getTables().join()", "incident,task"),
        ("new GlideTableHierarchy('incident').getBase()", "task"),
        ("new GlideTableHierarchy('u_facility_incident').getRoot()", "task"),
        ("new GlideTableHierarchy('incident').getAllExtensions().join()", "incident,u_facility_incident"),
        ("new GlideTableHierarchy('task').isBaseClass()", "true"),
        ("new GlideTableHierarchy('sys_choice').isSoloClass()", "true"),
        ("new GlideTableHierarchy('incident').hasExtensions()", "true"),
        ("new GlideDateTime('2026-03-01 10:00:00').getNumericValue()", "1772359200000"),
        ("(function (t) { t.addSeconds(2); return t; })(new GlideDateTime('2026-02-28 23:59:59'))",
         "2026-03-01 00:00:01"),
        ("new GlideDateTime('2026-03-01 10:00:00').compareTo(new GlideDateTime('2026-03-01 10:00:01'))", "-1"),
        ("new GlideDateTime('2026-03-01 10:00:00').before(new GlideDateTime('2026-03-02 10:00:00'))", "true"),
        ("new GlideDateTime('rubbish').isValid()", "false"),
        ("'' + new GlideDateTime(new GlideDateTime('2026-03-01 10:00:00'))", "2026-03-01 10:00:00"),
        ("new GlideDigest().getSHA256Hex('abc')", hashlib.sha256(b"abc").hexdigest()),
        ("new GlideDigest().getSHA256Base64('ä')", base64.b64encode(hashlib.sha256("ä".encode()).digest()).decode()),
        ("new CertificateEncryption().generateMac(gs.base64Encode('key'), 'HmacSHA256', 'text')",
         base64.b64encode(hmac.digest(b"key", b"text", "sha256")).decode()),
        ("typeof Promise + typeof Map + typeof Proxy + typeof globalThis", "undefined" * 4),
        ("typeof [].includes + typeof [].find + typeof Object.assign", "undefined" * 3),
        ("'abc'.includes('b') + ' ' + 'abc'.startsWith('a')", "true true"),
        ("typeof console + typeof require + typeof setTimeout + typeof sandbox + typeof __host", "undefined" * 5),
    ],
)  # fmt: skip
def test_what_scripts_can_use(instance: Instance, expression: str, says: str) -> None:
    """Each member works as documented; what ES5 mode and scopes lack is undefined."""
    assert instance.says(f"gs.info('' + ({expression}));") == [says]


@pytest.mark.parametrize(
    ("call", "says"),
    [
        ("gs.info('{0} and {1}', 'a', 'b')", "a and b"),
        ("gs.info('{0} {0}', current.state)", "1 1"),
        ("gs.info('braces {0} without arguments')", "braces {0} without arguments"),
        ("gs.info('{\"json\": 1}', 'lost')", '{"json": 1}'),
        ("gs.info(\"it''s {0}\", 'x')", "it's x"),
        ("gs.info(\"it's {0}\", 'x')", "its {0}"),
        ("gs.info('{0}', null)", ""),
    ],
)
def test_log_messages_are_message_formats(instance: Instance, call: str, says: str) -> None:
    """With arguments a message is a pattern; a malformed one loses its arguments."""
    assert instance.says(call) == [says]


def test_log_levels(instance: Instance) -> None:
    """debug, info, warn and error have the platform's numbers, and a source that names the script."""
    instance.says("gs.debug('d'); gs.info('i'); gs.warn('w'); gs.error('e {0}', new Error('x'));")
    rows = instance.double.rows("syslog")
    assert [(row["level"], row["message"]) for row in rows] == [
        ("-1", "d"),
        ("0", "i"),
        ("1", "w"),
        ("2", "e Error: x"),
    ]
    assert all(row["source"].startswith("sys_script.") for row in rows)


@pytest.mark.parametrize(
    ("query", "fits"),
    [
        ("urgency=1", True),
        ("short_description=Printer", True),
        ("short_description=printer", False),
        ("short_descriptionLIKErint", True),
        ("short_descriptionLIKERINT", False),
        ("urgency=2^ORurgency=1", True),
        ("urgency=2^NQshort_description=Printer", True),
        ("urgency=1^short_description=x", False),
        ("opened_by.user_name=agent", True),
        ("assignment_groupISEMPTY", True),
        ("due_date<2020-01-01 00:00:00", True),
        ("due_date>2020-01-01 00:00:00", False),
        ("due_dateISNOTEMPTY^due_date<2020-01-01 00:00:00", False),
        ("opened_by=javascript:gs.getUserID()", True),
        ("", True),
    ],
)
def test_filters_are_case_sensitive(instance: Instance, query: str, fits: bool) -> None:
    """An empty field is below every value."""
    assert instance.says(f"gs.info('' + GlideFilter.checkRecord(current, '{query}', true));") == [str(fits).lower()]


def test_a_filter_object_can_ignore_case(instance: Instance) -> None:
    """`setCaseSensitive(false)` and `match`; with `false` one matching condition is enough."""
    script = """
        var f = new GlideFilter('short_description=PRINTER', 'title'); var strict = f.match(current, true);
        f.setCaseSensitive(false); f.setEnforceSecurity(true);
        var either = new GlideFilter('urgency=1^state=9', 't').match(current, false);
        gs.info(strict + ' ' + f.match(current, true) + ' ' + either);
    """
    assert instance.says(script) == ["false true true"]


def test_a_filter_sees_the_scripts_changes(instance: Instance) -> None:
    """The record in memory counts, not the saved one; unsupported scripts in filters throw."""
    script = """
        current.urgency = 3; gs.info('' + GlideFilter.checkRecord(current, 'urgency=3', true));
        try { GlideFilter.checkRecord(current, 'state=javascript:evil()', true); } catch (e) { gs.info('thrown'); }
    """
    assert instance.says(script) == ["true", "thrown"]


def test_aggregates(instance: Instance) -> None:
    """COUNT, MIN, MAX and SUM, in total or by group."""
    script = """
        var g = new GlideAggregate('sys_user'); g.addQuery('user_name', 'STARTSWITH', 'agent');
        g.addAggregate('COUNT'); g.query(); g.next();
        var h = new GlideAggregate('incident');
        h.addAggregate('COUNT'); h.addAggregate('MIN', 'urgency'); h.addAggregate('SUM', 'urgency');
        h.addQuery('short_description', 'Printer'); h.groupBy('state'); h.query(); h.next();
        gs.info([g.getAggregate('COUNT'), h.getValue('state'), h.getAggregate('COUNT'),
          h.getAggregate('MIN', 'urgency'), h.getAggregate('SUM', 'urgency'), h.next()].join());
    """
    assert instance.says(script) == ["2,1,1,1,1,false"]


def test_the_clock_is_the_instances(instance: Instance) -> None:
    """`new Date()` and `new GlideDateTime()` follow the double's clock."""
    instance.double.advance(86_400 * 365 * 20)
    year = instance.double.store.now()[:4]
    script = """
        var third = new GlideDateTime().getValue().slice(0, 4);
        gs.info([new Date().getFullYear(), new Date(Date.now()).getFullYear(), third].join());
    """
    assert instance.says(script) == [",".join([year] * 3)]


@pytest.mark.parametrize(
    "script",
    [
        "let x = 1;",
        "var f = x => x;",
        "var t = `x`;",
        "class A {}",
        "for (var x of []) {}",
        "f(1,);",
        "var {a} = {};",
        "a ** 2;",
    ],
)
def test_a_script_that_isnt_es5_fails(instance: Instance, script: str) -> None:
    """It is logged and does nothing, and the save succeeds."""
    assert instance.says(f"gs.info('began'); {script}") == []
    [problem] = instance.logged("2")
    assert problem.startswith("Evaluator: Not ES5:")


@pytest.mark.parametrize(
    "loop",
    [
        "while (true) {}",
        "for (;;) { try { throw 1; } catch (e) {} }",
        "do {} while (true);",
        "while (true) { new GlideRecord('incident').query(); }",
    ],
)
def test_an_endless_loop_is_stopped(instance: Instance, loop: str) -> None:
    """A script has a time limit; the save succeeds."""
    instance.double.runtime.engine.seconds = 0.3
    try:
        assert instance.says(f"gs.info('began'); {loop}") == ["began"]
    finally:
        instance.double.runtime.engine.seconds = 30.0
    assert instance.logged("2") == ["Evaluator: Error: Script execution exceeded its time limit"]


def test_exceptions_are_logged_and_not_shown(instance: Instance) -> None:
    """The person who saves doesn't see that a rule threw; later rules run."""
    update_set = UpdateSet()
    update_set.rule("incident", "current.nothing.at_all;", "first", order="1")
    update_set.rule("incident", "gs.info('second');", "second", order="2")
    instance.commit(update_set)
    assert instance.insert("incident", {"short_description": "Printer"}, "agent")["number"]
    assert instance.logged() == ["second"]
    assert "TypeError" in instance.logged("2")[0]


def test_includes_are_visible_by_name_in_their_scope(instance: Instance) -> None:
    """Classes created with `Class.create` can use each other in any order; each run starts over."""
    update_set = UpdateSet()
    update_set.include(
        "Counter",
        """var Counter = Class.create();
        Counter.prototype = { initialize: function (start) { this.n = start; },
          more: function () { return new Adder().add(this.n); },
          type: 'Counter' };""",
    )
    update_set.include(
        "Adder",
        """function Adder() { this.add = function (n) { return n + 1; }; }
        var used = (typeof used === 'undefined') ? 1 : 2;""",
    )
    update_set.rule("incident", "gs.info(new Counter(1).more() + ' ' + new Counter(5).type + ' ' + used);")
    instance.commit(update_set)
    for _ in range(2):
        instance.insert("incident", {"short_description": "Printer"}, "agent")
    assert instance.logged() == ["2 Counter 1"] * 2


def test_another_scopes_includes_are_undefined(instance: Instance) -> None:
    """Unqualified names are limited to the application."""
    other = UpdateSet("Other", scope="x_other")
    other.include("Theirs", "var Theirs = 1;")
    instance.commit(other)
    assert instance.says("gs.info(typeof Theirs);") == ["undefined"]
