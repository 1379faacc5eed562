//! The export of KeePassXC or KeePass in CSV, told apart by their headers.

use csv_core::{ReadRecordResult, Reader, ReaderBuilder};
use zeroize::Zeroizing;

use super::entry::{Draft, Item, Name};
use crate::failure::Failure;

/// What a column holds.
#[derive(Clone, PartialEq)]
enum Column {
    Group,
    Title,
    Username,
    Password,
    /// A field of this name.
    Field(String),
    /// What says nothing of a login.
    Other,
}

/// The columns of KeePassXC, and what becomes of them.
const KEEPASSXC: [(&str, Column); 4] = [
    ("Group", Column::Group),
    ("Title", Column::Title),
    ("Username", Column::Username),
    ("Password", Column::Password),
];

/// The columns of KeePass ("KeePass CSV (1.x)").
const KEEPASS: [(&str, Column); 3] =
    [("Account", Column::Title), ("Login Name", Column::Username), ("Password", Column::Password)];

const HINT: &str = "nothing was changed; export the database as CSV: of KeePassXC with Group, Title, Username, Password, …, of KeePass as KeePass CSV (1.x)";

/// The entries of an export.
pub(super) fn read(text: &str) -> Result<Vec<Item>, Failure> {
    // KeePass escapes with backslashes; its header is the same either way.
    let is_keepass = text.trim_start().trim_start_matches('"').starts_with("Account");
    let reader = if is_keepass {
        ReaderBuilder::new().double_quote(false).escape(Some(b'\\')).build()
    } else {
        Reader::new()
    };
    let table = Table::read(reader, text)?;
    let mut rows = table.rows.iter();
    let header = rows.next().ok_or_else(|| Failure::usage("there is nothing in the CSV", HINT))?;
    let columns = columns(&table, header, if is_keepass { &KEEPASS } else { &KEEPASSXC })?;
    let mut items = Vec::new();
    for row in rows {
        let (found, expected) = (row.ends.len(), columns.len());
        if found != expected {
            return Err(Failure::usage(
                format!(
                    "the entry before line {} of the CSV has {found} values, not {expected}",
                    row.line
                ),
                HINT,
            ));
        }
        items.push(entry(&columns, &table, row));
    }
    Ok(items)
}

/// What the columns of this header hold.
fn columns(table: &Table, header: &Row, known: &[(&str, Column)]) -> Result<Vec<Column>, Failure> {
    let names: Vec<&str> = table.values(header).collect();
    for (name, _) in known {
        match names.iter().filter(|found| *found == name).count() {
            1 => {}
            0 => {
                return Err(Failure::usage(format!("the CSV has no column {name:?}"), HINT));
            }
            _ => {
                let message = format!("the CSV has the column {name:?} twice");
                return Err(Failure::usage(message, HINT));
            }
        }
    }
    let column = |name: &&str| {
        let found = known.iter().find(|(other, _)| other == name);
        match (found, *name) {
            (Some((_, column)), _) => column.clone(),
            (None, "URL" | "Web Site") => Column::Field("url".to_owned()),
            (None, "Notes" | "Comments") => Column::Field("notes".to_owned()),
            (None, "TOTP") => Column::Field("otpauth".to_owned()),
            (None, "Icon" | "Last Modified" | "Created") => Column::Other,
            (None, other) => Column::Field(other.to_owned()),
        }
    };
    Ok(names.iter().map(column).collect())
}

fn entry(columns: &[Column], table: &Table, row: &Row) -> Item {
    let mut draft = Draft::default();
    let (mut group, mut title) = ("", "");
    for (column, value) in columns.iter().zip(table.values(row)) {
        match column {
            Column::Group => group = value,
            Column::Title => title = value,
            Column::Username => draft.username(value),
            Column::Password => draft.password(value),
            Column::Field(name) => draft.field_with_something(name, Some(value)),
            Column::Other => {}
        }
    }
    // All groups are in that of the database.
    let group = group.split_once('/').map_or("", |(_, below)| below);
    let name = Name::path(group, title);
    draft.finish(name.shown(), name)
}

/// The most columns that a table may have.
const MAX_COLUMNS: usize = 256;

/// A table in CSV, without its quotes.
struct Table {
    text: Zeroizing<String>,
    rows: Vec<Row>,
}

struct Row {
    begin: usize,
    /// Where each value ends.
    ends: Vec<usize>,
    /// The line after it.
    line: u64,
}

impl Table {
    fn read(mut reader: Reader, text: &str) -> Result<Self, Failure> {
        // Without its quotes it is no longer than with them. The reader never wants to see the end of its room.
        let mut output = Zeroizing::new(vec![0; text.len() + 1]);
        let mut rows = Vec::new();
        let mut rest = text.as_bytes();
        let (mut begin, mut end) = (0, 0);
        let (mut ends, mut values) = ([0; MAX_COLUMNS], 0);
        loop {
            let room = output.get_mut(end..).unwrap_or_default();
            let places = ends.get_mut(values..).unwrap_or_default();
            let (result, read, written, found) = reader.read_record(rest, room, places);
            rest = rest.get(read..).unwrap_or_default();
            (end, values) = (end + written, values + found);
            match result {
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::Record => {
                    let ends = ends.iter().take(values).map(|end| begin + end).collect();
                    rows.push(Row { begin, ends, line: reader.line() });
                    (begin, values) = (end, 0);
                }
                ReadRecordResult::End => break,
                ReadRecordResult::OutputFull | ReadRecordResult::OutputEndsFull => {
                    let message = format!("the CSV has more than {MAX_COLUMNS} columns");
                    return Err(Failure::usage(message, HINT));
                }
            }
        }
        output.truncate(end);
        let text = std::str::from_utf8(&output)
            .map_err(|_| Failure::usage("the CSV is not UTF-8 text", HINT))?;
        Ok(Self { text: Zeroizing::new(text.to_owned()), rows })
    }

    fn values<'t>(&'t self, row: &'t Row) -> impl Iterator<Item = &'t str> {
        let begins = [row.begin].into_iter().chain(row.ends.iter().copied());
        begins.zip(&row.ends).map(|(begin, end)| self.text.get(begin..*end).unwrap_or_default())
    }
}
