"""What strangers say goes out and comes back as what it was, and nothing that reads it obeys it: in every format."""

import csv
import io
import json
from tempfile import TemporaryFile
from typing import Any

import networkx as nx
import openpyxl
import pytest
import stix2
from openpyxl.utils.escape import unescape
from pymisp import MISPEvent

from services.contracts.claims import Entity
from services.contracts.resources.storage import Facts
from services.reporting.domain.exports.documents import Csv, Json, Lines
from services.reporting.domain.exports.graphs import Gexf, GraphMl
from services.reporting.domain.exports.misp import MispEvent
from services.reporting.domain.exports.stix import StixBundle
from services.reporting.domain.exports.texts import in_cell, in_xml, sound
from services.reporting.domain.exports.xlsx import Workbook, fitting
from tests.services.reporting.worlds import ABOUT, HOSTILE, facts, finding, led, said, written

EACH = pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)


def world(text: str) -> list[Facts]:
    """A stranger's text as a key, as an attribute, and as what describes a relation."""
    key = text.replace("\ud800", "?")  # there would be no id of such a key
    person, firm = Entity("person", ("web", key)), Entity("organization", ("name", key, ""))
    told = facts(person, values=[("job_title", text)])
    return [Facts(entities=(told,), relations=(led("member_of", person, firm, details={"title": text}),))]


def exported(export: Any, text: str) -> bytes:
    return written(export, world(text), [finding(Entity("person", ("web", text.replace("\ud800", "?"))), text=text)])


@EACH
def test_in_json_every_text_is_what_it_was(text: str) -> None:
    line = json.loads(exported(Lines(TemporaryFile), text).splitlines()[0])
    assert line["attributes"]["job_title"] == [sound(text)]
    assert json.loads(exported(Json(TemporaryFile), text))[0] == line


@EACH
def test_in_csv_no_cell_is_a_formula(text: str) -> None:
    told = facts(Entity("username", (text,) if "\ud800" not in text else ("?",)))
    rows = list(csv.reader(io.StringIO(written(Csv(TemporaryFile), [Facts(entities=(told,))]).decode(), newline="")))
    assert len(rows) == 2
    cell = rows[1][1]
    begins = cell.lstrip(' \t\n"\u00a0\ufeff\u200b')
    assert not begins.startswith(("=", "+", "-", "@", "＝", "＋", "－", "＠"))
    assert not cell.startswith(("\t", "\n", "\r"))
    plain = told.entity.value.replace("\r", "\\r")
    assert cell in {plain, f"'{plain}"}


@EACH
def test_in_stix_every_text_is_what_it_was(text: str) -> None:
    objects = json.loads(exported(StixBundle(ABOUT, TemporaryFile, profile="opencti", tlp=None), text))["objects"]
    for each in objects:
        stix2.parse(each, allow_custom=True)
    (relationship,) = [each for each in objects if each["type"] == "relationship"]
    (extension,) = relationship["extensions"].values()
    assert extension["mirage_details"] == {"title": sound(text)}
    assert [each["abstract"] for each in objects if each["type"] == "note"] == [sound(text)]


@EACH
def test_in_misp_every_text_is_what_it_was(text: str) -> None:
    found = exported(MispEvent(ABOUT, TemporaryFile, tlp=None), text)
    document = json.loads(found)
    MISPEvent(strict_validation=False).load(json.loads(found))
    values = {each["value"] for one in document["Event"]["Object"] for each in one["Attribute"]}
    assert sound(text) in values


@EACH
def test_in_graphs_every_text_is_what_it_was_but_what_xml_cannot_hold(text: str) -> None:
    plain = text.replace("\ud800", "?")
    expected = {f"web:{plain}", plain}
    for form, read in ((Gexf, nx.read_gexf), (GraphMl, nx.read_graphml)):
        found = exported(form(ABOUT, TemporaryFile), text)
        graph = read(io.BytesIO(found), **({"version": "1.3"} if form is Gexf else {}))
        labels = {data["label"] for _, data in graph.nodes(data=True)}
        shown = {shown_in_xml(each) for each in expected}
        assert labels == shown
        assert b"<!ENTITY" not in found


def shown_in_xml(text: str) -> str:
    """What a reader of XML makes of what is written for it."""
    from xml.etree import ElementTree as ET

    return ET.fromstring(f'<a b="{in_xml(text)}"/>').get("b", "")


@EACH
def test_in_xml_only_what_it_cannot_hold_is_escaped(text: str) -> None:
    if all(character in "\t\n\r" or " " <= character < "\x7f" or character >= "\xa0" for character in text) and not any(
        character in text for character in "\ufffe\uffff\ud800"
    ):
        assert shown_in_xml(text) == text
    else:
        assert "\\" in shown_in_xml(text)


@EACH
def test_in_a_workbook_no_cell_is_a_formula_or_a_link_and_nothing_turns_text_round(text: str) -> None:
    book = openpyxl.load_workbook(io.BytesIO(exported(Workbook(ABOUT, TemporaryFile), text)))
    cells = [cell for sheet in book for row in sheet.iter_rows() for cell in row if cell.value is not None]
    assert not [cell for cell in cells if cell.data_type == "f" or cell.hyperlink is not None]
    # What looks like an escape of a spreadsheet is escaped, and openpyxl leaves that to who reads.
    values = {unescape(cell.value) if isinstance(cell.value, str) else cell.value for cell in cells}
    assert fitting(text) in values, "it is as people shall see it"
    assert not any(mark in str(value) for value in values for mark in "\u202e\u2066\x00\x01")
    assert fitting(text) == text or len(text) > 10_000 or in_cell(text) == fitting(text)


def test_what_a_module_says_of_itself_is_hostile_as_well() -> None:
    told = facts(Entity("username", ("a",)), said=(said('"><script>'),))
    for form in (Gexf, GraphMl):
        assert b"<script>" not in written(form(ABOUT, TemporaryFile), [Facts(entities=(told,))])
