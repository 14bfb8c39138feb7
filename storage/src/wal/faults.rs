//! A file system for tests that fails where it is told to, is as small as it is told to be, and can
//! lose what was not synced, as a power failure does. It wraps the real one.
//!
//! Stays true: what it reports as done is done; what it reports as synced survives
//! [`FaultyFiles::lose_power`] byte for byte.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::files::{Entry, Files, LogFile, RealFiles};

/// What a power failure keeps or loses as one.
const PAGE: usize = 4096;

/// What can be made to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Operation {
    Create,
    Open,
    Read,
    Write,
    Sync,
    Truncate,
    Allocate,
    Rename,
    Remove,
    SyncDirectory,
}

/// How.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    /// It fails and has done nothing.
    Error(io::ErrorKind),
    /// It fails with this error of the system and has done nothing.
    System(i32),
    /// A write does half of it, and says so; others fail as interrupted.
    Short,
    /// A write does half of it, and every operation from then on fails: the process ends there.
    Death,
}

/// What of the unsynced a power failure keeps.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Loss {
    /// Nothing.
    All,
    /// Any of the pages, and the first so many of the changes of names, as chance has it.
    Some(u64),
}

/// See the module documentation.
#[derive(Clone, Debug)]
pub(crate) struct FaultyFiles {
    /// Guards what is known of all files; held over the real operation, so that order is clear.
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    plan: Option<(Operation, u64, Fault)>,
    counts: BTreeMap<Operation, u64>,
    bytes_read: u64,
    dead: bool,
    capacity: Option<u64>,
    /// Whether what is synced is kept in memory.
    remembers: bool,
    files: Vec<Known>,
    names: BTreeMap<PathBuf, usize>,
    synced_names: BTreeMap<PathBuf, usize>,
    /// Since the directories were synced, oldest first.
    changes: Vec<Change>,
}

/// A file under whatever name.
#[derive(Debug)]
struct Known {
    file: Arc<File>,
    size: u64,
    synced: Vec<u8>,
}

#[derive(Clone, Debug)]
enum Change {
    Create(PathBuf, usize),
    Rename(PathBuf, PathBuf),
    Remove(PathBuf),
}

impl Change {
    fn directory(&self) -> Option<&Path> {
        match self {
            Self::Create(path, _) | Self::Remove(path) | Self::Rename(_, path) => path.parent(),
        }
    }

    fn apply(self, names: &mut BTreeMap<PathBuf, usize>) {
        match self {
            Self::Create(path, id) => {
                names.insert(path, id);
            }
            Self::Rename(from, to) => {
                if let Some(id) = names.remove(&from) {
                    names.insert(to, id);
                }
            }
            Self::Remove(path) => {
                names.remove(&path);
            }
        }
    }
}

#[derive(Debug)]
struct FaultyFile {
    id: usize,
    file: Arc<File>,
    state: Arc<Mutex<State>>,
}

impl FaultyFiles {
    /// Fails nothing yet. What the directory holds counts as synced.
    pub(crate) fn new(directory: &Path) -> Self {
        Self::with(directory, State::default())
    }

    /// The same, ready to lose power; each sync copies the whole file.
    pub(crate) fn remembering(directory: &Path) -> Self {
        Self::with(directory, State { remembers: true, ..State::default() })
    }

    fn with(directory: &Path, mut state: State) -> Self {
        for entry in RealFiles.list(directory).unwrap_or_default() {
            let path = directory.join(entry.name);
            let file = Arc::new(File::options().read(true).write(true).open(&path).unwrap());
            let id = state.know(file);
            state.remember(id);
            state.names.insert(path, id);
        }
        state.synced_names.clone_from(&state.names);
        Self { state: Arc::new(Mutex::new(state)) }
    }

    /// The `nth` operation of a kind from now on fails; 0 is the next. Only the last plan holds.
    pub(crate) fn plan(&self, operation: Operation, nth: u64, fault: Fault) {
        let mut state = self.state.lock();
        let count = state.counts.get(&operation).copied().unwrap_or_default();
        state.plan = Some((operation, count + nth, fault));
    }

