"""Tables that people send: delimiters, encodings, spellings, and rows that cannot be used, named."""

import pytest

from convmedia.data.datasets import sounds
from convmedia.data.folders import csv_tables
from convmedia.data.storage.errors import InputError


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "s").mkdir()
    for name in ("a.wav", "b.wav", "c.wav", "Käse.wav"):
        (tmp_path / "s" / name).touch()
    return tmp_path


def rows(folder, content, name="t.csv", encoding="utf-8"):
    path = folder / name
    path.write_bytes(content.encode(encoding) if isinstance(content, str) else content)
    found, bad = csv_tables.read(path)
    listed = [(row.path.relative_to(folder).as_posix(), row.labels, row.split) for row in found]
    return listed, [reason for _, reason in bad]


PLAIN = [("s/a.wav", ("one",), ""), ("s/b.wav", ("two",), "")]


@pytest.mark.parametrize(
    ("content", "name", "encoding"),
    [
        ("file,labels\ns/a.wav,one\ns/b.wav,two\n", "t.csv", "utf-8"),
        ("file,labels\r\ns/a.wav,one\r\ns/b.wav,two\r\n", "t.csv", "utf-8-sig"),
        ("file,labels\rs/a.wav,one\rs/b.wav,two", "t.csv", "utf-8"),
        ("file;labels\ns/a.wav;one\ns/b.wav;two\n", "t.csv", "utf-8"),
        ("sep=;\nfile;labels\ns/a.wav;one\ns/b.wav;two\n", "t.csv", "utf-8"),
        ("file\tlabels\ns/a.wav\tone\ns/b.wav\ttwo\n", "t.tsv", "utf-8"),
        ("file\tlabels\ns/a.wav\tone\ns/b.wav\ttwo\n", "t.csv", "utf-16"),
        ("file,labels\ns/a.wav,one\ns/b.wav,two\n", "t.csv", "utf-16-le"),
        ("file|labels\ns/a.wav|one\ns/b.wav|two\n", "t.csv", "utf-16-be"),
        ("File , Label\ns/a.wav, one\ns/b.wav, two \n", "t.csv", "utf-8"),
        (",File Name,CLASS,more\n0,s/a.wav,one,x\n1,s/b.wav,two,y\n", "t.csv", "utf-8"),
        ("fname,labels\ns/a,one\ns/b,two\n", "t.csv", "utf-8"),
        ("file,labels\ns\\a.wav,one\n.\\s\\b.wav,two\n", "t.csv", "utf-8"),
        ("\n\nfile,labels\n\ns/a.wav,one\n,\ns/b.wav,two\n\n", "t.csv", "utf-8"),
    ],
)
def test_spellings_of_one_table_give_the_same_rows(folder, content, name, encoding):
    assert rows(folder, content, name, encoding) == (PLAIN, [])


def test_absolute_paths_and_those_of_other_folders_are_read(folder):
    (folder / "tables").mkdir()
    listed, bad = rows(folder, f"file,labels\n{folder}/s/a.wav,one\ns/b.wav,two\n")
    assert (listed, bad) == (PLAIN, [])
    path = folder / "tables" / "t.csv"
    path.write_text(f"file,labels\n{folder}/s/a.wav,one\n../s/b.wav,two\n")
    with pytest.raises(InputError, match=r"no usable file for training of one, two.*a\.wav is empty.*row 2 of"):
        sounds.load(str(path))


def test_a_relative_table_may_name_absolute_paths(folder, monkeypatch):
    monkeypatch.chdir(folder)
    (folder / "t.csv").write_text(f"file,labels\n{folder}/s/a.wav,one\ns/b.wav,two\n")
    with pytest.raises(InputError, match="is empty"):
        sounds.load("./t.csv")


def test_names_in_composed_and_decomposed_letters_are_one_file(folder):
    assert rows(folder, "file,labels\ns/Ka\u0308se.wav,one\n")[0] == [("s/Käse.wav", ("one",), "")]


def test_labels_in_composed_and_decomposed_letters_are_one_label(folder):
    listed, _ = rows(folder, "file,labels\ns/a.wav,Ka\u0308se\ns/b.wav,K\u00e4se\n")
    assert {label for _, labels, _ in listed for label in labels} == {"K\u00e4se"}


