//! Packed records one behind the other, in segments. A record is never changed: its next version is
//! appended, and the old one is marked as dead, room that is held until its segment is emptied. So
//! whoever read up to the end needs to read only what is appended since. Knows slots and bytes, not
//! what they mean.

/// Bytes of a segment; a larger record has one of its own.
const SEGMENT: usize = 256 << 10;

/// Of the room that is held, at least seven eighths are live, but for so many segments. Versions die
/// young: the deadest segment is mostly dead, so emptying it costs little.
const SLACK: usize = 2;

/// What stands before each record: its slot and its length.
const HEAD: usize = 8;

/// The slot of a record that is dead.
const DEAD: u32 = u32::MAX;

/// Where a record stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct At {
    segment: u32,
    offset: u32,
}

/// How far somebody has read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Mark {
    serial: u64,
    offset: usize,
}

/// All records.
#[derive(Debug, Default)]
pub struct Log {
    segments: Vec<Segment>,
    /// Segments that hold nothing.
    free: Vec<u32>,
    /// The one that is appended to; none at first.
    tail: Option<u32>,
    serial: u64,
    live: usize,
    held: usize,
}

#[derive(Debug, Default)]
struct Segment {
    bytes: Vec<u8>,
    live: usize,
    /// Rises with every segment that is begun.
    serial: u64,
}

impl Log {
    /// Bytes of the records that are not dead.
    pub fn live(&self) -> usize {
        self.live
    }

    /// Appends a record.
    pub fn append(&mut self, slot: u32, record: &[u8]) -> At {
        let room = HEAD + record.len();
        let tail = match self.tail {
            Some(tail) if self.segments[tail as usize].has_room(room) => tail,
            _ => self.begin(room),
        };
        let segment = &mut self.segments[tail as usize];
        let at = At { segment: tail, offset: segment.bytes.len() as u32 };
        segment.bytes.extend_from_slice(&slot.to_le_bytes());
        segment.bytes.extend_from_slice(&(record.len() as u32).to_le_bytes());
        segment.bytes.extend_from_slice(record);
        segment.live += room;
        self.live += room;
        at
    }

    fn begin(&mut self, room: usize) -> u32 {
        let id = self.free.pop().unwrap_or_else(|| {
            self.segments.push(Segment::default());
            (self.segments.len() - 1) as u32
        });
        self.serial += 1;
        let bytes = Vec::with_capacity(room.max(SEGMENT));
        self.held += bytes.capacity();
        self.segments[id as usize] = Segment { bytes, live: 0, serial: self.serial };
        self.tail = Some(id);
        id
    }

    /// The record there.
    pub fn get(&self, at: At) -> &[u8] {
        self.segments[at.segment as usize].record(at.offset as usize).1
    }

    /// The record there is dead.
    pub fn release(&mut self, at: At) {
        let segment = &mut self.segments[at.segment as usize];
        let room = segment.kill(at.offset as usize);
        segment.live -= room;
        self.live -= room;
        if segment.live == 0 && self.tail != Some(at.segment) {
            self.drop_segment(at.segment);
        }
    }

    fn drop_segment(&mut self, id: u32) {
        let segment = std::mem::take(&mut self.segments[id as usize]);
        self.held -= segment.bytes.capacity();
        self.free.push(id);
    }

    /// Empties the deadest segment where too much is dead; `moved` is told where each live record of it
    /// stands now.
    pub fn compact(&mut self, mut moved: impl FnMut(u32, At)) {
        if 7 * self.held <= 8 * self.live + 7 * SLACK * SEGMENT {
            return;
        }
        let sealed = (0..self.segments.len() as u32).filter(|id| self.tail != Some(*id));
        let held = sealed.filter(|id| self.segments[*id as usize].serial > 0);
        let Some(deadest) = held.min_by_key(|id| self.segments[*id as usize].live) else { return };
        let segment = std::mem::take(&mut self.segments[deadest as usize]);
        self.held -= segment.bytes.capacity();
        self.live -= segment.live;
        for (slot, record) in segment.records(0) {
            moved(slot, self.append(slot, record));
        }
        self.free.push(deadest);
    }

    /// Where the end is now.
    pub fn end(&self) -> Mark {
        self.tail.map_or_else(Mark::default, |tail| {
            let segment = &self.segments[tail as usize];
            Mark { serial: segment.serial, offset: segment.bytes.len() }
        })
    }

    /// Everything appended since `mark` that is not dead: each record with its slot.
    pub fn since(&self, mark: Mark) -> impl Iterator<Item = (u32, &[u8])> {
        let newer = self.segments.iter().filter(move |segment| {
            segment.serial > mark.serial
                || (segment.serial == mark.serial && segment.bytes.len() > mark.offset)
        });
        newer.flat_map(move |segment| {
            segment.records(if segment.serial == mark.serial { mark.offset } else { 0 })
        })
    }

    /// Of everything that is not dead, one of so many shares.
    pub fn share(&self, share: usize, of: usize) -> impl Iterator<Item = (u32, &[u8])> {
        let segments = self.segments.iter().skip(share).step_by(of);
        segments.flat_map(|segment| segment.records(0))
    }
}

impl Segment {
    fn has_room(&self, room: usize) -> bool {
        self.bytes.capacity() - self.bytes.len() >= room
    }

    fn record(&self, offset: usize) -> (u32, &[u8]) {
        let number = |at: usize| {
            let bytes = self.bytes.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
            u32::from_le_bytes(bytes.unwrap_or_default())
        };
        let (slot, length) = (number(offset), number(offset + 4) as usize);
        let start = offset + HEAD;
        (slot, self.bytes.get(start..start + length).unwrap_or_default())
    }

    /// Marks the record there as dead; answers the bytes that it takes.
    fn kill(&mut self, offset: usize) -> usize {
        let room = HEAD + self.record(offset).1.len();
        if let Some(slot) = self.bytes.get_mut(offset..offset + size_of_val(&DEAD)) {
            slot.copy_from_slice(&DEAD.to_le_bytes());
        }
        room
    }

    /// The records from there on that are not dead.
    fn records(&self, from: usize) -> impl Iterator<Item = (u32, &[u8])> {
        let mut offset = from;
        let all = std::iter::from_fn(move || {
            (offset < self.bytes.len()).then(|| {
                let (slot, record) = self.record(offset);
                offset += HEAD + record.len();
                (slot, record)
            })
        });
        all.filter(|(slot, _)| *slot != DEAD)
    }
}
