//! All the disks that may be found after a crash.
//!
//! The model grants nothing that POSIX does not: of the changes to names that were not flushed any subset may have
//! reached the disk, in any directory, whatever their order; and a file that was not flushed may hold
//! what it held before, the beginning of what was written, or as many zeros.

use std::collections::BTreeMap;
use std::path::Path;

/// One change of the disk. Directories go by inode, files by a number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Change {
    MakeDir {
        parent: u64,
        name: String,
        dir: u64,
    },
    MakeFile {
        dir: u64,
        name: String,
        file: usize,
    },
    Write {
        file: usize,
        /// Where; at the end if nothing is said.
        offset: Option<u64>,
        data: Vec<u8>,
    },
    SyncFile {
        file: usize,
    },
    Rename {
        dir: u64,
        from: String,
        to: String,
    },
    Remove {
        dir: u64,
        name: String,
    },
    SyncDir {
        dir: u64,
    },
    /// In place of a change that is left out.
    Nothing,
}

impl Change {
    pub(super) fn is_flush(&self) -> bool {
        matches!(self, Self::SyncFile { .. } | Self::SyncDir { .. })
    }

    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::MakeDir { .. } => "make dir",
            Self::MakeFile { .. } => "make file",
            Self::Write { .. } => "write",
            Self::SyncFile { .. } => "sync file",
            Self::Rename { .. } => "rename",
            Self::Remove { .. } => "remove",
            Self::SyncDir { .. } => "sync dir",
            Self::Nothing => "nothing",
        }
    }
}

/// What is on a disk: names in directories, and what files hold.
#[derive(Clone, Debug, Default)]
pub(super) struct Disk {
    outside: u64,
    names: BTreeMap<(u64, String), Node>,
    files: BTreeMap<usize, Vec<u8>>,
}

#[derive(Clone, Copy, Debug)]
enum Node {
    Dir(u64),
    File(usize),
}

impl Disk {
    /// The content of the file at a path from the directory outside the root.
    pub(super) fn read(&self, path: &Path) -> Option<Vec<u8>> {
        let mut node = Node::Dir(self.outside);
        for name in path.iter() {
            let Node::Dir(dir) = node else { return None };
            node = *self.names.get(&(dir, name.to_str()?.to_owned()))?;
        }
        let Node::File(file) = node else { return None };
        Some(self.files.get(&file).cloned().unwrap_or_default())
    }
}

/// The disks that may be found when the machine stops right after these changes.
pub(super) fn disks_after_crash(changes: &[Change], outside: u64) -> impl Iterator<Item = Disk> {
    let mut cache = Cache { disk: Disk { outside, ..Disk::default() }, ..Cache::default() };
    changes.iter().for_each(|change| cache.apply(change));
    let subsets = 1_u32 << cache.pending.len();
    (0..subsets).flat_map(move |subset| {
        let cache = cache.clone();
        TORN.into_iter().map(move |torn| cache.crash(subset, torn))
    })
}

/// How a file that was not flushed may look.
const TORN: [Torn; 4] = [Torn::Old, Torn::Whole, Torn::Half, Torn::Zeros];

#[derive(Clone, Copy, Debug)]
enum Torn {
    Old,
    Whole,
    Half,
    Zeros,
}

/// A disk, and what is still on its way there.
#[derive(Clone, Debug, Default)]
struct Cache {
    disk: Disk,
    pending: Vec<Names>,
    unflushed: BTreeMap<usize, Vec<u8>>,
    /// The names as they are seen while the machine runs.
    now: BTreeMap<(u64, String), Node>,
}

/// A change to the names in one directory.
#[derive(Clone, Debug)]
struct Names {
    dir: u64,
    add: Option<(String, Node)>,
    remove: Option<String>,
}

impl Cache {
    fn apply(&mut self, change: &Change) {
        match change {
            Change::MakeDir { parent, name, dir } => self.names(*parent, Some((name, Node::Dir(*dir))), None),
            Change::MakeFile { dir, name, file } => self.names(*dir, Some((name, Node::File(*file))), None),
            Change::Rename { dir, from, to } => {
                let node = self.now[&(*dir, from.clone())];
                self.names(*dir, Some((to, node)), Some(from));
            }
            Change::Remove { dir, name } => self.names(*dir, None, Some(name)),
            Change::Write { file, offset, data } => {
                let flushed = self.disk.files.get(file);
                let content = self.unflushed.entry(*file).or_insert_with(|| flushed.cloned().unwrap_or_default());
                let start = offset.map_or(content.len(), |offset| offset as usize);
                content.resize(content.len().max(start + data.len()), 0);
                content[start..start + data.len()].copy_from_slice(data);
            }
            Change::SyncFile { file } => {
                if let Some(content) = self.unflushed.remove(file) {
                    self.disk.files.insert(*file, content);
                }
            }
            Change::SyncDir { dir } => {
                let (flushed, pending) = std::mem::take(&mut self.pending).into_iter().partition(|it| it.dir == *dir);
                self.pending = pending;
                let flushed: Vec<Names> = flushed;
                flushed.iter().for_each(|names| names.apply(&mut self.disk.names));
            }
            Change::Nothing => {}
        }
    }

    fn names(&mut self, dir: u64, add: Option<(&String, Node)>, remove: Option<&String>) {
        let names = Names { dir, add: add.map(|(name, node)| (name.clone(), node)), remove: remove.cloned() };
        names.apply(&mut self.now);
        self.pending.push(names);
    }

    fn crash(&self, subset: u32, torn: Torn) -> Disk {
        let mut disk = self.disk.clone();
        let reached = self.pending.iter().enumerate().filter(|(index, _)| subset & (1 << index) != 0);
        reached.for_each(|(_, names)| names.apply(&mut disk.names));
        for (file, content) in &self.unflushed {
            let content = match torn {
                Torn::Old => continue,
                Torn::Whole => content.clone(),
                Torn::Half => content[..content.len() / 2].to_vec(),
                Torn::Zeros => vec![0; content.len()],
            };
            disk.files.insert(*file, content);
        }
        disk
    }
}

impl Names {
    fn apply(&self, names: &mut BTreeMap<(u64, String), Node>) {
        if let Some(name) = &self.remove {
            names.remove(&(self.dir, name.clone()));
        }
        if let Some((name, node)) = &self.add {
            names.insert((self.dir, name.clone()), *node);
        }
    }
}
