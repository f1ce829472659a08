"""Package definitions are read as the contract says, and every fault in them is named."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provd.plugin.filters import build_filter
from provd.plugin.pkgdefs import compare_versions, read_packages

SHA1 = "da39a3ee5e6b4b0d3255bfef95601890afd80709"

FILE = f"""\
[file_fw]
url: http://example.org/dir/fw.zip
size: 900
sha1sum: {SHA1}
"""
PACKAGE = """\
[pkg_fw]
version: 1.0
description: Firmware
files: fw
install: fw
"""
INSTALL = """\
[install_fw]
a-b: unzip $FILE1
"""


@pytest.fixture
def read(tmp_path):
    def read(*texts, downloaders=("default", "auth")):
        for number, text in enumerate(texts):
            content = text if isinstance(text, bytes) else text.encode()
            (tmp_path / f"pkgs{number}.db").write_bytes(content)
        return read_packages(str(tmp_path), downloaders, build_filter)

    return read


@pytest.fixture
def steps(read):
    """Read an install section of a package that has two files and two arguments."""

    def steps(section):
        second = FILE.replace("_fw]", "_2]").replace("fw.zip", "b.bin")
        package = PACKAGE.replace("files: fw", "files: fw 2").replace(
            "install: fw", "install: fw one two"
        )
        return read(FILE, second, package, f"[install_fw]\n{section}\n")["fw"].steps

    return steps


def filters_of(steps):
    return {f"{step.source}-{step.target}": step.filter for step in steps}


def test_package_has_what_its_section_says(read):
    packages = read(
        PACKAGE + "description_fr: Micrologiciel\nDescription_FR_CA: Logiciel\nmodel: T1\n"
        "depends: lang  other\n" + FILE + INSTALL
    )
    assert list(packages) == ["fw"]
    package = packages["fw"]
    assert package.info == {
        "version": "1.0",
        "description": "Firmware",
        "description_fr": "Micrologiciel",
        "description_fr_CA": "Logiciel",
        "model": "T1",
        "depends": ["lang", "other"],
    }
    (file,) = package.files
    assert (file.filename, file.url) == ("fw.zip", "http://example.org/dir/fw.zip")
    assert (file.size, file.sha1sum, file.downloader) == (900, SHA1, "default")
    assert package.size == 900


def test_package_may_have_neither_files_nor_steps(read):
    package = read("[pkg_meta]\nversion = 1\ndescription = All of it\n")["meta"]
    assert (package.files, package.steps, package.size) == ((), (), 0)


def test_all_visible_files_are_read_together(read, tmp_path):
    (tmp_path / ".hidden").write_text("nonsense")
    (tmp_path / "directory").mkdir()
    assert list(read(INSTALL, PACKAGE, FILE)) == ["fw"]


def test_missing_directory_defines_nothing(tmp_path):
    assert read_packages(str(tmp_path / "pkgs"), ["default"], build_filter) == {}


def test_syntax_is_that_of_the_contract(read):
    package = read(
        "# comment\n; comment\n[pkg_fw]\nVERSION = 1.0 ; not a comment\n"
        "description: 100 %% # sure: [é]\n  of it\nfiles:\n  fw\n" + FILE
    )["fw"]
    assert package.info["version"] == "1.0 ; not a comment"
    assert package.info["description"] == "100 %% # sure: [é]\nof it"
    assert len(package.files) == 1


def test_file_may_say_name_and_downloader(read):
    text = FILE + "filename: other.bin\ndownloader: auth\n"
    (file,) = read(text, PACKAGE, INSTALL)["fw"].files
    assert (file.filename, file.downloader) == ("other.bin", "auth")


def test_file_that_ships_with_the_plugin_has_an_empty_url(read):
    text = FILE.replace("http://example.org/dir/fw.zip", "") + "filename: fw.bin\n"
    (file,) = read(text, PACKAGE, INSTALL)["fw"].files
    assert (file.filename, file.url) == ("fw.bin", "")


def without(text, key):
    return "".join(line for line in text.splitlines(True) if not line.startswith(key))


FAULTS = {
    "unknown section": ("[misc]\n", r"\[misc\].*not a section name"),
    "unknown kind": ("[x_y]\n", r"\[x_y\].*not a section name"),
    "section without id": ("[pkg_]\n", r"\[pkg_\].*not a section name"),
    "defaults": ("[DEFAULT]\nversion: 1\n", r"\[DEFAULT\].*not a section name"),
    "repeated section": (FILE + FILE, "'file_fw' already exists"),
    "repeated key": (FILE + "size: 1\n", "'size' in section 'file_fw' already exists"),
    "repeated key in capitals": (FILE + "SIZE: 1\n", "'size' in section 'file_fw' already"),
    "key without a value": (FILE + "nonsense\n", "nonsense"),
    "key outside a section": ("size: 1\n", "no section headers"),
    "other encoding": (b"[pkg_fw]\nversion: \xe9\n", "utf-8"),
    "no version": (without(PACKAGE, "version") + FILE + INSTALL, r"\[pkg_fw\] version: is missing"),
    "no description": (
        without(PACKAGE, "description") + FILE + INSTALL,
        r"\[pkg_fw\] description: is missing",
    ),
    "id": (PACKAGE + "id: fw\n" + FILE + INSTALL, r"\[pkg_fw\] id: is not allowed"),
    "slash in an id": (PACKAGE.replace("pkg_fw", "pkg_a/b"), r"\[pkg_a/b\].*file name"),
    "hidden id": (PACKAGE.replace("pkg_fw", "pkg_.fw"), r"\[pkg_.fw\].*file name"),
    "unknown file": (PACKAGE + INSTALL, r"\[pkg_fw\] files: there is no section \[file_fw\]"),
    "unknown install": (PACKAGE + FILE, r"\[pkg_fw\] install: there is no section \[install_fw\]"),
    "empty install": (
        PACKAGE.replace("install: fw", "install:") + FILE + INSTALL,
        r"\[pkg_fw\] install: there is no section",
    ),
    "no url": (without(FILE, "url"), r"\[file_fw\] url: is missing"),
    "no size": (without(FILE, "size"), r"\[file_fw\] size: is missing"),
    "no sha1sum": (without(FILE, "sha1sum"), r"\[file_fw\] sha1sum: is missing"),
    "size that is no number": (FILE.replace("900", "1k"), r"\[file_fw\] size: .*'1k'"),
    "negative size": (FILE.replace("900", "-1"), r"\[file_fw\] size: is negative"),
    "unknown downloader": (FILE + "downloader: ssh\n", r"\[file_fw\] downloader: 'ssh' is unknown"),
    "url without a name": (FILE.replace("fw.zip", ""), r"\[file_fw\] url: '' is not a file name"),
    "name with a directory": (
        FILE + "filename: a/b\n",
        r"\[file_fw\] filename: 'a/b' is not a bare",
    ),
    "name that leads up": (FILE + "filename: ..\n", r"\[file_fw\] filename: '..' is not a bare"),
    "two files of one name": (
        FILE + FILE.replace("_fw", "_two"),
        r"\[file_two\].*'fw.zip', as \[file_fw\] has",
    ),
}


@pytest.mark.parametrize(("text", "message"), FAULTS.values(), ids=FAULTS.keys())
def test_fault_is_named_with_its_file_and_section(read, text, message):
    with pytest.raises(ValueError, match=message) as raised:
        read(text)
    assert "pkgs0.db" in str(raised.value)


def test_section_repeated_in_another_file_is_a_fault(read):
    with pytest.raises(ValueError, match=r"pkgs1.db: \[file_fw\]: is in .*pkgs0.db too"):
        read(FILE, FILE)


def test_downloaders_are_those_that_the_plugin_has(read):
    text = FILE + "downloader: vendor\n"
    (file,) = read(text, PACKAGE, INSTALL, downloaders=["default", "vendor"])["fw"].files
    assert file.downloader == "vendor"


GRAPH_FAULTS = {
    "node a is filled": ("a-b: null\nb-a: null", "'a' holds the files"),
    "node filled twice": ("a-b: null\na-c: null\nc-b: null", "node 'b' is filled twice"),
    "source that nothing fills": ("a-b: null\nc-d: null", "nothing fills node 'c'"),
    "nothing reads a": ("", "nothing reads node 'a'"),
    "only a cycle": ("b-c: null\nc-b: null", "nothing reads node 'a'"),
    "cycle beside the rest": ("a-b: null\nc-d: null\nd-c: null", "wait for one another: c, d"),
    "node that reads itself": ("a-b: null\nc-c: null", "wait for one another: c"),
    "key of another form": ("ab: null", r"\[install_fw\] ab: is not of the form"),
    "key with three nodes": ("a-b-c: null", r"\[install_fw\] a-b-c: is not of the form"),
    "no filter": ("a-b:", r"\[install_fw\] a-b: has no filter"),
    "unknown filter": ("a-b: rsync x", r"\[install_fw\] a-b: unknown filter 'rsync'"),
    "unzip of nothing": ("a-b: unzip", "unzip takes 1 argument, not 0"),
    "unzip of two": ("a-b: unzip a b", "unzip takes 1 argument, not 2"),
    "untar of nothing": ("a-b: untar", "untar takes 1 argument"),
    "unrar of two": ("a-b: unrar a b", "unrar takes 1 argument"),
    "7z of two": ("a-b: 7z a b", "7z takes 1 argument"),
    "unsign without a name": ("a-b: unsign a", "unsign takes 2 arguments"),
    "include of nothing": ("a-b: include", "include takes at least 1 argument"),
    "exclude of nothing": ("a-b: exclude", "exclude takes at least 1 argument"),
    "cp without a destination": ("a-b: cp x", "cp takes at least 2 arguments"),
    "null with an argument": ("a-b: null x", "null takes 0 arguments"),
    "absolute pattern": ("a-b: unzip /etc/x", "'/etc/x' leads out"),
    "pattern that leads up": ("a-b: cp ../x y", "'../x' leads out"),
    "pattern that leads up later": ("a-b: cp x/../../y z", "leads out"),
    "absolute destination": ("a-b: cp x /tmp/", "'/tmp/' leads out"),
    "destination that leads up": ("a-b: cp x ../y", "'../y' leads out"),
    "absolute name": ("a-b: unsign x /y", "'/y' leads out"),
    "name that leads up": ("a-b: unsign x y/../../z", "leads out"),
    "undefined variable": ("a-b: cp $FILE3 x", "'FILE3' is not defined; defined are: FILE1"),
    "undefined argument": ("a-b: cp $ARG3 x", "'ARG3' is not defined"),
    "global variable": ("a-b: cp $KFW_ROOT x", "'KFW_ROOT' is not defined"),
    "dollar without a name": ("a-b: cp $ x", "'\\$' without a name"),
    "empty braces": ("a-b: cp ${} x", "'\\$' without a name"),
    "open brace": ("a-b: cp ${FILE1 x", "'\\$' without a name"),
}


@pytest.mark.parametrize(("section", "message"), GRAPH_FAULTS.values(), ids=GRAPH_FAULTS.keys())
def test_faulty_install_section_is_refused(steps, section, message):
    with pytest.raises(ValueError, match=message) as raised:
        steps(section)
    assert "[install_fw]" in str(raised.value)


def test_install_section_that_no_package_uses_is_checked(read):
    with pytest.raises(ValueError, match=r"\[install_x\] a-b: unknown filter"):
        read("[install_x]\na-b: rsync $FILE1\n")
    assert read("[install_x]\na-b: cp $FILE1 $ARG1\n") == {}


def test_steps_come_in_an_order_in_which_they_can_run(steps):
    ordered = steps("d-e: null\nc-d: null\na-x: null\nb-c: null\na-b: null")
    assert [f"{step.source}-{step.target}" for step in ordered] == [
        "a-x",
        "a-b",
        "b-c",
        "c-d",
        "d-e",
    ]


def test_result_is_in_the_nodes_that_feed_no_other(read):
    text = "[install_fw]\na-b: null\nb-c: null\nb-d: null\na-e: null\n"
    assert read(FILE, PACKAGE, text)["fw"].result_nodes() == {"c", "d", "e"}


def test_node_names_are_read_without_regard_to_capitals(steps):
    assert list(filters_of(steps("A-B: null\nb-C: null"))) == ["a-b", "b-c"]


VARIABLES = {
    "$FILE1": "fw.zip",
    "${FILE2}": "b.bin",
    "x$ARG1.y": "xone.y",
    "${ARG1}${ARG2}": "onetwo",
    r"\$FILE1": "$FILE1",
    r"a\${FILE1}": "a${FILE1}",
    r"\$$ARG2": "$two",
    "plain": "plain",
}


@pytest.mark.parametrize(("written", "value"), VARIABLES.items())
def test_variables_are_replaced(steps, written, value):
    (step,) = steps(f"a-b: include {written}")
    assert step.filter.patterns == (value,)


def test_value_with_a_blank_stays_one_argument(read):
    text = FILE + "filename: my firmware.zip\n"
    (step,) = read(text, PACKAGE, INSTALL)["fw"].steps
    assert step.filter.pattern == "my firmware.zip"


def test_arguments_go_on_over_indented_lines(steps):
    (step,) = steps("a-b: include one\n   two three\n   four")
    assert step.filter.patterns == ("one", "two", "three", "four")


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        ("1.0", "1.1"),
        ("1.9", "1.10"),
        ("1.0", "1.0.0"),
        ("1.0", "1.0-1"),
        ("1.0-2", "1.0-10"),
        ("1.a", "1.b"),
        ("1.b", "1.1"),
        ("9.9", "1:0.1"),
        ("1:2-9", "2:1"),
        ("1.0-9", "1.1"),
        ("", "1"),
        ("1.0-rc1", "1.0.1"),
    ],
)
def test_versions_are_compared_piece_by_piece(older, newer):
    assert compare_versions(older, newer) == -1
    assert compare_versions(newer, older) == 1


@pytest.mark.parametrize(("one", "other"), [("1.0", "0:1.0-0"), ("01.2", "1.02"), ("a", "a")])
def test_versions_that_say_the_same_are_equal(one, other):
    assert compare_versions(one, other) == 0


version = st.text("0123ab.:-²٣", max_size=6)


@given(st.lists(version, min_size=3, max_size=3))
def test_any_texts_have_an_order(texts):
    for one, two, three in itertools.permutations(texts):
        assert compare_versions(one, two) == -compare_versions(two, one)
        if compare_versions(one, two) <= 0 and compare_versions(two, three) <= 0:
            assert compare_versions(one, three) <= 0


@pytest.mark.parametrize("wrong", ["", "xxxx"])
def test_a_checksum_of_another_kind_is_warned_of_and_keeps_no_plugin_from_loading(
    read, caplog, wrong
):
    # wazo-cisco-sccp-9.4 has an MD5 in place of one of its SHA-1.
    read(FILE.replace("da39", wrong))
    assert "[file_fw] sha1sum" in caplog.text
    assert "40 hex" in caplog.text
