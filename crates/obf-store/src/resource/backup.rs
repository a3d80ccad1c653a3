//! Backup and restore: every table that matters, row by row, from one snapshot while others go on writing.
//!
//! A backup is a sequence of blocks, each of whole records: `T` names the table of the rows behind it with its
//! columns, `R` is a row, `E` ends the backup with the number of rows. Numbers are big-endian. Subscriber keys are in it
//! as they are in the database: wrapped. Whoever keeps a backup encrypts the blocks.

mod version_1;

use super::{Change, NoticeKind, ResourceDb, tables};
use crate::{
    StoreError,
    sql::{Row, Session, Value, values},
};
use obf_types::AppId;
use tokio::sync::mpsc;

/// Octets from which on a block is full.
const BLOCK: usize = 64 * 1024;
/// Rows read at once.
const PAGE: usize = 1000;
/// How far SEQ goes on at least from where it stood at the backup: vectors given since then must not be given again.
const SEQ_JUMP: u64 = 1 << 20;
/// How far it goes on for each second since the backup, so that one restored twice goes further the second time.
const SEQ_A_SECOND: u64 = 16;
/// How far it goes on at most: half of what a USIM accepts (TS 33.102 C.2.1).
const SEQ_JUMP_MOST: u64 = 1 << 27;
/// How far the epochs go on at least, and at least to the time in seconds, where they began: tokens ended since then, or
/// since an earlier restore, must not come back to life. Little, so that a device added later begins behind none.
const EPOCH_JUMP: u64 = 1 << 10;

/// A table as it is backed up: its key, then its other columns.
pub struct Table {
    /// Its name.
    pub name: &'static str,
    /// The columns of its primary key: the order of the rows.
    key: &'static [&'static str],
    /// Whether the database numbers its rows itself.
    numbers_itself: bool,
}

