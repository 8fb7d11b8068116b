//! Reading a recovery file: what became of each message, and where in the file its bytes are. The
//! bytes stay there: a file may be larger than memory.

use super::file::{folder, lock};
use super::{Copy, Header, Record, Recovery, Saved};
use crate::error::{Error, Result};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// Bytes of a file's first line, at most.
const LONGEST_HEADER: u64 = 64 << 10;

/// What a file says of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Standing {
    /// It may be in its queue, or out of it.
    Saved,
    /// It is out of its queue, and nowhere else.
    Removed,
    /// Its copy was put into another queue.
    Moved,
    /// Somebody else took it.
    Taken,
    /// It is back.
    Restored,
}

/// A message in a file.
#[derive(Debug, Clone, PartialEq)]
pub(in super::super) struct Entry {
    pub standing: Standing,
    /// It was about to be put back, and nothing says whether it was.
    pub restoring: bool,
    /// It is among those asked for by name.
    pub named: bool,
    place: Line,
    /// The lines of its copies, oldest first.
    copies: Vec<Line>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Line {
    at: u64,
    bytes: usize,
}

/// A recovery file, read.
#[derive(Debug)]
pub(in super::super) struct Index {
    pub header: Header,
    /// By number, which is the order in which they were saved.
    pub entries: BTreeMap<u64, Entry>,
    /// What was asked for and is not in it.
    pub unknown: Vec<String>,
    path: PathBuf,
    file: File,
}

impl Index {
    /// Reads a file, given by its path or by its name in the folder of recovery files, and marks
    /// what is asked for by uuid or key.
    ///
    /// # Errors
    /// [`Error::InvalidParams`] where there is none, or none that can be read, or somebody is at work on
    /// it.
    pub fn open(path: &str, names: &[String]) -> Result<Index> {
        let path = folder().join(path);
        let refused = |why: &str| Error::InvalidParams(format!("{}: {why}", path.display()));
        let file = OpenOptions::new().read(true).append(true).open(&path);
        let file = file.map_err(|reason| refused(&reason.to_string()))?;
        lock(&file).map_err(|_| refused("somebody is at work on it: wait for its end"))?;
        let read = read(&path, file, names).map_err(|reason| refused(&reason.to_string()))?;
        read.ok_or_else(|| refused("not a recovery file of this version"))
    }

    /// A message, as it was saved.
    ///
    /// # Errors
    /// [`Error::Internal`].
    pub fn saved(&self, number: u64) -> Result<Saved> {
        let place = self.entries.get(&number).map(|entry| entry.place);
        match place.map(|place| self.record(place)) {
            Some(Ok(Record::Saved(saved))) => Ok(saved),
            _ => Err(self.changed()),
        }
    }

    /// Its copies, oldest first.
    ///
    /// # Errors
    /// [`Error::Internal`].
    pub fn copies(&self, number: u64) -> Result<Vec<Copy>> {
        let lines = self.entries.get(&number).map(|entry| entry.copies.as_slice());
        let copy = |line: &Line| match self.record(*line) {
            Ok(Record::Copy(copy)) => Ok(copy),
            _ => Err(self.changed()),
        };
        lines.unwrap_or_default().iter().map(copy).collect()
    }

    /// Goes on writing to it.
    ///
    /// # Errors
    /// [`Error::Internal`].
    pub fn recovery(&self) -> Result<Recovery> {
        let file = self.file.try_clone();
        file.and_then(|file| Recovery::go_on(self.header.clone(), self.path.clone(), file))
            .map_err(|reason| Error::Internal(format!("{}: {reason}", self.path.display())))
    }

    fn record(&self, line: Line) -> io::Result<Record> {
        let mut text = vec![0; line.bytes];
        let mut file = &self.file;
        file.seek(SeekFrom::Start(line.at))?;
        file.read_exact(&mut text)?;
        Ok(serde_json::from_slice(&text)?)
    }

    fn changed(&self) -> Error {
        Error::Internal(format!("{} changed while it was read", self.path.display()))
    }
}

fn read(path: &Path, file: File, names: &[String]) -> io::Result<Option<Index>> {
    let names: HashSet<&str> = names.iter().map(String::as_str).collect();
    let mut met = HashSet::new();
    let mut lines = BufReader::new(&file);
    let mut text = Vec::new();
    let mut at = (&mut lines).take(LONGEST_HEADER).read_until(b'\n', &mut text)? as u64;
    let Some(header) = Header::read(&text) else { return Ok(None) };
    let mut entries = BTreeMap::new();
    let mut copies: HashMap<u64, Vec<Line>> = HashMap::new();
    loop {
        text.clear();
        let bytes = lines.read_until(b'\n', &mut text)?;
        if bytes == 0 {
            break;
        }
        let place = Line { at, bytes };
        at += bytes as u64;
        // A line that was left unfinished: nothing was done on the strength of it.
        let Ok(record) = serde_json::from_slice::<Record>(&text) else { continue };
        match record {
            Record::Saved(saved) => {
                let own = [Some(saved.key.as_str()), saved.uuid.as_deref()];
                let named = own.into_iter().flatten().filter_map(|name| names.get(name));
                let asked = named.map(|name| met.insert(*name)).count() > 0;
                let entry = Entry {
                    standing: Standing::Saved,
                    restoring: false,
                    named: asked,
                    place,
                    copies: Vec::new(),
                };
                entries.insert(saved.number, entry);
            }
            Record::Copy(copy) => copies.entry(copy.number).or_default().push(place),
            Record::Removed(numbers) => stand(&mut entries, &numbers, Some(Standing::Removed)),
            Record::Moved(numbers) => stand(&mut entries, &numbers, Some(Standing::Moved)),
            Record::Taken(numbers) => stand(&mut entries, &numbers, Some(Standing::Taken)),
            Record::Restored(numbers) => stand(&mut entries, &numbers, Some(Standing::Restored)),
            Record::Refused(numbers) => stand(&mut entries, &numbers, None),
            Record::Restoring(numbers) => {
                for number in numbers {
                    if let Some(entry) = entries.get_mut(&number) {
                        entry.restoring = true;
                    }
                }
            }
        }
    }
    for (number, lines) in copies {
        if let Some(entry) = entries.get_mut(&number) {
            entry.copies = lines;
        }
    }
    let unknown = names.difference(&met).map(|name| (*name).to_owned()).collect();
    Ok(Some(Index { header, entries, unknown, path: path.into(), file }))
}

/// What became of messages is known; `None`: it is what it was before.
fn stand(entries: &mut BTreeMap<u64, Entry>, numbers: &[u64], standing: Option<Standing>) {
    for number in numbers {
        if let Some(entry) = entries.get_mut(number) {
            entry.standing = standing.unwrap_or(entry.standing);
            entry.restoring = false;
        }
    }
}