def test_several_labels_are_parted(folder):
    listed, bad = rows(folder, 'file,labels\ns/a.wav,"one,two"\ns/b.wav,two;three\ns/c.wav,"Bark, dog|one"\n')
    assert [labels for _, labels, _ in listed] == [("one", "two"), ("three", "two"), ("Bark, dog", "one")]
    assert not bad


def test_a_comma_that_may_part_labels_is_said_with_its_row(folder):
    listed, bad = rows(folder, 'file,labels\ns/a.wav,one\ns/b.wav,"one, two"\n')
    assert [name for name, *_ in listed] == ["s/a.wav"]
    assert bad == [f"has a comma in the label 'one, two' (part several labels by ; or |) in row 3 of {folder}/t.csv"]


def test_splits_have_their_usual_spellings(folder):
    listed, bad = rows(folder, "file,labels,split\ns/a.wav,one,Training\ns/b.wav,one,val\ns/c.wav,one,nope\n")
    assert [split for *_, split in listed] == ["train", "validation"]
    assert bad == [f"has the split 'nope', not one of train, validation, test in row 4 of {folder}/t.csv"]


@pytest.mark.parametrize("line", ["s/a.wav,two,train", "s/a.wav,one,test", "./s/a.wav,two,train"])
def test_a_file_that_is_listed_twice_with_other_words_is_left_out_and_named(folder, line):
    listed, bad = rows(folder, f"file,labels,split\ns/a.wav,one,train\ns/b.wav,two,train\n{line}\n")
    assert [name for name, *_ in listed] == ["s/b.wav"]
    assert len(bad) == 1
    assert "in row 2 than in row 4 of" in bad[0]


def test_a_file_that_is_listed_twice_in_the_same_way_counts_once(folder):
    assert rows(folder, "file,labels\ns/a.wav,one\ns/b.wav,two\ns/a.wav,one\n") == (PLAIN, [])


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("file,labels\ns/a.wav,One\ns/b.wav,one\n", "'One' in row 2, 'one' in row 3"),
        (b"file,labels\ns/a.wav,z\xe9ro\n", "row 2 holds the byte 0xe9"),
        ("s/a.wav,one\ns/b.wav,two\n", r"no column file; its columns are s/a\.wav, one; name one file in row 1"),
        ("file,mood\ns/a.wav,one\n", "no column labels"),
        ("", "its columns are none"),
        ("file,labels\n", "no row with a file and a label"),
        ("file,labels\ns/a.wav,\n", "the first reason: a.wav has no label in row 2"),
    ],
)
def test_tables_that_cannot_be_used_name_the_row(folder, content, said):
    with pytest.raises(InputError, match=said):
        rows(folder, content)


def numbers(folder, content, target="Cells"):
    (folder / "n.csv").write_text(content)
    found, bad = csv_tables.read(folder / "n.csv", target)
    return [(row.path.name, row.value, row.labels, row.split) for row in found], [reason for _, reason in bad]


def test_a_column_of_numbers_is_read_instead_of_labels(folder):
    listed, bad = numbers(folder, "file;cells;labels;split\ns/a.wav;1,5;one;train\ns/b.wav;-2e3;;test\n")
    assert (listed, bad) == ([("a.wav", 1.5, (), "train"), ("b.wav", -2000.0, (), "test")], [])


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        ("", "has no number in row 3"),
        ("many", "has 'many' where a number is wanted, in row 3"),
        ("nan", "has 'nan' where a finite number is wanted, in row 3"),
        ("1.000,5", "has '1.000,5' where a number is wanted, in row 3"),
    ],
)
def test_rows_without_a_number_are_named(folder, cell, reason):
    listed, [said] = numbers(folder, f'file,cells\ns/a.wav,1\ns/b.wav,"{cell}"\n')
    assert [name for name, *_ in listed] == ["a.wav"]
    assert said.startswith(reason)


def test_a_file_with_two_numbers_is_left_out(folder):
    listed, [said] = numbers(folder, "file,cells\ns/a.wav,1\ns/b.wav,2\ns/a.wav,3\n")
    assert [name for name, *_ in listed] == ["b.wav"]
    assert said == "is listed twice, with another number in row 2 than in row 4 of " + str(folder / "n.csv")


def test_a_missing_column_of_numbers_is_named_with_those_there_are(folder):
    with pytest.raises(InputError, match=r"no column Cells; its columns are file, labels; give --target one of"):
        numbers(folder, "file,labels\ns/a.wav,one\n")