    /// How many operations of a kind were tried.
    pub(crate) fn count(&self, operation: Operation) -> u64 {
        self.state.lock().counts.get(&operation).copied().unwrap_or_default()
    }

    /// How many bytes were read.
    pub(crate) fn bytes_read(&self) -> u64 {
        self.state.lock().bytes_read
    }

    /// Whether what was planned has happened.
    pub(crate) fn has_struck(&self) -> bool {
        self.state.lock().plan.is_none()
    }

    /// After [`Fault::Death`]: another process goes on with what the first one left.
    pub(crate) fn revive(&self) {
        let mut state = self.state.lock();
        state.dead = false;
        state.plan = None;
    }

    /// How many bytes all files may have together; `None` is no bound.
    pub(crate) fn set_capacity(&self, bytes: Option<u64>) {
        self.state.lock().capacity = bytes;
    }

    /// Bytes of all files.
    pub(crate) fn used(&self) -> u64 {
        self.state.lock().used()
    }

    /// Brings the directory back to what was synced. Whoever has files open has lost them.
    pub(crate) fn lose_power(&self, directory: &Path, loss: Loss) {
        let mut state = self.state.lock();
        assert!(state.remembers, "not prepared to lose power");
        state.dead = true;
        let mut chance = match loss {
            Loss::All => None,
            Loss::Some(seed) => Some(StdRng::seed_from_u64(seed)),
        };
        let mut names = state.synced_names.clone();
        let kept = chance.as_mut().map_or(0, |chance| chance.random_range(0..=state.changes.len()));
        for change in state.changes.iter().take(kept) {
            change.clone().apply(&mut names);
        }
        let contents: Vec<_> = names
            .into_iter()
            .filter(|(path, _)| path.parent() == Some(directory))
            .map(|(path, id)| (path, state.files[id].after_power_loss(chance.as_mut())))
            .collect();
        for entry in RealFiles.list(directory).unwrap() {
            fs::remove_file(directory.join(entry.name)).unwrap();
        }
        for (path, content) in contents {
            fs::write(path, content).unwrap();
        }
    }

    fn handle(&self, id: usize, file: Arc<File>) -> Arc<dyn LogFile> {
        Arc::new(FaultyFile { id, file, state: Arc::clone(&self.state) })
    }
}

impl Known {
    fn after_power_loss(&self, chance: Option<&mut StdRng>) -> Vec<u8> {
        let Some(chance) = chance else { return self.synced.clone() };
        let mut now = vec![0; usize::try_from(self.file.metadata().unwrap().len()).unwrap()];
        self.file.read_exact_at(&mut now, 0).unwrap();
        let (shorter, longer) =
            (self.synced.len().min(now.len()), self.synced.len().max(now.len()));
        let mut content = self.synced.clone();
        content.resize(chance.random_range(shorter..=longer), 0);
        for (page, new) in content.chunks_mut(PAGE).zip(now.chunks(PAGE)) {
            if chance.random() {
                let common = page.len().min(new.len());
                page[..common].copy_from_slice(&new[..common]);
            }
        }
        content
    }
}

impl State {
    fn know(&mut self, file: Arc<File>) -> usize {
        let size = file.metadata().map_or(0, |metadata| metadata.len());
        self.files.push(Known { file, size, synced: Vec::new() });
        self.files.len() - 1
    }

    fn remember(&mut self, id: usize) {
        if self.remembers {
            let known = &mut self.files[id];
            known.synced.resize(usize::try_from(known.file.metadata().unwrap().len()).unwrap(), 0);
            known.file.read_exact_at(&mut known.synced, 0).unwrap();
        }
    }

    fn used(&self) -> u64 {
        self.names.values().map(|id| self.files[*id].size).sum()
    }

    fn change(&mut self, change: Change) {
        change.clone().apply(&mut self.names);
        self.changes.push(change);
    }