/// Why a backup was not restored. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RestoreError {
    /// The database has something in it.
    #[error("the table {0} is not empty: a backup is restored into an empty database")]
    NotEmpty(&'static str),
    /// It is cut short, or was made by another version.
    #[error("the backup cannot be read: {0}")]
    Malformed(&'static str),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Backup and restore.
impl ResourceDb {
    /// Sends the whole database as blocks; says how many rows those were. Ends early if nobody receives.
    pub async fn backup(&self, blocks: mpsc::Sender<Vec<u8>>) -> Result<u64, StoreError> {
        self.engine.snapshot(move |s| Writer { blocks, block: Vec::new(), rows: 0 }.write(s)).await
    }

    /// Puts a backup into an empty database, all or nothing; says how many rows it had. Sequence numbers and epochs
    /// jump, so that no right that was given or ended after the backup comes back into force.
    pub async fn restore(
        &self,
        mut blocks: mpsc::Receiver<Vec<u8>>,
        change: Change,
    ) -> Result<u64, RestoreError> {
        self.engine.write(move |s| restore(s, &mut blocks, &change)).await
    }
}

struct Writer {
    blocks: mpsc::Sender<Vec<u8>>,
    block: Vec<u8>,
    rows: u64,
}

impl Writer {
    fn write(mut self, s: &mut dyn Session) -> Result<u64, StoreError> {
        for table in tables::BACKED_UP {
            self.table(s, table)?;
        }
        self.block.push(b'E');
        self.block.extend_from_slice(&self.rows.to_be_bytes());
        self.send(0)?;
        Ok(self.rows)
    }

    fn table(&mut self, s: &mut dyn Session, table: &Table) -> Result<(), StoreError> {
        let columns = table.columns(s)?;
        let (name, all, key) = (table.name, columns.join(", "), table.key.join(", "));
        self.block.push(b'T');
        put_text(&mut self.block, name);
        put_text(&mut self.block, &all);
        let first = format!("SELECT {all} FROM {name} ORDER BY {key} LIMIT ?1");
        let behind = places(2, table.key.len());
        let next = format!("SELECT {all} FROM {name} WHERE ({key}) > ({behind}) ORDER BY {key} LIMIT ?1");
        let mut last: Vec<Owned> = Vec::new();
        loop {
            let mut bound = vec![Value::from(PAGE)];
            bound.extend(last.iter().map(Owned::value));
            let sql = if last.is_empty() { &first } else { &next };
            let (mut count, mut key) = (0, Vec::new());
            s.query(sql, &bound, &mut |row| {
                count += 1;
                self.block.push(b'R');
                for column in 0..columns.len() {
                    let value = Owned::read(row, column)?;
                    value.put(&mut self.block);
                    if count == PAGE && column < table.key.len() {
                        key.push(value);
                    }
                }
                self.rows += 1;
                self.send(BLOCK)?;
                Ok(true)
            })?;
            if count < PAGE {
                return Ok(());
            }
            last = key;
        }
    }

    /// Sends the block if it has that many octets.
    fn send(&mut self, full: usize) -> Result<(), StoreError> {
        if self.block.len() < full {
            return Ok(());
        }
        let block = std::mem::take(&mut self.block);
        self.blocks.blocking_send(block).map_err(|_| StoreError::Closed)
    }
}

impl Table {
    /// A table whose rows are numbered by whoever adds them.
    pub const fn keyed(name: &'static str, key: &'static [&'static str]) -> Self {
        Self { name, key, numbers_itself: false }
    }

    /// A table that numbers its rows itself.
    pub const fn numbered(name: &'static str, key: &'static [&'static str]) -> Self {
        Self { name, key, numbers_itself: true }
    }

    /// Its key, and all other columns that the database has.
    fn columns(&self, s: &mut dyn Session) -> Result<Vec<String>, StoreError> {
        let others = s.columns(self.name)?.into_iter().filter(|column| !self.key.contains(&column.as_str()));
        Ok(self.key.iter().map(|column| (*column).to_owned()).chain(others).collect())
    }
}

/// `?2, ?3`: so many parameters from `first` on.
fn places(first: usize, count: usize) -> String {
    (first..first + count).map(|number| format!("?{number}")).collect::<Vec<_>>().join(", ")
}

fn restore(
    s: &mut dyn Session,
    blocks: &mut mpsc::Receiver<Vec<u8>>,
    change: &Change,
) -> Result<u64, RestoreError> {
    // What a new server wrote about itself gives way to the audit of the backup.
    s.execute("DELETE FROM audit", &[])?;
    s.execute("DELETE FROM audit_seals", &[])?;
    for table in tables::BACKED_UP {
        let sql = format!("SELECT count(*) FROM (SELECT 1 FROM {} LIMIT 1) AS t", table.name);
        if s.one(&sql, &[], |row| row.number(0))? != Some(0) {
            return Err(RestoreError::NotEmpty(table.name));
        }
    }
    let mut reader = Reader { insert: None, rows: 0, ended: false };
    while let Some(block) = blocks.blocking_recv() {
        reader.block(s, &block)?;
    }
    if !reader.ended {
        return Err(RestoreError::Malformed("it is cut short"));
    }
    for table in tables::BACKED_UP.iter().filter(|table| table.numbers_itself) {
        s.number_on(table.name, table.key.first().copied().unwrap_or_default())?;
    }
    jump(s, change)?;
    // Whatever was told before the backup's moment, or not told yet: each token is ended, each right asked for anew.
    change.announce_devices(s, NoticeKind::Disconnect, "CAST(?4 AS TEXT) IS NOT NULL", "")?;
    let applications = s.all("SELECT id FROM applications", &[], |row| {
        AppId::new(row.string(0)?).map_err(|error| StoreError::Corrupt(error.to_string()))
    })?;
    for app in &applications {
        change.announce(s, NoticeKind::Changed, None, Some(app))?;
    }
    change.record(s, "database.restore", "database", &format!("{} rows", reader.rows))?;
    Ok(reader.rows)
}

/// Sequence numbers and epochs, of devices and of removed ones, go on beyond whatever they may have reached.
fn jump(s: &mut dyn Session, change: &Change) -> Result<(), StoreError> {
    let last_act =
        s.one("SELECT at FROM audit ORDER BY seq DESC LIMIT 1", &[], |row| row.fitting::<u64>(0))?;
    let age = change.at.0.saturating_sub(last_act.unwrap_or(change.at.0));
    let seq = SEQ_JUMP.saturating_add(age.saturating_mul(SEQ_A_SECOND)).min(SEQ_JUMP_MOST);
    for table in ["devices", "former_identities"] {
        let sql = format!("UPDATE {table} SET epoch = CASE WHEN epoch + ?1 > ?2 THEN epoch + ?1 ELSE ?2 END");
        s.execute(&sql, values![EPOCH_JUMP, change.at.0])?;
    }
    for table in ["credentials", "former_identities"] {
        let sql = format!(
            "UPDATE {table} SET
                 sqn = CASE WHEN sqn + ?1 > 281474976710655 THEN 281474976710655 ELSE sqn + ?1 END"
        );
        s.execute(&sql, values![seq << 5])?;
    }
    Ok(())
}

struct Reader {
    insert: Option<Insert>,
    rows: u64,
    ended: bool,
}

/// How the rows of a table go in.
enum Insert {
    /// As they are, so many columns.
    AsIs(String, usize),
    /// Those of a device of version 1: into two tables.
    Device1,
}

impl Reader {
    fn block(&mut self, s: &mut dyn Session, block: &[u8]) -> Result<(), RestoreError> {
        let cut = || RestoreError::Malformed("a record is cut short");
        let mut rest = block;
        while let Some((tag, after)) = rest.split_first() {
            rest = after;
            if self.ended {
                return Err(RestoreError::Malformed("something stands behind its end"));
            }
            match tag {
                b'T' => {
                    let name = take_text(&mut rest).ok_or_else(cut)?;
                    let columns = take_text(&mut rest).ok_or_else(cut)?;
                    self.insert = Some(Insert::into(s, name, columns)?);
                }
                b'R' => {
                    let insert =
                        self.insert.as_ref().ok_or(RestoreError::Malformed("a row is of no table"))?;
                    let width = insert.width();
                    let mut bound = Vec::with_capacity(width);
                    for _ in 0..width {
                        bound.push(take_value(&mut rest).ok_or_else(cut)?);
                    }
                    match insert {
                        Insert::AsIs(sql, _) => {
                            s.execute(sql, &bound)?;
                        }
                        Insert::Device1 => version_1::insert(s, &bound)?,
                    }
                    self.rows += 1;
                }
                b'E' => {
                    let count = take::<8>(&mut rest).map(u64::from_be_bytes).ok_or_else(cut)?;
                    if count != self.rows {
                        return Err(RestoreError::Malformed("rows are missing"));
                    }
                    self.ended = true;
                }
                _ => return Err(RestoreError::Malformed("a record of unknown kind")),
            }
        }
        Ok(())
    }
}

impl Insert {
    /// Rows with these columns into that table.
    fn into(s: &mut dyn Session, name: &str, columns: &str) -> Result<Self, RestoreError> {
        let other = || RestoreError::Malformed("it was made by another version of this program");
        if (name, columns) == ("devices", version_1::COLUMNS) {
            return Ok(Self::Device1);
        }
        let table = tables::BACKED_UP.iter().find(|table| table.name == name).ok_or_else(other)?;
        let known = table.columns(s)?;
        if known.join(", ") != columns {
            return Err(other());
        }
        let places = places(1, known.len());
        Ok(Self::AsIs(format!("INSERT INTO {name} ({columns}) VALUES ({places})"), known.len()))
    }

    fn width(&self) -> usize {
        match self {
            Self::AsIs(_, width) => *width,
            Self::Device1 => version_1::WIDTH,
        }
    }
}

enum Owned {
    Null,
    Integer(i64),
    Text(String),
    Octets(Vec<u8>),
}

impl Owned {
    /// A value of whichever type it is.
    fn read(row: &dyn Row, column: usize) -> Result<Self, StoreError> {
        if let Ok(number) = row.integer(column) {
            return Ok(number.map_or(Self::Null, Self::Integer));
        }
        if let Ok(text) = row.text(column) {
            return Ok(text.map_or(Self::Null, |text| Self::Text(text.to_owned())));
        }
        Ok(row.octets(column)?.map_or(Self::Null, |octets| Self::Octets(octets.to_vec())))
    }

    fn value(&self) -> Value<'_> {
        match self {
            Self::Null => Value::Null,
            Self::Integer(number) => Value::Integer(*number),
            Self::Text(text) => Value::Text(text),
            Self::Octets(octets) => Value::Octets(octets),
        }
    }

    fn put(&self, to: &mut Vec<u8>) {
        match self {
            Self::Null => to.push(0),
            Self::Integer(number) => {
                to.push(1);
                to.extend_from_slice(&number.to_be_bytes());
            }
            Self::Text(text) => {
                to.push(2);
                put_text(to, text);
            }
            Self::Octets(octets) => {
                to.push(3);
                put_octets(to, octets);
            }
        }
    }
}

fn put_text(to: &mut Vec<u8>, text: &str) {
    put_octets(to, text.as_bytes());
}

fn put_octets(to: &mut Vec<u8>, octets: &[u8]) {
    to.extend_from_slice(&u32::try_from(octets.len()).unwrap_or(u32::MAX).to_be_bytes());
    to.extend_from_slice(octets);
}

fn take<const N: usize>(from: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, rest) = from.split_first_chunk::<N>()?;
    *from = rest;
    Some(*taken)
}

fn take_octets<'a>(from: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = usize::try_from(u32::from_be_bytes(take(from)?)).ok()?;
    let (taken, rest) = from.split_at_checked(length)?;
    *from = rest;
    Some(taken)
}

fn take_text<'a>(from: &mut &'a [u8]) -> Option<&'a str> {
    std::str::from_utf8(take_octets(from)?).ok()
}

fn take_value<'a>(from: &mut &'a [u8]) -> Option<Value<'a>> {
    let [kind] = take(from)?;
    Some(match kind {
        0 => Value::Null,
        1 => Value::Integer(i64::from_be_bytes(take(from)?)),
        2 => Value::Text(take_text(from)?),
        3 => Value::Octets(take_octets(from)?),
        _ => return None,
    })
}
