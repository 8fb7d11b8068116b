//! Reading a recovery file: what became of each message, and where in the file its bytes are. The
//! bytes stay there: a file may be larger than memory, so two bytes are held for each message, and
//! where every few hundred of them begin.

use super::file::{folder, lock};
use super::{Copy, Header, Record, Recovery, Saved};
use crate::broker::End;
use crate::error::{Error, Result};
use std::collections::{HashMap, HashSet};
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// Bytes of a file's first line, and of any other, at most: more than the largest message that Redis
/// holds, as base64.
const LONGEST_HEADER: u64 = 64 << 10;
const LONGEST_LINE: u64 = 1 << 30;

/// Messages that are read at once, and about how many bytes.
const BLOCK: usize = 250;
const BLOCK_BYTES: u64 = 256 << 10;

/// Numbers that may be missing between two messages: somebody took lines out of the file.
const GAP: u64 = 1 << 20;

/// What a file says of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Standing {
    /// There is none of that number.
    Absent,
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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) struct Entry {
    pub standing: Standing,
    flags: u8,
}

impl Entry {
    const ABSENT: Entry = Entry { standing: Standing::Absent, flags: 0 };
    const RESTORING: u8 = 1;
    const NAMED: u8 = 2;
    const LAST: u8 = 4;

    fn saved(end: End, named: bool) -> Self {
        let last = if end == End::Last { Entry::LAST } else { 0 };
        let flags = last | if named { Entry::NAMED } else { 0 };
        Entry { standing: Standing::Saved, flags }
    }

    /// It was about to be put back, and nothing says whether it was.
    pub fn is_restoring(self) -> bool {
        self.flags & Entry::RESTORING != 0
    }

    /// It is among those asked for by name.
    pub fn is_named(self) -> bool {
        self.flags & Entry::NAMED != 0
    }

    /// Where it goes back to.
    pub fn end(self) -> End {
        if self.flags & Entry::LAST != 0 { End::Last } else { End::Next }
    }
}

/// Lines of the file that hold messages, and copies of them behind each.
#[derive(Debug, Clone, Copy)]
struct Block {
    /// The number of the first.
    first: u32,
    at: u64,
    end: u64,
    messages: usize,
}

impl Block {
    fn has_room(&self, until: u64) -> bool {
        self.messages < BLOCK && until - self.at <= BLOCK_BYTES
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Line {
    at: u64,
    bytes: u64,
}

/// A recovery file, read.
#[derive(Debug)]
pub(in super::super) struct Index {
    pub header: Header,
    /// What was asked for and is not in it.
    pub unknown: Vec<String>,
    /// By number, which is the order in which they were saved.
    entries: Vec<Entry>,
    blocks: Vec<Block>,
    /// Copies that stand far behind their message, oldest first, of messages that may be in one.
    late: HashMap<u32, Vec<Line>>,
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
        let reason = |reason: io::Error| refused(&reason.to_string());
        // A pipe would be waited for.
        if !path.metadata().map_err(reason)?.is_file() {
            return Err(refused("it is no regular file"));
        }
        let file = OpenOptions::new().read(true).append(true).open(&path).map_err(reason)?;
        lock(&file).map_err(|error| match error.kind() {
            ErrorKind::WouldBlock => refused("somebody is at work on it: wait for its end"),
            _ => refused(&format!("it cannot be locked: {error}")),
        })?;
        let read = read(&path, file, names).map_err(reason)?;
        read.ok_or_else(|| refused("not a recovery file of this version"))
    }

    /// Its messages, in the order in which they were saved.
    pub fn entries(&self) -> impl Iterator<Item = (u32, Entry)> {
        let entries = (0..).zip(self.entries.iter().copied());
        entries.filter(|(_, entry)| entry.standing != Standing::Absent)
    }

    /// A message.
    pub fn entry(&self, number: u32) -> Entry {
        self.entries.get(number as usize).copied().unwrap_or(Entry::ABSENT)
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

    /// Takes in a line that stands so far from the file's beginning.
    fn take_in(&mut self, record: Record, line: Line, named: impl FnOnce(&Saved) -> bool) {
        match record {
            Record::Saved(saved) => {
                let named = named(&saved);
                self.take_in_message(&saved, line, named);
            }
            Record::Copy(copy) => self.take_in_copy(&copy, line),
            Record::Removed(numbers) => self.stand(&numbers, Some(Standing::Removed)),
            Record::Moved(numbers) => self.stand(&numbers, Some(Standing::Moved)),
            Record::Taken(numbers) => self.stand(&numbers, Some(Standing::Taken)),
            Record::Restored(numbers) => self.stand(&numbers, Some(Standing::Restored)),
            Record::Refused(numbers) => self.stand(&numbers, None),
            Record::Restoring(numbers) => {
                for number in numbers {
                    self.change(number, |entry| entry.flags |= Entry::RESTORING);
                }
            }
        }
    }

    fn take_in_message(&mut self, saved: &Saved, line: Line, named: bool) {
        let next = self.entries.len() as u64;
        let Ok(number) = u32::try_from(saved.number) else { return };
        if saved.number < next || saved.number - next > GAP {
            return;
        }
        self.entries.resize(number as usize, Entry::ABSENT);
        self.entries.push(Entry::saved(saved.end, named));
        let end = line.at + line.bytes;
        match self.blocks.last_mut() {
            Some(block) if block.has_room(end) => {
                block.messages += 1;
                block.end = end;
            }
            _ => self.blocks.push(Block { first: number, at: line.at, end, messages: 1 }),
        }
    }

    fn take_in_copy(&mut self, copy: &Copy, line: Line) {
        let Ok(number) = u32::try_from(copy.number) else { return };
        if self.entry(number).standing == Standing::Absent {
            return;
        }
        let end = line.at + line.bytes;
        match self.blocks.last_mut() {
            Some(block) if number >= block.first && end - block.at <= BLOCK_BYTES => {
                block.end = end;
            }
            _ => self.late.entry(number).or_default().push(line),
        }
    }

    /// What became of messages is known; `None`: it is what it was before.
    fn stand(&mut self, numbers: &[u64], standing: Option<Standing>) {
        for number in numbers {
            self.change(*number, |entry| {
                entry.standing = standing.unwrap_or(entry.standing);
                entry.flags &= !Entry::RESTORING;
            });
            // Nobody looks for its copies any more.
            if let (Some(Standing::Taken | Standing::Restored), Ok(number)) =
                (standing, u32::try_from(*number))
            {
                self.late.remove(&number);
            }
        }
    }

    fn change(&mut self, number: u64, change: impl FnOnce(&mut Entry)) {
        let entry = usize::try_from(number).ok().and_then(|number| self.entries.get_mut(number));
        if let Some(entry) = entry.filter(|entry| entry.standing != Standing::Absent) {
            change(entry);
        }
    }

    fn lines(&self, line: Line) -> io::Result<Vec<u8>> {
        let mut text = vec![0; usize::try_from(line.bytes).map_err(io::Error::other)?];
        let mut file = &self.file;
        file.seek(SeekFrom::Start(line.at))?;
        file.read_exact(&mut text)?;
        Ok(text)
    }

    /// The messages and copies of a block.
    fn read_block(&self, block: &Block) -> io::Result<HashMap<u32, Kept>> {
        let mut kept: HashMap<u32, Kept> = HashMap::new();
        let lines = self.lines(Line { at: block.at, bytes: block.end - block.at })?;
        let records = lines.split(|byte| *byte == b'\n').filter_map(|line| {
            // What was left unfinished is none.
            serde_json::from_slice::<Record>(line).ok()
        });
        for record in records {
            match record {
                Record::Saved(saved) => {
                    let Ok(number) = u32::try_from(saved.number) else { continue };
                    kept.entry(number).or_insert(Kept { saved, copies: Vec::new() });
                }
                Record::Copy(copy) => {
                    let number = u32::try_from(copy.number).ok();
                    if let Some(kept) = number.and_then(|number| kept.get_mut(&number)) {
                        kept.copies.push(copy);
                    }
                }
                _ => {}
            }
        }
        for (number, kept) in &mut kept {
            for line in self.late.get(number).into_iter().flatten() {
                if let Record::Copy(copy) = serde_json::from_slice(&self.lines(*line)?)? {
                    kept.copies.push(copy);
                }
            }
        }
        Ok(kept)
    }
}

/// A message as it was saved, and its copies, oldest first.
#[derive(Debug, Clone)]
pub(in super::super) struct Kept {
    pub saved: Saved,
    pub copies: Vec<Copy>,
}

/// Reads messages out of a file, a block at a time: whoever asks for them in their order, or backwards,
/// has each block read once.
#[derive(Debug)]
pub(in super::super) struct Reader<'a> {
    index: &'a Index,
    /// The one that was read last, by its place among them.
    block: Option<(usize, HashMap<u32, Kept>)>,
}

impl<'a> Reader<'a> {
    /// Of this file.
    pub fn new(index: &'a Index) -> Self {
        Reader { index, block: None }
    }