    /// Counts an operation. `Ok(true)` is a write to be cut short.
    fn begin(&mut self, operation: Operation) -> io::Result<bool> {
        let died = || io::Error::other("the process has ended");
        if self.dead {
            return Err(died());
        }
        let count = self.counts.entry(operation).or_default();
        let this = *count;
        *count += 1;
        let Some((_, _, fault)) =
            self.plan.take_if(|(planned, nth, _)| (*planned, *nth) == (operation, this))
        else {
            return Ok(false);
        };
        let writes = operation == Operation::Write;
        match fault {
            Fault::Error(kind) => Err(kind.into()),
            Fault::System(code) => Err(io::Error::from_raw_os_error(code)),
            Fault::Short if writes => Ok(true),
            Fault::Short => Err(io::ErrorKind::Interrupted.into()),
            Fault::Death => {
                self.dead = true;
                if writes { Ok(true) } else { Err(died()) }
            }
        }
    }

    /// How many of the bytes there is room for.
    fn fits(&self, id: usize, count: usize, offset: u64) -> usize {
        let Some(capacity) = self.capacity else { return count };
        let free = capacity.saturating_sub(self.used());
        let end = self.files[id].size.max(offset) + free;
        usize::try_from(end.saturating_sub(offset)).unwrap_or(usize::MAX).min(count)
    }
}

impl LogFile for FaultyFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.state.lock().begin(Operation::Read)?;
        let count = FileExt::read_at(&*self.file, buffer, offset)?;
        self.state.lock().bytes_read += count as u64;
        Ok(count)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        let mut state = self.state.lock();
        let short = state.begin(Operation::Write)?;
        let count = if short { bytes.len().div_ceil(2) } else { bytes.len() };
        let count = state.fits(self.id, count, offset);
        if count == 0 && !bytes.is_empty() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        FileExt::write_all_at(&*self.file, &bytes[..count], offset)?;
        let known = &mut state.files[self.id];
        known.size = known.size.max(offset + count as u64);
        if state.dead {
            return Err(io::Error::other("the process has ended"));
        }
        Ok(count)
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.state.lock();
        state.begin(Operation::Sync)?;
        state.remember(self.id);
        Ok(())
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        let mut state = self.state.lock();
        state.begin(Operation::Truncate)?;
        self.file.set_len(length)?;
        state.files[self.id].size = length;
        Ok(())
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn allocate(&self, bytes: u64) -> io::Result<()> {
        let mut state = self.state.lock();
        state.begin(Operation::Allocate)?;
        let size = state.files[self.id].size;
        let more = usize::try_from(bytes.saturating_sub(size)).unwrap();
        if state.fits(self.id, more, size) < more {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.file.set_len(size.max(bytes))?;
        state.files[self.id].size = size.max(bytes);
        Ok(())
    }
}

impl Files for FaultyFiles {
    fn create_directory(&self, path: &Path) -> io::Result<()> {
        fs::create_dir_all(path)
    }

