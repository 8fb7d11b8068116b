//! The texts that many records repeat, each once, with a number: names of tasks, workers, queues,
//! states, kinds of events. A text is let go some time after its last user.

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use std::sync::Arc;

/// The number of a name while something uses it.
pub type NameId = u32;

/// Shares texts.
#[derive(Debug, Default)]
pub struct Names {
    by_text: HashMap<Arc<str>, NameId, RandomState>,
    /// The same by the address of the shared copy, which whoever writes a record down has.
    by_address: HashMap<usize, NameId, RandomState>,
    texts: Vec<Name>,
    free: Vec<NameId>,
    /// How many texts there may be before the unused ones are let go.
    limit: usize,
}

#[derive(Debug, Default)]
struct Name {
    text: Arc<str>,
    /// Places in packed records where the number stands.
    uses: u32,
}

/// Copies of a text that this table holds itself.
const OWN: usize = 2;

impl Names {
    /// The shared copy of a text.
    pub fn intern(&mut self, text: &str) -> Arc<str> {
        let id = self.enter(text);
        self.text(id).clone()
    }

    /// The number of a text; it stays as long as it is used.
    fn enter(&mut self, text: &str) -> NameId {
        if let Some(id) = self.by_text.get(text) {
            return *id;
        }
        if self.by_text.len() >= self.limit {
            self.let_go();
        }
        let shared: Arc<str> = text.into();
        let name = Name { text: shared.clone(), uses: 0 };
        let id = match self.free.pop() {
            Some(id) => {
                self.texts[id as usize] = name;
                id
            }
            None => {
                self.texts.push(name);
                (self.texts.len() - 1) as NameId
            }
        };
        self.by_address.insert(address(&shared), id);
        self.by_text.insert(shared, id);
        id
    }

    fn let_go(&mut self) {
        let Names { by_text, by_address, texts, free, limit } = self;
        by_text.retain(|text, id| {
            let used = texts[*id as usize].uses > 0 || Arc::strong_count(text) > OWN;
            if !used {
                by_address.remove(&address(text));
                texts[*id as usize] = Name::default();
                free.push(*id);
            }
            used
        });
        *limit = (2 * by_text.len()).max(1024);
    }

    /// The number of a name for one more place in a record.
    pub fn hold(&mut self, name: &Arc<str>) -> NameId {
        let known = self.by_address.get(&address(name)).copied();
        let id = known.unwrap_or_else(|| self.enter(name));
        self.texts[id as usize].uses += 1;
        id
    }

    /// A place in a record is gone.
    pub fn release(&mut self, id: NameId) {
        self.texts[id as usize].uses -= 1;
    }

    /// The text of a number that is in use.
    pub fn text(&self, id: NameId) -> &Arc<str> {
        &self.texts[id as usize].text
    }

    /// The number of a text, where it has one.
    pub fn find(&self, text: &str) -> Option<NameId> {
        self.by_text.get(text).copied()
    }

    /// The number of a shared copy.
    pub fn number(&self, name: &Arc<str>) -> Option<NameId> {
        self.by_address.get(&address(name)).copied().or_else(|| self.find(name))
    }

    /// How many texts there are.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.by_text.len()
    }

    /// Places in records where numbers stand.
    #[cfg(test)]
    pub fn uses(&self) -> u64 {
        self.texts.iter().map(|name| u64::from(name.uses)).sum()
    }
}

fn address(text: &Arc<str>) -> usize {
    Arc::as_ptr(text).cast::<u8>() as usize
}