    /// A message and its copies.
    ///
    /// # Errors
    /// [`Error::Internal`].
    pub fn kept(&mut self, number: u32) -> Result<&Kept> {
        let blocks = &self.index.blocks;
        let path = self.index.path.display();
        let changed = || Error::Internal(format!("{path} changed while it was read"));
        let at = blocks.partition_point(|block| block.first <= number).checked_sub(1);
        let at = at.ok_or_else(changed)?;
        if self.block.as_ref().is_none_or(|(held, _)| *held != at) {
            let read = self.index.read_block(&blocks[at]).map_err(|_| changed())?;
            self.block = Some((at, read));
        }
        self.block.as_ref().and_then(|(_, block)| block.get(&number)).ok_or_else(changed)
    }
}

fn read(path: &Path, file: File, names: &[String]) -> io::Result<Option<Index>> {
    let names: HashSet<&str> = names.iter().map(String::as_str).collect();
    let mut met = HashSet::new();
    let mut text = Vec::new();
    let mut lines = BufReader::new(file.try_clone()?);
    let mut at = (&mut lines).take(LONGEST_HEADER).read_until(b'\n', &mut text)? as u64;
    let Some(header) = Header::read(&text) else { return Ok(None) };
    let mut index = Index {
        header,
        unknown: Vec::new(),
        entries: Vec::new(),
        blocks: Vec::new(),
        late: HashMap::new(),
        path: path.into(),
        file,
    };
    loop {
        text.clear();
        let bytes = (&mut lines).take(LONGEST_LINE).read_until(b'\n', &mut text)? as u64;
        if bytes == 0 {
            break;
        }
        let line = Line { at, bytes };
        at += bytes;
        // A line that was left unfinished: nothing was done on the strength of it.
        let Ok(record) = serde_json::from_slice::<Record>(&text) else { continue };
        index.take_in(record, line, |saved| {
            let own = [Some(saved.key.as_str()), saved.uuid.as_deref()];
            let named = own.into_iter().flatten().filter_map(|name| names.get(name));
            named.map(|name| met.insert(*name)).count() > 0
        });
    }
    index.unknown = names.difference(&met).map(|name| (*name).to_owned()).collect();
    Ok(Some(index))
}