    fn create_new(&self, path: &Path) -> io::Result<Arc<dyn LogFile>> {
        let mut state = self.state.lock();
        state.begin(Operation::Create)?;
        let file = Arc::new(File::options().read(true).write(true).create_new(true).open(path)?);
        let id = state.know(Arc::clone(&file));
        state.change(Change::Create(path.to_owned(), id));
        Ok(self.handle(id, file))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn LogFile>> {
        let mut state = self.state.lock();
        state.begin(Operation::Open)?;
        let id = *state.names.get(path).ok_or(io::ErrorKind::NotFound)?;
        let file = Arc::clone(&state.files[id].file);
        Ok(self.handle(id, file))
    }

    fn open_to_read(&self, path: &Path) -> io::Result<Arc<dyn LogFile>> {
        self.open(path)
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<Entry>> {
        RealFiles.list(directory)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.state.lock();
        state.begin(Operation::Rename)?;
        fs::rename(from, to)?;
        state.change(Change::Rename(from.to_owned(), to.to_owned()));
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state.lock();
        state.begin(Operation::Remove)?;
        fs::remove_file(path)?;
        state.change(Change::Remove(path.to_owned()));
        Ok(())
    }

    fn sync_directory(&self, directory: &Path) -> io::Result<()> {
        let mut state = self.state.lock();
        state.begin(Operation::SyncDirectory)?;
        let (synced, left): (Vec<_>, Vec<_>) = std::mem::take(&mut state.changes)
            .into_iter()
            .partition(|change| change.directory() == Some(directory));
        state.changes = left;
        synced.into_iter().for_each(|change| change.apply(&mut state.synced_names));
        Ok(())
    }
}

mod tests {
    use super::super::files::is_full;
    use super::*;

    fn content(path: &Path) -> Option<Vec<u8>> {
        fs::read(path).ok()
    }

    #[test]
    fn the_planned_operation_fails_and_no_other() {
        let directory = tempfile::tempdir().unwrap();
        let files = FaultyFiles::new(directory.path());
        let file = files.create_new(&directory.path().join("a")).unwrap();
        files.plan(Operation::Write, 1, Fault::Error(io::ErrorKind::Other));
        file.write_all_at(b"ab", 0).unwrap();
        let failed = file.write_all_at(b"cd", 2).unwrap_err();
        assert_eq!((is_full(&failed), files.has_struck()), (false, true));
        files.plan(Operation::Write, 0, Fault::Short);
        file.write_all_at(b"cdef", 2).unwrap();
        files.plan(Operation::Write, 0, Fault::Death);
        file.write_all_at(b"ghij", 6).unwrap_err();
        file.sync().unwrap_err();
        assert_eq!(content(&directory.path().join("a")).unwrap(), b"abcdefgh");
    }

    #[test]
    fn a_full_disk_takes_what_fits_and_removing_makes_room() {
        let directory = tempfile::tempdir().unwrap();
        let files = FaultyFiles::new(directory.path());
        let reserve = directory.path().join("reserve");
        files.create_new(&reserve).unwrap().allocate(10).unwrap();
        let file = files.create_new(&directory.path().join("a")).unwrap();
        files.set_capacity(Some(15));
        let failed = file.write_all_at(&[1; 20], 0).unwrap_err();
        assert_eq!((is_full(&failed), files.used()), (true, 15));
        file.write_all_at(&[2; 5], 0).unwrap();
        files.remove(&reserve).unwrap();
        file.write_all_at(&[1; 10], 5).unwrap();
        let failed = files.create_new(&reserve).unwrap().allocate(10).unwrap_err();
        assert!(is_full(&failed));
        assert_eq!(content(&reserve).unwrap(), b"");
    }

    #[test]
    fn only_what_was_synced_survives_a_power_failure() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        let files = FaultyFiles::remembering(directory.path());
        let kept = files.create_new(&at("kept")).unwrap();
        kept.write_all_at(b"synced", 0).unwrap();
        kept.sync().unwrap();
        files.create_new(&at("empty")).unwrap().write_all_at(b"lost", 0).unwrap();
        files.sync_directory(directory.path()).unwrap();
        kept.write_all_at(b"unsynced", 0).unwrap();
        files.rename(&at("kept"), &at("renamed")).unwrap();
        files.remove(&at("empty")).unwrap();
        files.create_new(&at("nameless")).unwrap().sync().unwrap();
        files.lose_power(directory.path(), Loss::All);
        assert_eq!(content(&at("kept")).unwrap(), b"synced");
        assert_eq!(content(&at("empty")).unwrap(), b"");
        assert_eq!(RealFiles.list(directory.path()).unwrap().len(), 2);
        kept.sync().unwrap_err();
    }

    #[test]
    fn chance_may_keep_any_page_and_any_first_changes_of_names() {
        let mut seen = std::collections::BTreeSet::new();
        for seed in 0..64 {
            let directory = tempfile::tempdir().unwrap();
            let at = |name: &str| directory.path().join(name);
            let files = FaultyFiles::remembering(directory.path());
            let file = files.create_new(&at("a")).unwrap();
            file.write_all_at(&[1; 2 * PAGE], 0).unwrap();
            file.sync().unwrap();
            files.sync_directory(directory.path()).unwrap();
            file.write_all_at(&[2; 2 * PAGE], 0).unwrap();
            files.rename(&at("a"), &at("b")).unwrap();
            files.lose_power(directory.path(), Loss::Some(seed));
            let renamed = at("b").exists();
            let bytes = content(&at(if renamed { "b" } else { "a" })).unwrap();
            assert!(bytes.chunks(PAGE).all(|page| page.iter().all(|byte| *byte == page[0])));
            seen.insert((renamed, bytes[0], bytes[PAGE]));
        }
        assert_eq!(seen.len(), 8, "all combinations of a name and two pages");
    }
}
