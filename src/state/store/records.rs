//! The packed records by slot and by id. A slot is a small number that a task keeps as long as it
//! is known, and that another gets afterwards.

use super::head::Head;
use super::key::Key;
use super::log::Log;
use super::names::Names;
use super::row::Row;
use foldhash::fast::RandomState;
use hashbrown::HashTable;
use std::hash::BuildHasher;

/// Heads of a chunk. A single long list would be copied whenever it grows.
const CHUNK: usize = 4096;

/// Tables of ids. A single large one would be rehashed at once whenever it grows.
const SHARDS: usize = 64;

/// All records.
#[derive(Debug)]
pub struct Records {
    chunks: Vec<Chunk>,
    /// Slots that were given so far, whether or not they are in use.
    given: u32,
    free: Vec<u32>,
    shards: Vec<HashTable<u32>>,
    hasher: RandomState,
    len: usize,
    pub log: Log,
}

#[derive(Debug, Default)]
struct Chunk {
    heads: Vec<Option<Head>>,
    /// Seconds; not a number where unknown.
    runtimes: Vec<f64>,
    /// How the ids begin. An order looks at many of these, and then at few ids.
    leads: Vec<u32>,
}

impl Default for Records {
    fn default() -> Records {
        Records {
            chunks: Vec::new(),
            given: 0,
            free: Vec::new(),
            shards: std::iter::repeat_with(HashTable::new).take(SHARDS).collect(),
            hasher: RandomState::default(),
            len: 0,
            log: Log::default(),
        }
    }
}

impl Records {
    /// Bytes that each task takes beside its record: head, runtime, lead, id table, order, bitmaps.
    pub const OVERHEAD: usize = size_of::<Option<Head>>() + 8 + 4 + 8 + 26 + 12;

    /// How many there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// The slot of an id.
    pub fn find(&self, key: Key<'_>) -> Option<u32> {
        let hash = self.hasher.hash_one(key);
        let same = |slot: &u32| self.key(*slot) == Some(key);
        self.shards[shard(hash)].find(hash, same).copied()
    }

    /// A slot for an id that is not known yet.
    pub fn enter(&mut self, key: Key<'_>) -> u32 {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.given += 1;
            self.given - 1
        });
        let (chunk, place) = (slot as usize / CHUNK, slot as usize % CHUNK);
        if chunk == self.chunks.len() {
            self.chunks.push(Chunk {
                heads: Vec::with_capacity(CHUNK),
                runtimes: Vec::with_capacity(CHUNK),
                leads: Vec::with_capacity(CHUNK),
            });
        }
        let chunk = &mut self.chunks[chunk];
        if place == chunk.heads.len() {
            chunk.heads.push(None);
            chunk.runtimes.push(f64::NAN);
            chunk.leads.push(0);
        }
        chunk.leads[place] = key.lead();
        let hash = self.hasher.hash_one(key);
        let Records { shards, chunks, log, hasher, .. } = self;
        let rehash = |slot: &u32| key_in(chunks, log, *slot).map_or(0, |key| hasher.hash_one(key));
        shards[shard(hash)].insert_unique(hash, slot, rehash);
        self.len += 1;
        slot
    }

    /// Forgets a task.
    pub fn remove(&mut self, slot: u32) {
        let Some(head) = self.head(slot).copied() else { return };
        if let Some(key) = self.key(slot) {
            let hash = self.hasher.hash_one(key);
            if let Ok(entry) = self.shards[shard(hash)].find_entry(hash, |known| *known == slot) {
                entry.remove();
            }
        }
        self.log.release(head.at);
        let chunk = &mut self.chunks[slot as usize / CHUNK];
        chunk.heads[slot as usize % CHUNK] = None;
        chunk.runtimes[slot as usize % CHUNK] = f64::NAN;
        self.free.push(slot);
        self.len -= 1;
    }

    /// The head of a slot in use.
    pub fn head(&self, slot: u32) -> Option<&Head> {
        self.chunks.get(slot as usize / CHUNK)?.heads.get(slot as usize % CHUNK)?.as_ref()
    }

    /// Replaces what a slot holds. The record that stood there is dead.
    pub fn set(&mut self, slot: u32, head: Head, runtime: Option<f64>) {
        let chunk = &mut self.chunks[slot as usize / CHUNK];
        let before = chunk.heads[slot as usize % CHUNK].replace(head);
        chunk.runtimes[slot as usize % CHUNK] = runtime.map_or(f64::NAN, ordered);
        if let Some(before) = before {
            self.log.release(before.at);
        }
    }

    /// Marks a slot as changed.
    pub fn touch(&mut self, slot: u32, revision: u64) {
        let chunk = self.chunks.get_mut(slot as usize / CHUNK);
        let head = chunk.and_then(|chunk| chunk.heads.get_mut(slot as usize % CHUNK));
        if let Some(head) = head.and_then(Option::as_mut) {
            head.revision = revision;
        }
    }

    /// Frees a piece of the room that dead records take, where it is too much.
    pub fn compact(&mut self) {
        let Records { log, chunks, .. } = self;
        log.compact(|slot, at| {
            let chunk = chunks.get_mut(slot as usize / CHUNK);
            let head = chunk.and_then(|chunk| chunk.heads.get_mut(slot as usize % CHUNK));
            if let Some(head) = head.and_then(Option::as_mut) {
                head.at = at;
            }
        });
    }

    /// The id of a slot in use.
    pub fn key(&self, slot: u32) -> Option<Key<'_>> {
        key_in(&self.chunks, &self.log, slot)
    }

    /// A task as filters and orders see it.
    pub fn row<'a>(&'a self, slot: u32, names: &'a Names) -> Option<Row<'a>> {
        let head = self.head(slot)?;
        Some(Row::new(head, self.log.get(head.at), names))
    }

    /// Slots in use, in order.
    pub fn slots(&self) -> impl Iterator<Item = u32> {
        let all = self.chunks.iter().flat_map(|chunk| &chunk.heads).zip(0..);
        all.filter_map(|(head, slot)| head.is_some().then_some(slot))
    }

    /// The runtime of a slot, as [`ordered`]; not a number where unknown.
    pub fn runtime(&self, slot: u32) -> f64 {
        self.chunks[slot as usize / CHUNK].runtimes[slot as usize % CHUNK]
    }

    /// How the id of a slot begins: the order of ids, but for those that begin alike.
    pub fn lead(&self, slot: u32) -> u32 {
        self.chunks[slot as usize / CHUNK].leads[slot as usize % CHUNK]
    }
}

fn key_in<'a>(chunks: &[Chunk], log: &'a Log, slot: u32) -> Option<Key<'a>> {
    let head = chunks.get(slot as usize / CHUNK)?.heads.get(slot as usize % CHUNK)?.as_ref()?;
    Some(head.key(|| log.get(head.at)))
}

/// A runtime that is no number is as the greatest or the least one, as in an order of floats: "not a
/// number" here means unknown.
pub fn ordered(runtime: f64) -> f64 {
    if runtime.is_nan() { f64::INFINITY.copysign(runtime) } else { runtime }
}

fn shard(hash: u64) -> usize {
    // The table itself uses the lowest and the highest bits.
    (hash >> 40) as usize % SHARDS
}
